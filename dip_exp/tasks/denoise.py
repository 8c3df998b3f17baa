"""Blind denoising (CVPR 2018 Sec. 3, Fig. 4): fit the noisy picture, and stop before the fit includes the noise."""

from abc import abstractmethod
from collections.abc import Callable
from functools import partial

import numpy as np

from dip_exp.component import NonNegative, component
from dip_exp.observe import degrade
from dip_exp.shapes import Float32
from dip_exp.tasks import baselines, noise
from dip_exp.tasks.noise import Noise
from dip_exp.tasks.presentation import Presentation
from dip_exp.tasks.problem import Problem
from dip_exp.tasks.task import Role, Task, tensor


@component
class Denoising(Task):
    """A(x) = x. The energy is the squared error for every kind of noise, as in the paper."""

    @abstractmethod
    def degraded(self, x: Float32[np.ndarray, "1 C H W"], rng: np.random.Generator) -> Float32[np.ndarray, "1 C H W"]:
        """Returns the clean picture x with noise; both are (1, C, H, W)."""

    @abstractmethod
    def noise(self) -> Noise | None:
        """Returns the statistics of the noise that `degraded` adds; None if it adds none."""

    def restorers(
        self, y: Float32[np.ndarray, "1 C H W"], sigma_255: float | None
    ) -> dict[str, Callable[[], Float32[np.ndarray, "1 C H W"]]]:
        """Returns {name: classical restorer of y}, the main one first. y is (1, C, H, W) in [0,1]; sigma_255 is the
        noise level in 8-bit units, or None to estimate it."""
        return baselines.denoisers(y, sigma_255)

    def _begin(self, y: Float32[np.ndarray, "1 C H W"], name: str) -> Float32[np.ndarray, "1 C H W"]:
        """Returns what a classical restorer makes of y if it is told the noise of its noisier parts: what is left of
        noise in z would pass into the result, and detail that z lacks comes from y."""
        return self.restorers(y, baselines.strong_noise(y))[name]()

    def problem(self, picture: Float32[np.ndarray, "1 C H W"], role: Role, rng: np.random.Generator) -> Problem:
        clean = role == "clean"
        y = self.degraded(picture, rng) if clean else picture
        known = self.noise() if clean else None
        sigma = None if known is None or known.sigma is None else 255 * known.sigma
        shown = np.clip(y, 0, 1)
        (main, restore), *others = self.restorers(shown, sigma).items()
        return Problem(
            y=tensor(y),
            prior=self.prior(),
            x=tensor(picture) if clean else None,
            noise=known,
            start=(baselines.TITLES[main], partial(self._begin, shown, main)),
            presentation=Presentation(
                protocol=self.scoring,
                baseline=(baselines.TITLES[main], restore),
                rivals=dict(others),
            ),
        )


@component
class Denoise(Denoising):
    """White Gaussian noise.

    sigma: standard deviation of the noise added to a clean picture, in 8-bit units.
    clip:  clip the noisy picture to [0, 1], as the authors do.
    """

    sigma: NonNegative = 25.0
    clip: bool = True

    def degraded(self, x: Float32[np.ndarray, "1 C H W"], rng: np.random.Generator) -> Float32[np.ndarray, "1 C H W"]:
        return degrade.gaussian(x, self.sigma, rng, clip=self.clip)

    def noise(self) -> Noise | None:
        return noise.gaussian(self.sigma / 255, clipped=self.clip) if self.sigma > 0 else None
