"""Super-resolution (CVPR 2018 eq. 5, Figs. 1 and 5): find a picture whose reduction is the given one."""

from functools import partial
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field

from dip_exp.component import component
from dip_exp.observe import degrade
from dip_exp.shapes import Float32
from dip_exp.tasks import baselines
from dip_exp.tasks.operators import Downsample
from dip_exp.tasks.presentation import Presentation
from dip_exp.tasks.problem import Problem
from dip_exp.tasks.task import Role, Task, tensor


@component
class SuperResolution(Task):
    """A is reduction by `factor`.

    kernel: the kernel of A in the loss.
    pair:   how a clean picture is reduced to y. `authors`: Pillow's Lanczos3 with an 8-bit result, which differs from A
            (as in the paper's tables); `consistent`: y = A(x).
    A clean picture is first centre-cropped to a multiple of the factor.
    """

    factor: Annotated[int, Field(ge=2)] = 4
    kernel: Literal["lanczos2", "lanczos3", "box"] = "lanczos2"
    pair: Literal["authors", "consistent"] = "authors"
    protocol: str = "sr"

    def problem(self, picture: Float32[np.ndarray, "1 C H W"], role: Role, rng: np.random.Generator) -> Problem:
        operator = Downsample(self.factor, self.kernel)
        x = None
        if role == "clean":
            picture = self._crop(picture)
            x = tensor(picture)
            if self.pair == "authors":
                y = degrade.lanczos_reduce(picture, self.factor)
            else:
                with torch.no_grad():
                    y = operator(x).numpy()
        else:
            y = picture
        channels, height, width = y.shape[1:]
        shown = np.clip(y, 0, 1)
        lanczos = partial(baselines.lanczos, shown, self.factor)
        return Problem(
            y=tensor(y),
            shape=(channels, height * self.factor, width * self.factor),
            forward=operator,
            prior=self.prior(),
            x=x,
            start=(baselines.TITLES["lanczos"], lanczos),  # a better start than bicubic: tuned on coffee
            presentation=Presentation(
                protocol=self.scoring,
                baseline=("bicubic", partial(baselines.bicubic, shown, self.factor)),
                rivals={"lanczos": lanczos},
            ),
        )

    def result_shape(self, shape: tuple[int, int, int], role: Role) -> tuple[int, int, int]:
        channels, height, width = shape
        if role == "clean":
            return channels, height - height % self.factor, width - width % self.factor
        return channels, height * self.factor, width * self.factor

    def _crop(self, picture: np.ndarray) -> np.ndarray:
        height, width = picture.shape[-2:]
        if min(height, width) < self.factor:
            raise ValueError(
                f"superres: factor is {self.factor} but the picture is {width}x{height}; "
                f"no pixel would be left; choose a factor up to {min(height, width)}"
            )
        top, left = (height % self.factor) // 2, (width % self.factor) // 2
        bottom, right = top + height - height % self.factor, left + width - width % self.factor
        return picture[..., top:bottom, left:right]
