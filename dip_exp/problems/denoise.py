"""Blind denoising (CVPR 2018 Sec. 3, Fig. 4): fit the noisy picture, and stop before the noise is fitted."""

from functools import partial

import numpy as np

from dip_exp import baselines, degrade
from dip_exp.component import NonNegative, component
from dip_exp.problems.problem import Problem
from dip_exp.problems.task import Role, Task, tensor


@component
class Denoise(Task):
    """A(x) = x.

    sigma: standard deviation of the white Gaussian noise added to a clean picture, in 8-bit units.
    clip:  clip the noisy picture to [0, 1], as the authors do.
    """

    sigma: NonNegative = 25.0
    clip: bool = True

    def problem(self, picture: np.ndarray, role: Role, rng: np.random.Generator) -> Problem:
        clean = role == "clean"
        y = degrade.gaussian(picture, self.sigma, rng, clip=self.clip) if clean else picture
        known_sigma = self.sigma if clean and self.sigma > 0 else None
        return Problem(
            y=tensor(y),
            prior=self.prior(),
            x=tensor(picture) if clean else None,
            protocol=self.scoring,
            baseline=("non-local means", partial(baselines.nlm, np.clip(y, 0, 1), known_sigma)),
            rivals=baselines.denoisers(np.clip(y, 0, 1), known_sigma, but="nlm"),
        )
