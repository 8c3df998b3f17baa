"""Natural pre-image (CVPR 2018 Sec. 3 and Fig. 9, IJCV 2020 Sec. 3.4): find a picture from its features."""

from functools import partial
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from dip_exp import images
from dip_exp.component import PositiveInt, component
from dip_exp.shapes import Float, Float32
from dip_exp.tasks.classifiers.classifier import Classifier
from dip_exp.tasks.presentation import Presentation
from dip_exp.tasks.problem import Problem, mse
from dip_exp.tasks.task import Role, Task, tensor


@component
class Invert(Task):
    """A(x) is the output of a classifier's layer, and y is A of the picture. The result shows what the layer retains.

    net:   the classifier (group task/net). layer: its name; the error for an unknown name lists the known ones.
    side:  side of the square picture, in pixels; null: the side that the classifier was trained on. Layers
           from the first fully connected one on may accept no other side.
    relative: divide the loss by the mean square of y, so that 0.01 is one per cent of it at every layer, and an extra
           term has the same relative weight; the descent by Adam is the same. The released code does not divide.
    A picture of another shape is cropped to its central square and resized, because the classifier needs this shape.
    """

    local: ClassVar[bool] = False

    net: Classifier
    layer: str
    side: PositiveInt | None = None
    relative: bool = True

    def problem(self, picture: Float32[np.ndarray, "1 C H W"], role: Role, rng: np.random.Generator) -> Problem:
        self.net.check(self.layer)
        side = self.side or self.net.side
        square = images.square(picture, side)
        x = tensor(np.repeat(square, 3 // square.shape[1], axis=1))
        features = self.net.upto(self.layer, side)
        with torch.no_grad():
            y = features(x)
        notes = []
        if picture.shape[2:] != (side, side):
            height, width = picture.shape[2:]
            notes.append(f"the picture was brought from {width}x{height} to {side}x{side}, its central square")
        return Problem(
            y=y,
            shape=(3, side, side),
            forward=features,
            loss=partial(_relative, energy=float(y.square().mean())) if self.relative else mse,
            prior=self.prior(),
            x=x if role == "clean" else None,
            presentation=Presentation(
                shown=x,
                protocol=self.scoring,
                notes=tuple(notes),
            ),
        )

    def result_shape(self, shape: tuple[int, int, int], role: Role) -> tuple[int, int, int]:
        side = self.side or self.net.side
        return 3, side, side

    def outline(self, shape: tuple[int, int, int], role: Role) -> Problem:
        side = self.side or self.net.side
        features = self.net.outline(self.layer, side)
        y = features(torch.empty(1, 3, side, side, device="meta"))
        return Problem(y=y, shape=(3, side, side), forward=features, loss=partial(_relative, energy=1.0))


def _relative(
    a_x: Float[Tensor, "1 c h w"], y: Float[Tensor, "1 c h w"], weight: Float[Tensor, "1 _ _ _"] | None, energy: float
) -> Float[Tensor, ""]:
    return mse(a_x, y, weight) / energy
