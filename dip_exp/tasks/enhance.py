"""Image enhancement (IJCV 2020, Sec. 3.6, Fig. 19): boost the detail that an early-stopped fit has not fitted."""

from functools import partial

import numpy as np

from dip_exp.component import NonNegative, component
from dip_exp.shapes import Float32
from dip_exp.tasks.presentation import Presentation
from dip_exp.tasks.problem import Problem
from dip_exp.tasks.task import Role, Task, tensor


@component
class Enhance(Task):
    """A(x) = x, stopped early. The stopped picture is coarse; detail = x0 - coarse, boosted = x0 + strength * detail.

    The strength is a matter of taste; the paper does not state its own. Nothing is scored, because there is no truth.
    """

    strength: NonNegative = 1.0

    def problem(self, picture: Float32[np.ndarray, "1 C H W"], role: Role, rng: np.random.Generator) -> Problem:
        return Problem(
            y=tensor(picture),
            prior=self.prior(),
            presentation=Presentation(
                protocol=self.scoring,
                derived={
                    "detail": partial(detail, picture),
                    "boosted": partial(boosted, picture, self.strength),
                },
            ),
        )


def detail(
    x0: Float32[np.ndarray, "1 C H W"], coarse: Float32[np.ndarray, "1 C H W"]
) -> Float32[np.ndarray, "1 C H W"]:
    """Returns 0.5 + x0 - coarse, clipped to [0, 1]: 0.5 means no detail."""
    return np.clip(0.5 + (x0 - coarse), 0, 1).astype(np.float32)


def boosted(
    x0: Float32[np.ndarray, "1 C H W"], strength: float, coarse: Float32[np.ndarray, "1 C H W"]
) -> Float32[np.ndarray, "1 C H W"]:
    """Returns x0 + strength * (x0 - coarse), clipped to [0, 1]."""
    return np.clip(x0 + strength * (x0 - coarse), 0, 1).astype(np.float32)
