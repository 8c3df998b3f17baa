"""BatchNorm (with LeakyReLU) and its adjoint, computed from the map before it and from two statistics per channel.

All maps are float tensors (N, C, H, W), and all per-channel numbers are (C,). For a bfloat16 map the per-channel
numbers and all sums are float32; only the maps are rounded.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from dip_exp.archs.fast import maps

BAND_BYTES = 2**22
"""Bytes of a map that a 1x1 convolution processes at a time. It goes through a larger map in bands of rows, so that no
temporary has the size of the map."""

GRAM = (0.375, 1.25, 0.375)
"""The kernel of U'U along each axis of x, with its border repeated, where u = U x is bilinear x2 upsampling (without
align_corners)."""


class Norm(NamedTuple):
    """A BatchNorm at one map: its parameters gamma and beta, and the map's statistics."""

    gamma: Tensor
    beta: Tensor
    mean: Tensor
    inverse: Tensor
    """1 / sqrt(variance + eps)"""

    def applied(self, c: Tensor) -> Tensor:
        """Returns the normalised c as a new tensor."""
        # BatchNorm with given statistics is PyTorch's fastest kernel for one scale and shift per channel.
        return F.batch_norm(c, self.mean, self.inverse.pow(-2), self.gamma, self.beta, False, 0.0, 0.0)


def wide(numbers: Tensor) -> Tensor:
    """Returns `numbers` as (C, 1, 1), which broadcasts over the pixels of a map."""
    return numbers[:, None, None]


def bands(c: Tensor) -> Iterator[slice]:
    """Yields slices of rows, each of at most `BAND_BYTES` of c, or of one row."""
    height = c.shape[2]
    at_once = max(1, BAND_BYTES * height // (c.numel() * c.element_size()))
    for top in range(0, height, at_once):
        yield slice(top, min(top + at_once, height))


def measured(c: Tensor, gamma: Tensor, beta: Tensor, eps: float, *, doubled: bool = False) -> Norm:
    """Returns the BatchNorm of c or, with `doubled`, that of c upsampled x2 bilinearly, which is never materialised.

    Upsampling weights every pixel of c with 4 in total, borders included. The mean is therefore that of c, and the sum
    of squares is c' U'U c for centred c.
    """
    if c.dtype == torch.bfloat16:
        mean, variance = torch.batch_norm_update_stats(c, torch.zeros_like(gamma), torch.ones_like(gamma), 0.0)
        if doubled:
            centred = _centred(c, mean)
            variance = _inner(centred, _through_gram(centred), gamma) / count(c)
        return Norm(gamma, beta, mean, variance.add_(eps).rsqrt_())
    mean = c.mean((0, 2, 3))
    centred = _centred(c, mean)
    if doubled:
        square = _inner(centred, _through_gram(centred), gamma)
    else:
        square = torch.linalg.vector_norm(centred, dim=(0, 2, 3)).square_()
    return Norm(gamma, beta, mean, square.div_(count(c)).add_(eps).rsqrt_())


def adjoint(g: Tensor, c: Tensor, norm: Norm, *, doubled: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the gradients of `norm` at c with respect to c, gamma and beta; g may be overwritten."""
    if not doubled:
        return torch.ops.aten.native_batch_norm_backward(
            g, c, norm.gamma, None, None, norm.mean, norm.inverse, True, 0.0, [True, True, True]
        )
    centred = _centred(c, norm.mean)
    gbeta = total(g, norm.beta)
    ggamma = _inner(g, centred, norm.gamma) * norm.inverse
    # The gradient through c itself, through the mean, and through the variance (by way of `inverse`).
    scale = norm.gamma * norm.inverse
    gc = _affine(g, scale, -scale * gbeta / count(c))
    by = -scale * norm.inverse * ggamma / count(c)
    if gc.dtype != by.dtype:
        return gc.add_(_affine(_through_gram(centred), by, torch.zeros_like(by))), ggamma, gbeta
    return gc.addcmul_(_through_gram(centred), wide(by)), ggamma, gbeta


def _affine(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Returns scale x + shift, channel by channel."""
    return F.batch_norm(x, torch.zeros_like(scale), torch.ones_like(scale), scale, shift, False, 0.0, 0.0)


def leaky_adjoint(g: Tensor, x: Tensor, slope: float) -> Tensor:
    """Returns the gradient g propagated back through the LeakyReLU whose output is x; g is overwritten."""
    return torch.ops.aten.leaky_relu_backward.grad_input(g, x, slope, True, grad_input=g)


def count(c: Tensor) -> int:
    """Returns the number of pixels over which the statistics of a channel are taken."""
    return c.numel() // c.shape[1]


def _through_gram(centred: Tensor) -> Tensor:
    """Returns U'U / 4 applied to the map (see `GRAM`)."""
    return maps.filtered(maps.repeated(centred, 1), GRAM, 0).mul_(0.25)


def total(g: Tensor, like: Tensor) -> Tensor:
    """Returns the sum over each channel, accumulated in the dtype of `like`."""
    return g.sum((0, 2, 3), dtype=like.dtype)


def _centred(c: Tensor, mean: Tensor) -> Tensor:
    """Returns c minus its mean, in the dtype of c."""
    if c.dtype == mean.dtype:
        return c - wide(mean)
    return F.batch_norm(c, mean, torch.ones_like(mean), None, None, False, 0.0, 0.0)


def _inner(a: Tensor, b: Tensor, like: Tensor) -> Tensor:
    """Returns the inner product of a and b over each channel, accumulated in the dtype of `like`."""
    if a.dtype != like.dtype:
        return total(a * b, like)
    return torch.linalg.vecdot(a.flatten(2), b.flatten(2)).sum(0)


def norm_act(c: Tensor, norm: Norm, slope: float) -> Tensor:
    """Returns LeakyReLU(norm(c)) as a new tensor."""
    return F.leaky_relu_(norm.applied(c), slope)
