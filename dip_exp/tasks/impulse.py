"""Removal of salt-and-pepper noise as inpainting: what a replaced value was is not known, and all others are right."""

from functools import partial
from typing import Literal

import numpy as np
from torch import Tensor

from dip_exp.component import Fraction, component
from dip_exp.observe import degrade
from dip_exp.observe.impulses import replaced
from dip_exp.shapes import Float, Float32
from dip_exp.tasks import baselines
from dip_exp.tasks.presentation import Presentation
from dip_exp.tasks.problem import Loss, Problem, mse
from dip_exp.tasks.task import Role, Task, tensor

SCATTERED = 0.001
"""The least share of replaced values that is taken for noise."""


@component
class Impulse(Task):
    """A(x) = x at the values that were not replaced, which are put back into the result.

    amount: each value of each channel of a clean picture becomes 0 or 1, with probability `amount` / 2 each.
    rest:   how the values that were not replaced are fitted: `squared` error, or `absolute` error, which yields to
            values that are wrong without being 0 or 1.
    """

    amount: Fraction = 0.1
    rest: Literal["squared", "absolute"] = "squared"

    def problem(self, picture: Float32[np.ndarray, "1 C H W"], role: Role, rng: np.random.Generator) -> Problem:
        clean = role == "clean"
        y = degrade.impulse(picture, self.amount, rng) if clean else picture
        missing = replaced(np.clip(y, 0, 1))
        if missing.all():
            raise ValueError("denoise_impulse: every value is 0 or 1, so nothing is left to fit; not a noisy picture")
        known = tensor((~missing).astype(np.float32))
        exact = self.rest == "squared"
        shown = np.clip(y, 0, 1)
        main = (baselines.TITLES["median"], partial(baselines.median, shown))
        return Problem(
            y=tensor(y),
            weight=known,
            loss=_loss(self.rest),
            prior=self.prior(),
            x=tensor(picture) if clean else None,
            start=main,
            presentation=Presentation(
                protocol=self.scoring,
                paste=known if exact else None,
                missing=known == 0,
                baseline=main,
                rivals=baselines.denoisers(shown, None),
                notes=_notes(float(missing.mean())),
            ),
        )


def _loss(rest: str) -> Loss:
    return mse if rest == "squared" else absolute


def absolute(
    a_x: Float[Tensor, "1 c h w"], y: Float[Tensor, "1 c h w"], weight: Float[Tensor, "1 _ _ _"] | None = None
) -> Float[Tensor, ""]:
    """Returns the mean over all elements of w |A(x_hat) - y|; unknown ones count as 0."""
    residual = (a_x - y).abs()
    return (residual if weight is None else residual * weight).mean()


def _notes(share: float) -> tuple[str, ...]:
    if share < SCATTERED:
        return (
            f"only {share:.2%} of the values are scattered 0 or 1: this does not look like salt-and-pepper noise; for "
            f"other noise use task=denoise",
        )
    return (f"{share:.1%} of the values are scattered 0 or 1 and count as missing",)
