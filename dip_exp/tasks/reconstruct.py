"""Reconstruction of a target (CVPR 2018 Fig. 2): natural pictures are fitted quickly, noise after a long plateau."""

from typing import ClassVar, Literal

import numpy as np

from dip_exp.component import NonNegative, component
from dip_exp.observe import degrade
from dip_exp.shapes import Float32
from dip_exp.tasks.presentation import Presentation
from dip_exp.tasks.problem import Problem
from dip_exp.tasks.task import Role, Task, tensor


@component
class Reconstruct(Task):
    """A(x) = x, and the target is its own truth: the scores measure how well it is fitted, not restored.

    target: natural, the picture itself; noisy, with noise of `sigma` (8-bit units); scrambled, with its pixels
            permuted; uniform, U(0, 1) noise of its size.
    clip:   clip the noisy target to [0, 1].
    """

    local: ClassVar[bool] = False

    target: Literal["natural", "noisy", "scrambled", "uniform"] = "natural"
    sigma: NonNegative = 25.0
    clip: bool = True

    def problem(self, picture: Float32[np.ndarray, "1 C H W"], role: Role, rng: np.random.Generator) -> Problem:
        y = self._target(picture, rng)
        scored = role == "clean" and (self.target != "noisy" or self.clip)
        return Problem(
            y=tensor(y),
            prior=self.prior(),
            x=tensor(y) if scored else None,
            presentation=Presentation(
                protocol=self.scoring,
            ),
        )

    def _target(self, picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        match self.target:
            case "natural":
                return picture
            case "noisy":
                return degrade.gaussian(picture, self.sigma, rng, clip=self.clip)
            case "scrambled":
                return degrade.scramble(picture, rng)
            case "uniform":
                return degrade.uniform_noise(picture.shape, rng)
