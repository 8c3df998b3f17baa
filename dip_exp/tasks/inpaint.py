"""Inpainting (CVPR 2018 eq. 6, Figs. 6 to 8, Table 1): fit the known pixels, and take the missing ones from x_hat."""

from functools import partial
from typing import Literal

import numpy as np

from dip_exp.component import component
from dip_exp.observe.masks import Bernoulli, Mask
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

    def problem(self, picture: Float32[np.ndarray, "1 C H W"], role: Role, rng: np.random.Generator) -> Problem:
        if role == "observed" and self.mask.made_up:
            raise ValueError(
                f"inpaint: the picture is observed but the mask ({type(self.mask).__name__}) is made up and would take "
                f"away pixels that are known; give the mask of what is missing, task/mask=file task.mask.path=MASK, "
                f"or image.role=clean"
            )
        known = self.mask.draw((picture.shape[1], *picture.shape[2:]), rng)
        y = picture * known
        clean = role == "clean"
        return Problem(
            y=tensor(y),
            weight=tensor(known),
            loss=mse if self.mean == "all" else known_mse,
            prior=self.prior(),
            x=tensor(picture) if clean else None,
            presentation=Presentation(
                protocol=self.scoring,
                paste=tensor(known) if self.paste else None,
                missing=tensor(known) == 0,
                baseline=("biharmonic", partial(baselines.biharmonic, y, known)),
                rivals={"linear": partial(baselines.linear, y, known)},
            ),
        )
