"""The problem that a fit solves: an observation, a forward operator, and a loss that compares the two.

Letters as in the paper: x clean picture, y (x0) observation, z the network's input, x_hat = f_theta(z) its output.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from dip_exp.metrics import Protocol
from dip_exp.shapes import Float
from dip_exp.tasks.noise import Noise
from dip_exp.tasks.presentation import Presentation, Restorer

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
    noise:    statistics of the noise in y, or None if unknown; some stop rules use them.
    guide:    a picture that the input may use as z instead of y (the flash picture).
    start:    the classical restoration that `input=classical` uses as z: its name, and the restorer. It knows what the
              fit knows: not the level of noise that was added here.
    start_memory: the memory that the restorer may need, in bytes; 0 if it is little.
    x:        the clean picture (1, C, H, W) in [0, 1], or None. Used only for scores, never fitted.
    presentation: how the result is scored, finished, compared and described. The fit does not read it.

    Raises ValueError if shapes do not match, or x is not in [0, 1] or is smaller than the protocol's crop.
    """

    y: Tensor
    shape: tuple[int, int, int] = (0, 0, 0)
    forward: Callable[[Tensor], Tensor] = identity
    weight: Tensor | None = None
    loss: Loss = mse
    prior: Callable[[Tensor], Tensor] | None = None
    noise: Noise | None = None
    guide: Tensor | None = None
    start: tuple[str, Restorer] | None = None
    start_memory: int = 0
    x: Tensor | None = None
    presentation: Presentation = field(default_factory=Presentation)

    def __post_init__(self) -> None:
        if self.y.ndim != 4 or self.y.shape[0] != 1 or not self.y.is_floating_point():
            raise ValueError(
                f"problem: y is {tuple(self.y.shape)} {self.y.dtype}; expected one float picture (1, C, H, W)"
            )
        if self.shape == (0, 0, 0):
            object.__setattr__(self, "shape", tuple(self.y.shape[1:]))
        x_hat, paste = (1, *self.shape), self.presentation.paste
        for name, tensor, target in (
            ("weight", self.weight, tuple(self.y.shape)),
            ("paste", paste, x_hat),
            ("missing", self.presentation.missing, x_hat),
        ):
            if tensor is not None and not _broadcasts(tuple(tensor.shape), target):
                raise ValueError(f"problem: {name} is {tuple(tensor.shape)}; it must broadcast to {target}")
        if paste is not None and tuple(self.y.shape) != x_hat:
            raise ValueError(f"problem: paste needs y {tuple(self.y.shape)} of x_hat's shape {x_hat}")
        if self.x is not None:
            self._check_truth(self.x)

    def _check_truth(self, x: Tensor) -> None:
        if tuple(x.shape) != (1, *self.shape):
            raise ValueError(f"problem: x is {tuple(x.shape)} but x_hat will be {(1, *self.shape)}")
        if not bool(torch.isfinite(x).all()) or float(x.min()) < 0 or float(x.max()) > 1:
            raise ValueError("problem: x, the clean picture, must be finite and lie in [0, 1]")
        self.protocol.view(x)  # refuse a crop that leaves nothing now, not after the fit

    @property
    def protocol(self) -> Protocol:
        """How x_hat is scored against x."""
        return self.presentation.protocol

    @property
    def observation(self) -> Tensor | None:
        """The picture that represents the observation, or None."""
        shown = self.presentation.shown
        return self.y if isinstance(shown, str) else shown

    def energy(self, x_hat: Tensor) -> Tensor:
        """Returns the energy E(x_hat; y), the scalar that a fit minimises."""
        return self.terms(x_hat)[0]

    def terms(self, x_hat: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the energy E(x_hat; y), and its data term alone."""
        data = self.loss(self.forward(x_hat), self.y, self.weight)
        return (data if self.prior is None else data + self.prior(x_hat)), data

    def to(self, device: torch.device, dtype: torch.dtype) -> "Problem":
        """Returns the problem with the tensors of the fit (and its operator, if that is a module) on a device, in a
        dtype. The guide and the presentation stay: z is drawn, and the result presented, on the CPU."""
        moved: dict[str, Any] = {}
        for name in ("y", "weight", "x"):
            tensor = getattr(self, name)
            moved[name] = tensor if tensor is None else tensor.to(device, dtype)
        forward = self.forward
        if isinstance(forward, torch.nn.Module):
            forward = copy.deepcopy(forward).to(device)  # a copy, because the caller's must not move
        return replace(self, **moved, forward=forward)


def _broadcasts(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    return len(shape) == len(target) and all(a in (1, b) for a, b in zip(shape, target, strict=True))
