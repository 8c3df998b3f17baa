"""Activation maximisation (IJCV 2020, Sec. 3.5, Figs. 17 and 18): a picture that activates one unit of a classifier."""

from dataclasses import replace
from functools import partial
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from dip_exp.component import NonNegativeInt, Positive, PositiveInt, component
from dip_exp.shapes import Float, Float32
from dip_exp.tasks.classifiers import imagenet
from dip_exp.tasks.classifiers.classifier import Classifier, Features
from dip_exp.tasks.presentation import Presentation
from dip_exp.tasks.problem import Problem
from dip_exp.tasks.task import Role, Task


@component
class Maximize(Task):
    """There is no observation: the loss rewards the activation of one unit. The picture (image=blank) is not read.

    net, layer, side: as for inversion. unit: the number of a channel, or the name of a class if the layer has the 1000
    classes. window: side of the centred part of a convolutional map whose sum is the activation, clamped to the map (in
    the released code its start becomes negative on maps below 40).
    goal: maximize minimises -factor * activation; match minimises factor * |target - activation| (the authors' choice
    for classes).
    """

    local: ClassVar[bool] = False

    net: Classifier
    layer: str
    unit: NonNegativeInt | str = 0
    window: PositiveInt = 40
    goal: Literal["maximize", "match"] = "maximize"
    target: Positive = 300.0
    factor: Positive = 5.0
    side: PositiveInt | None = None

    free = ("unit",)

    def problem(self, picture: Float32[np.ndarray, "1 C H W"], role: Role, rng: np.random.Generator) -> Problem:
        self.net.check(self.layer)
        side = self.side or self.net.side
        features = self.net.upto(self.layer, side)
        with torch.no_grad():
            shape = features(torch.full((1, 3, side, side), 0.5)).shape
        unit = self._unit(shape[1])
        weight = torch.zeros(shape)
        rows, columns = (centred(length, self.window) for length in shape[2:])
        weight[:, unit, rows, columns] = 1
        loss = _maximized if self.goal == "maximize" else _matched
        notes = ("the picture is not read: this task restores none (image=blank)",) if picture.any() else ()
        presentation = Presentation(shown=None, protocol=self.scoring, notes=notes)
        if tuple(shape[1:]) == (len(imagenet.names()), 1, 1):
            presentation = replace(presentation, remarks=partial(_remarks, self.net.upto("prob", side), unit))
        return Problem(
            y=torch.full(shape, self.target if self.goal == "match" else 0.0),
            shape=(3, side, side),
            forward=features,
            weight=weight,
            loss=partial(loss, factor=self.factor),
            prior=self.prior(),
            presentation=presentation,
        )

    def result_shape(self, shape: tuple[int, int, int], role: Role) -> tuple[int, int, int]:
        side = self.side or self.net.side
        return 3, side, side

    def outline(self, shape: tuple[int, int, int], role: Role) -> Problem:
        side = self.side or self.net.side
        features = self.net.outline(self.layer, side)
        y = features(torch.empty(1, 3, side, side, device="meta"))
        loss = partial(_maximized if self.goal == "maximize" else _matched, factor=self.factor)
        return Problem(y=y, shape=(3, side, side), forward=features, weight=torch.empty_like(y), loss=loss)

    def _unit(self, count: int) -> int:
        if isinstance(self.unit, int):
            if self.unit >= count:
                raise ValueError(f"unit: given {self.unit}; layer {self.layer} has {count}, from 0  [task.unit]")
            return self.unit
        if count != len(imagenet.names()):
            raise ValueError(
                f"unit: given {self.unit!r}, a class, but layer {self.layer} has {count} channels and no classes; "
                f"give a number, or layer=fc8"
            )
        return imagenet.number(self.unit)


def centred(length: int, window: int) -> slice:
    """Returns the slice of the central `window` elements of an axis, or of all elements if it is shorter."""
    first = max(length // 2 - window // 2, 0)
    return slice(first, min(first + window, length))


def _maximized(
    a_x: Float[Tensor, "1 c h w"], y: Float[Tensor, "1 c h w"], weight: Float[Tensor, "1 _ _ _"] | None, factor: float
) -> Float[Tensor, ""]:
    assert weight is not None
    return -factor * (a_x * weight).sum()


def _matched(
    a_x: Float[Tensor, "1 c h w"], y: Float[Tensor, "1 c h w"], weight: Float[Tensor, "1 _ _ _"] | None, factor: float
) -> Float[Tensor, ""]:
    assert weight is not None
    return factor * ((y - a_x).abs() * weight).sum()


def _remarks(classify: Features, unit: int, x_hat: Float[np.ndarray, "1 C H W"]) -> list[str]:
    with torch.no_grad():
        seen = classify(torch.from_numpy(x_hat).float().clamp(0, 1)).flatten()
    best = int(seen.argmax())
    names = imagenet.names()
    said = f"the classifier takes it for {names[unit]!r} with probability {float(seen[unit]):.3f}"
    return [said if best == unit else f"{said}, and for {names[best]!r} with {float(seen[best]):.3f}"]
