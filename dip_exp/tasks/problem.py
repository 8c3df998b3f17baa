"""The problem that a fit solves: an observation, a forward operator, and a loss that compares the two.

Letters as in the paper: x clean picture, y (x0) observation, z the network's input, x_hat = f_theta(z) its output.
"""

import copy
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from dip_exp.metrics import PROTOCOLS, Protocol
from dip_exp.shapes import Float
from dip_exp.tasks.noise import Noise

Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""(A(x_hat), y, weight or None) -> scalar."""


def identity(x_hat: Float[Tensor, "1 C H W"]) -> Float[Tensor, "1 C H W"]:
    """Returns its argument: the forward operator of denoising."""
    return x_hat


def mse(
    a_x: Float[Tensor, "1 c h w"], y: Float[Tensor, "1 c h w"], weight: Float[Tensor, "1 _ _ _"] | None = None
) -> Float[Tensor, ""]:
    """Returns the mean over all elements of (w (A(x_hat) - y))^2 (paper eqs. 3 to 6); unknown ones count as 0."""
    residual = a_x - y if weight is None else (a_x - y) * weight
    return residual.square().mean()


def known_mse(
    a_x: Float[Tensor, "1 c h w"], y: Float[Tensor, "1 c h w"], weight: Float[Tensor, "1 _ _ _"] | None = None
) -> Float[Tensor, ""]:
    """Returns the same sum divided by the number of known elements: the loss does not scale with their fraction."""
    if weight is None:
        return mse(a_x, y)
    return ((a_x - y) * weight).square().sum() / weight.expand_as(y).sum()


@dataclass(frozen=True, kw_only=True)
class TotalVariation:
    """weight * sum over pixels and channels of (dx^2 + dy^2)^beta; a sum, not a mean (supplement, "prior effect").

    beta = 0.5 is isotropic total variation. The 1e-12 inside the power keeps the gradient finite in flat areas, where
    it is not finite in the released code.
    """

    weight: float
    beta: float = 0.5

    def __call__(self, x_hat: Float[Tensor, "1 C H W"]) -> Float[Tensor, ""]:
        dx = x_hat[..., :-1, 1:] - x_hat[..., :-1, :-1]
        dy = x_hat[..., 1:, :-1] - x_hat[..., :-1, :-1]
        return self.weight * (dx.square() + dy.square() + 1e-12).pow(self.beta).sum()


@dataclass(frozen=True, kw_only=True)
class Problem:
    """min over theta of loss(A(f_theta(z)), y, weight) + prior(f_theta(z)): all that a fit needs from a task.

    y:        observation, float (1, c, h, w).
    shape:    (C, H, W) of x_hat; default: the shape of y.
    forward:  A, differentiable; maps (1, C, H, W) to the shape of y.
    weight:   0 where y is unknown; broadcasts to y.
    loss:     compares A(x_hat) with y under the weight.
    prior:    an extra term on x_hat.
    x:        the clean picture (1, C, H, W) in [0, 1], or None. Used only for scores, never fitted.
    protocol: how x_hat is scored against x.
    paste:    (1, 1 or C, H, W) of {0, 1}: pixels of y that are pasted into the result; y must have x_hat's shape.
    missing:  boolean, same shape: pixels that are also scored on their own.
    baseline: the task's main classical restorer: its name, and a function that returns its picture (1, C, H, W).
    rivals:   {name: function}: further classical restorers, called alike; their names are parts of file names.
    shown:    the picture that represents the observation; default: y. None if y is not a picture: nothing is shown.
    noise:    statistics of the noise in y, or None if unknown.
    guide:    a picture that the input may use as z instead of y (the flash picture).
    derived:  {kind: function}: further pictures computed from the stopped one; the last is the result.
    remarks:  a function that returns sentences about the restored picture (1, C, H, W).
    notes:    sentences that the user should know before the fit.

    Raises ValueError if shapes do not match, x is not in [0, 1], `protocol` does not suit x or `missing`, or a rival's
    name cannot be part of a file name.
    """

    y: Tensor
    shape: tuple[int, int, int] = (0, 0, 0)
    forward: Callable[[Tensor], Tensor] = identity
    weight: Tensor | None = None
    loss: Loss = mse
    prior: Callable[[Tensor], Tensor] | None = None
    x: Tensor | None = None
    protocol: Protocol = field(default_factory=lambda: PROTOCOLS["rgb"])
    paste: Tensor | None = None
    missing: Tensor | None = None
    baseline: tuple[str, Callable[[], np.ndarray]] | None = None
    rivals: Mapping[str, Callable[[], np.ndarray]] = field(default_factory=dict)
    shown: Tensor | Literal["y"] | None = "y"
    noise: Noise | None = None
    guide: Tensor | None = None
    derived: Mapping[str, Callable[[np.ndarray], np.ndarray]] = field(default_factory=dict)
    remarks: Callable[[np.ndarray], list[str]] | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.y.ndim != 4 or self.y.shape[0] != 1 or not self.y.is_floating_point():
            raise ValueError(
                f"problem: y is {tuple(self.y.shape)} {self.y.dtype}; expected one float picture (1, C, H, W)"
            )
        if self.shape == (0, 0, 0):
            object.__setattr__(self, "shape", tuple(self.y.shape[1:]))
        if self.x is not None and tuple(self.x.shape) != (1, *self.shape):
            raise ValueError(f"problem: x is {tuple(self.x.shape)} but x_hat will be {(1, *self.shape)}")
        for name, tensor, target in (
            ("weight", self.weight, tuple(self.y.shape)),
            ("paste", self.paste, (1, *self.shape)),
            ("missing", self.missing, (1, *self.shape)),
        ):
            if tensor is not None and not _broadcasts(tuple(tensor.shape), target):
                raise ValueError(f"problem: {name} is {tuple(tensor.shape)}; it must broadcast to {target}")
        if self.x is not None:
            if not bool(torch.isfinite(self.x).all()) or float(self.x.min()) < 0 or float(self.x.max()) > 1:
                raise ValueError("problem: x, the clean picture, must be finite and lie in [0, 1]")
            self.protocol.view(self.x)  # refuse a crop that leaves nothing now, not after the fit
        if self.missing is not None and self.protocol.channels != "rgb":
            raise ValueError("problem: missing pixels are scored with protocol rgb (or another of its channels) alone")
        if self.paste is not None and tuple(self.y.shape) != (1, *self.shape):
            raise ValueError(f"problem: paste needs y {tuple(self.y.shape)} of x_hat's shape {(1, *self.shape)}")
        for name in self.rivals:
            if not re.fullmatch(r"[a-z0-9_]+", name):
                raise ValueError(
                    f"problem: rivals has {name!r}, which is to be part of a file's name; must be lower-case "
                    f"letters, digits and _; rename it"
                )

    @property
    def observation(self) -> Tensor | None:
        """The picture that represents the observation, or None."""
        return self.y if isinstance(self.shown, str) else self.shown

    def energy(self, x_hat: Tensor) -> Tensor:
        """Returns the energy E(x_hat; y), the scalar that a fit minimises."""
        return self.terms(x_hat)[0]

    def terms(self, x_hat: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the energy E(x_hat; y), and its data term alone."""
        data = self.loss(self.forward(x_hat), self.y, self.weight)
        return (data if self.prior is None else data + self.prior(x_hat)), data

    def to(self, device: torch.device, dtype: torch.dtype) -> "Problem":
        """Returns the problem with its tensors (and its operator, if that is a module) on a device, in a dtype."""
        moved: dict = {}
        for name in ("y", "weight", "x", "paste"):
            tensor = getattr(self, name)
            moved[name] = tensor if tensor is None else tensor.to(device, dtype)
        moved["missing"] = None if self.missing is None else self.missing.to(device)
        forward = self.forward
        if isinstance(forward, torch.nn.Module):
            forward = copy.deepcopy(forward).to(device)  # a copy, because the caller's must not move
        return replace(self, **moved, forward=forward)


def _broadcasts(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    return len(shape) == len(target) and all(a in (1, b) for a, b in zip(shape, target, strict=True))
