"""Inpainting (CVPR 2018 eq. 6, Figs. 6 to 8, Table 1): fit the known pixels, and take the missing ones from x_hat."""

from dataclasses import replace
from functools import partial
from typing import ClassVar, Literal

import numpy as np

from dip_exp.component import component
from dip_exp.images import Frame
from dip_exp.observe.masks import Bernoulli, Mask, check_mask
from dip_exp.shapes import Float32
from dip_exp.tasks import baselines
from dip_exp.tasks.presentation import Presentation
from dip_exp.tasks.problem import Problem, known_mse, mse
from dip_exp.tasks.task import Role, Task, tensor


@component
class Inpaint(Task):
    """A(x) = x, weighted by a mask: white pixels are known, black ones are missing.

    mask:    source of the mask (group task/mask).
    mean:    average the loss over all pixels (the paper) or over the known ones.
    paste:   paste the known pixels of y into the restored picture (the paper's numbers are without pasting).
    """

    mask: Mask = Bernoulli()
    mean: Literal["all", "known"] = "all"
    paste: bool = True

    takes_missing: ClassVar[bool] = True

    def along(self, frame: Frame) -> "Inpaint":
        return replace(self, mask=self.mask.along(frame))

    def _known(
        self, picture: Float32[np.ndarray, "1 C H W"], role: Role, rng: np.random.Generator
    ) -> Float32[np.ndarray, "1 _ H W"]:
        """Returns the known pixels: those of the mask, without those whose value is NaN. A picture with NaN needs no
        mask; the made-up ones are then not used. Raises ValueError if an observed picture has neither."""
        numbers = np.isfinite(picture)
        if role == "observed" and self.mask.made_up and not numbers.all():
            shape = (picture.shape[1], picture.shape[2], picture.shape[3])
            return check_mask(numbers.astype(np.float32), shape, "NaN as missing pixels")
        if role == "observed" and self.mask.made_up:
            raise ValueError(
                f"inpaint: the picture is observed but the mask ({type(self.mask).__name__}) is made up and would take "
                f"away pixels that are known; give the mask of what is missing, task/mask=file task.mask.path=MASK, "
                f"or image.role=clean; a picture of floats may have NaN where it is missing"
            )
        known = self.mask.draw((picture.shape[1], picture.shape[2], picture.shape[3]), rng)
        return known if numbers.all() else known * numbers

    def problem(self, picture: Float32[np.ndarray, "1 C H W"], role: Role, rng: np.random.Generator) -> Problem:
        known = self._known(picture, role, rng)
        y = np.where(known > 0, picture, np.float32(0))
        clean, shown = role == "clean", np.clip(y, 0, 1)
        main = ("biharmonic", partial(baselines.biharmonic, shown, known))
        return Problem(
            y=tensor(y),
            weight=tensor(known),
            loss=mse if self.mean == "all" else known_mse,
            prior=self.prior(),
            x=tensor(picture) if clean else None,
            start=main,
            start_memory=baselines.BIHARMONIC_BYTES * int((known == 0).any(axis=1).sum()),
            presentation=Presentation(
                protocol=self.scoring,
                paste=tensor(known) if self.paste else None,
                missing=tensor(known) == 0,
                baseline=main,
                rivals={"linear": partial(baselines.linear, shown, known)},
                notes=(f"{(known == 0).mean():.1%} of the picture is missing", *self.mask.notes()),
            ),
        )
