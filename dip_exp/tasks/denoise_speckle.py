"""Denoising of speckle: noise proportional to the brightness."""

import numpy as np

from dip_exp.component import Positive, component
from dip_exp.observe import degrade
from dip_exp.shapes import Float32
from dip_exp.tasks.denoise import Denoising
from dip_exp.tasks.noise import Noise, clipped_variance


@component
class DenoiseSpeckle(Denoising):
    """y = x (1 + n), clipped. sigma: standard deviation of n, relative to the brightness, not in 8-bit units."""

    sigma: Positive = 0.2

    def degraded(self, x: Float32[np.ndarray, "1 C H W"], rng: np.random.Generator) -> Float32[np.ndarray, "1 C H W"]:
        return degrade.speckle(x, self.sigma, rng)

    def noise(self) -> Noise:
        return Noise(lambda a_x: clipped_variance(a_x, self.sigma * a_x.clamp(0, 1)))
