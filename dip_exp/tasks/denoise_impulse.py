"""Denoising of salt-and-pepper noise."""

from collections.abc import Callable
from functools import partial

import numpy as np

from dip_exp.component import Fraction, component
from dip_exp.observe import degrade
from dip_exp.shapes import Float32
from dip_exp.tasks import baselines
from dip_exp.tasks.denoise import Denoising
from dip_exp.tasks.noise import Noise


@component
class DenoiseImpulse(Denoising):
    """Each value of each channel becomes 0 or 1, with probability `amount` / 2 each."""

    amount: Fraction = 0.1

    def degraded(self, x: Float32[np.ndarray, "1 C H W"], rng: np.random.Generator) -> Float32[np.ndarray, "1 C H W"]:
        return degrade.impulse(x, self.amount, rng)

    def restorers(
        self, y: Float32[np.ndarray, "1 C H W"], sigma_255: float | None
    ) -> dict[str, Callable[[], Float32[np.ndarray, "1 C H W"]]]:
        return {"median": partial(baselines.median, y), **super().restorers(y, sigma_255)}

    def noise(self) -> Noise | None:
        if self.amount == 0:
            return None
        return Noise(lambda a_x: self.amount / 2 * (a_x.square() + (1 - a_x).square()))
