"""What is known of an observation's noise: how far y lies from A(x) on average, clipping included."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Noise:
    """variance: of A(x), the expected (y - A(x))^2 of every value. sigma: the standard deviation of white Gaussian
    noise before it was clipped, in [0, 1] units; None for noise of another kind."""

    variance: Callable[[Tensor], Tensor]
    sigma: float | None = None


def gaussian(sigma: float, *, clipped: bool) -> Noise:
    """Returns what is known of white Gaussian noise; `clipped`: the observation was cut to [0, 1] afterwards."""
    if clipped:
        return Noise(lambda a_x: clipped_variance(a_x, torch.as_tensor(sigma, dtype=a_x.dtype)), sigma)
    return Noise(lambda a_x: torch.full_like(a_x, sigma**2), sigma)


def known(sigma_255: float | None, own: Noise | None) -> Noise | None:
    """Returns the noise of a level that was given, in 8-bit units and clipped; where none was, a problem's `own`."""
    return own if sigma_255 is None else gaussian(sigma_255 / 255, clipped=True)


def clipped_variance(x: Tensor, sigma: Tensor) -> Tensor:
    """Returns E (clip(x + n, 0, 1) - x)^2 for n ~ N(0, sigma^2), x in [0, 1] (what lies outside is taken to its edge).

    The integral of n^2 between -x and 1 - x, and beyond them the squared distance to the edge times its probability.
    """
    x = x.clamp(0, 1)
    sigma = sigma.to(x.device).clamp(min=1e-6)
    low, high = -x / sigma, (1 - x) / sigma
    inside = _cumulative(high) - _cumulative(low) - (high * _density(high) - low * _density(low))
    return sigma.square() * inside + x.square() * _cumulative(low) + (1 - x).square() * (1 - _cumulative(high))


def _density(t: Tensor) -> Tensor:
    return torch.exp(-t.square() / 2) / math.sqrt(2 * math.pi)


def _cumulative(t: Tensor) -> Tensor:
    return torch.special.ndtr(t)
