"""Statistics of an observation's noise: the expected squared difference of y and A(x), clipping included."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dip_exp.shapes import Float


@dataclass(frozen=True)
class Noise:
    """variance: maps A(x) to the expected (y - A(x))^2 of each value. sigma: standard deviation of white Gaussian noise
    before clipping, in units of [0, 1]; None for other noise."""

    variance: Callable[[Float[Tensor, "1 c h w"]], Float[Tensor, "1 c h w"]]
    sigma: float | None = None


def gaussian(sigma: float, *, clipped: bool) -> Noise:
    """Returns the statistics of white Gaussian noise; `clipped`: the observation was then clipped to [0, 1]."""
    if clipped:
        return Noise(lambda a_x: clipped_variance(a_x, torch.as_tensor(sigma, dtype=a_x.dtype)), sigma)
    return Noise(lambda a_x: torch.full_like(a_x, sigma**2), sigma)


def known(sigma_255: float | None, own: Noise | None) -> Noise | None:
    """Returns clipped Gaussian noise of a given level in 8-bit units, or a problem's `own` noise if that is None."""
    return own if sigma_255 is None else gaussian(sigma_255 / 255, clipped=True)


def clipped_variance(x: Float[Tensor, "*axes"], sigma: Float[Tensor, "*#axes"]) -> Float[Tensor, "*axes"]:
    """Returns E (clip(x + n, 0, 1) - x)^2 for n ~ N(0, sigma^2); x is first clamped to [0, 1].

    It is the integral of n^2 over [-x, 1 - x], plus at each end the squared distance times the probability beyond it.
    """
    x = x.clamp(0, 1)
    sigma = sigma.to(x.device).clamp(min=1e-6)
    low, high = -x / sigma, (1 - x) / sigma
    inside = _cumulative(high) - _cumulative(low) - (high * _density(high) - low * _density(low))
    return sigma.square() * inside + x.square() * _cumulative(low) + (1 - x).square() * (1 - _cumulative(high))


def _density(t: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
    return torch.exp(-t.square() / 2) / math.sqrt(2 * math.pi)


def _cumulative(t: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
    return torch.special.ndtr(t)
