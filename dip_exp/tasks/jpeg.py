"""Blind removal of JPEG artefacts (CVPR 2018 Fig. 3): fit the compressed picture, and stop before its blocks appear."""

from functools import partial
from typing import Annotated

import numpy as np
from pydantic import Field

from dip_exp.component import component
from dip_exp.observe import degrade
from dip_exp.shapes import Float32
from dip_exp.tasks import baselines
from dip_exp.tasks.presentation import Presentation
from dip_exp.tasks.problem import Problem
from dip_exp.tasks.task import Role, Task, tensor


@component
class Jpeg(Task):
    """A(x) = x: the compression is not modelled, as in the paper.

    quality: JPEG quality, 1 to 95, at which a clean picture is compressed here.
    """

    quality: Annotated[int, Field(ge=1, le=95)] = 10

    def problem(self, picture: Float32[np.ndarray, "1 C H W"], role: Role, rng: np.random.Generator) -> Problem:
        clean = role == "clean"
        y = degrade.jpeg(picture, self.quality) if clean else picture
        shown = np.clip(y, 0, 1)
        main = ("total variation", partial(baselines.tv, shown, None))
        return Problem(
            y=tensor(y),
            prior=self.prior(),
            x=tensor(picture) if clean else None,
            start=main,
            presentation=Presentation(
                protocol=self.scoring,
                baseline=main,
                rivals=baselines.denoisers(shown, None, but="tv", least_255=baselines.TV_FLOOR_255),
            ),
        )
