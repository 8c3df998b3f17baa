"""Natural pre-image (CVPR 2018 Sec. 3 and Fig. 9, IJCV 2020 Sec. 3.4): a picture with the features of another one."""

from functools import partial

import numpy as np
import torch
from torch import Tensor

from dip_exp import images
from dip_exp.component import PositiveInt, component
from dip_exp.tasks.classifiers.classifier import Classifier
from dip_exp.tasks.problem import Problem, mse
from dip_exp.tasks.task import Role, Task, tensor


@component
class Invert(Task):
    """A(x) is the output of a layer of a trained classifier, and y that of the picture: what did the layer keep of it?

    net:   the classifier (group task/net). layer: by name; a wrong one is refused with the list.
    side:  of the square picture, in pixels; null: what the classifier was trained on. Only layers without fully
           connected ones before them take another.
    relative: the loss is divided by the mean square of y, so that 0.01 is one per cent of it at every layer, and an
           extra term weighs the same; the descent by Adam is the same. The released code does not divide.
    A picture of another shape is cut to its central square and resized: the classifier wants it so.
    """

    net: Classifier
    layer: str
    side: PositiveInt | None = None
    relative: bool = True

    def problem(self, picture: np.ndarray, role: Role, rng: np.random.Generator) -> Problem:
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
            shown=x,
            shape=(3, side, side),
            forward=features,
            loss=partial(_relative, energy=float(y.square().mean())) if self.relative else mse,
            prior=self.prior(),
            x=x if role == "clean" else None,
            protocol=self.scoring,
            notes=tuple(notes),
        )

    def outline(self, shape: tuple[int, int, int], role: Role) -> Problem:
        side = self.side or self.net.side
        features = self.net.outline(self.layer, side)
        y = features(torch.empty(1, 3, side, side, device="meta"))
        return Problem(y=y, shape=(3, side, side), forward=features, loss=partial(_relative, energy=1.0))


def _relative(a_x: Tensor, y: Tensor, weight: Tensor | None, energy: float) -> Tensor:
    return mse(a_x, y, weight) / energy
