"""Flash/no-flash (CVPR 2018, Fig. 10): fit the noisy picture without flash, with the flash picture as z."""

from dataclasses import replace
from functools import partial
from typing import ClassVar

import numpy as np

from dip_exp.component import component
from dip_exp.images import Frame
from dip_exp.observe.flash import Flash, Synthetic
from dip_exp.shapes import Float, Float32
from dip_exp.tasks import baselines
from dip_exp.tasks.presentation import Presentation
from dip_exp.tasks.problem import Problem
from dip_exp.tasks.task import Role, Task, tensor

STUCK = 0.05
"""A fit counts as stuck if the mean of a channel is off by more; the mean of the noise is far smaller."""


@component
class FlashNoFlash(Task):
    """A(x) = x for the picture without flash; z is the flash picture (input=picture), whose edges are free of noise.

    flash: source of the flash picture (group task/flash): a file, or synthesised from a clean picture.
    """

    local: ClassVar[bool] = False

    flash: Flash = Synthetic()

    def along(self, frame: Frame) -> "FlashNoFlash":
        return replace(self, flash=self.flash.along(frame))

    def outline(self, shape: tuple[int, int, int], role: Role) -> Problem:
        if not self.flash.made_up:
            raise ValueError("flash: a pair is brought together by what it shows")
        return super().outline(shape, role)

    def problem(self, picture: Float32[np.ndarray, "1 C H W"], role: Role, rng: np.random.Generator) -> Problem:
        made_up = self.flash.made_up
        if role == "observed" and made_up:
            raise ValueError(
                f"flash: the picture is observed but its flash picture ({type(self.flash).__name__}) would be made up "
                f"of it; give the other one of the pair, task/flash=file task.flash.path=FLASH, or image.role=clean"
            )
        if role == "clean" and not made_up:
            raise ValueError("flash: a pair of photographs has no truth to be scored against  [image.role=observed]")
        pair = self.flash.pair(picture, rng)
        main = ("joint bilateral filter", partial(baselines.joint_bilateral, np.clip(pair.y, 0, 1), pair.flash))
        return Problem(
            y=tensor(pair.y),
            prior=self.prior(),
            x=None if pair.x is None else tensor(pair.x),
            guide=tensor(pair.flash),
            start=main,
            presentation=Presentation(
                protocol=self.scoring,
                baseline=main,
                remarks=partial(stuck, pair.y),
                notes=pair.notes,
            ),
        )


def stuck(y: Float[np.ndarray, "1 C H W"], x_hat: Float[np.ndarray, "1 C H W"]) -> list[str]:
    """Returns [warning] if the fit is stuck at one colour (the authors warn of "stuck at red"), else an empty list.

    A good fit has the channel means of y, (1, C, H, W); a stuck fit has a channel near 0 or 1 everywhere.
    """
    off = (x_hat - y).mean(axis=(0, 2, 3))
    worst = int(np.abs(off).argmax())
    if abs(off[worst]) <= STUCK:
        return []
    channel = ("red", "green", "blue")[worst] if len(off) == 3 else f"channel {worst}"
    return [
        f"the fit is stuck: its {channel} is off by {off[worst]:+.2f} on average; run it for longer, with "
        f"another seed (seed=1), or with a smaller step (optim.lr=0.01)"
    ]
