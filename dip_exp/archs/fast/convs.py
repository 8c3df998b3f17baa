"""Convolutions with custom backward passes that save only the map before each BatchNorm and recompute the rest.

A block of the paper's networks is convolution, BatchNorm, LeakyReLU, padding, convolution, ... Autograd saves the input
of each of these. Here a convolution saves only the map before its BatchNorm, and its backward pass recomputes the cheap
elementwise part. All maps are float tensors (N, C, H, W); no function here can be differentiated twice.

Maps may be bfloat16 while weights are float32. A convolution then uses and saves a rounded copy of its weights; their
gradients are converted to float32 before they are summed. Half precision uses these same functions (`FastSkip`).
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from dip_exp.archs.fast import maps, norms
from dip_exp.archs.fast.norms import Norm

Grads = tuple[Tensor | None, ...]


class How(NamedTuple):
    """How a convolution computes. mirror: its border is reflected (else zeros). full: it computes in the dtype of its
    weights (else in that of the map)."""

    stride: int
    mirror: bool
    full: bool = False


def cast(weight: Tensor, x: Tensor) -> Tensor:
    """Returns a kernel (O, C, H, W) in the dtype and layout of the map x; the kernel itself if the dtypes agree."""
    return weight.to(dtype=x.dtype, memory_format=maps.layout(x)) if weight.dtype != x.dtype else weight


def _conv(x: Tensor, weight: Tensor, bias: Tensor | None, how: How) -> Tensor:
    """Returns the convolution, with ceil(H / stride) x ceil(W / stride) pixels, in the dtype of its weight."""
    width = weight.shape[2] // 2
    x, bias = x.to(weight.dtype), None if bias is None else bias.to(weight.dtype)
    if how.mirror:
        return F.conv2d(maps.mirrored(x, width), weight, bias, how.stride)
    return F.conv2d(x, weight, bias, how.stride, width)


def _conv_adjoint(
    g: Tensor, x: Tensor, weight: Tensor, how: How, needs: tuple[bool, bool, bool]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Returns the gradients of `_conv` with respect to x (in its dtype), weight and bias, each if `needs` asks for
    it."""
    width = weight.shape[2] // 2
    meeting = x.to(weight.dtype)
    padded = maps.mirrored(meeting, width) if how.mirror else meeting
    border = 0 if how.mirror else width
    gx, gw, gb = torch.ops.aten.convolution_backward(
        g, padded, weight, [len(weight)], [how.stride] * 2, [border] * 2, [1, 1], False, [0, 0], 1, list(needs)
    )
    if needs[0]:
        gx = maps.dense((maps.mirrored_adjoint(gx, width) if how.mirror else gx).to(x.dtype))
    return gx, gw, gb


class Conv(Function):
    """`_conv`, which saves x itself instead of its padded copy."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, how: How) -> Tensor:
        weight = cast(weight, x)
        ctx.save_for_backward(x, weight)
        ctx.how = how
        return _conv(x, weight, bias, how)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> Grads:  # type: ignore[override]
        x, weight = ctx.saved_tensors
        return *_conv_adjoint(g, x, weight, ctx.how, ctx.needs_input_grad[:3]), None


class NormActConv(Function):
    """`_conv` of LeakyReLU(BatchNorm(c)); a 1x1 convolution of stride 1 is computed in bands of rows."""

    @staticmethod
    def forward(
        ctx: Any,
        c: Tensor,
        gamma: Tensor,
        beta: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        eps: float,
        slope: float,
        how: How,
    ) -> Tensor:
        norm = norms.measured(c, gamma, beta, eps)
        weight = weight if how.full else cast(weight, c)
        ctx.save_for_backward(c, weight, *norm)
        ctx.slope, ctx.how = slope, how
        bands = _bands(c, weight, how)
        if len(bands) == 1:
            return _conv(norms.norm_act(c, norm, slope), weight, bias, how)
        out = maps.empty(weight, c.shape[0], len(weight), *c.shape[2:])
        for rows in bands:
            out[:, :, rows] = _conv(norms.norm_act(c[:, :, rows], norm, slope), weight, bias, how)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> Grads:  # type: ignore[override]
        c, weight, *rest = ctx.saved_tensors
        norm = Norm(*rest)
        needs = ctx.needs_input_grad
        bands = _bands(c, weight, ctx.how)
        gc = gweight = gbias = None
        if len(bands) > 1:
            # Reuse g's storage for the result. Safe because each map of the twin has exactly one consumer.
            alike = g.shape == c.shape and g.dtype == c.dtype and g.is_contiguous(memory_format=maps.layout(c))
            gc = g if alike else torch.empty_like(c)
        for rows in bands:
            x = norms.norm_act(c[:, :, rows], norm, ctx.slope)
            part = g if len(bands) == 1 else maps.dense(g[:, :, rows])
            gx, gw, gb = _conv_adjoint(part, x, weight, ctx.how, (True, needs[3], needs[4]))
            assert gx is not None
            norms.leaky_adjoint(gx, x, ctx.slope)
            if gc is None:
                gc = gx
            else:
                gc[:, :, rows] = gx
            gweight, gbias = (
                summed(before, each if each is None else each.to(norm.gamma.dtype))
                for before, each in ((gweight, gw), (gbias, gb))
            )
        assert gc is not None
        return *norms.adjoint(gc, c, norm), gweight, gbias, None, None, None


def _bands(c: Tensor, weight: Tensor, how: How) -> list[slice]:
    return list(norms.bands(c)) if weight.shape[2] == 1 and how.stride == 1 else [slice(None)]


def summed(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    """Returns a + b, where None counts as zero; a is overwritten."""
    return b if a is None or b is None else a.add_(b)


class NormActFork(Function):
    """Two convolutions of the same LeakyReLU(BatchNorm(c)); each is given by its weight, bias and `How`."""

    @staticmethod
    def forward(
        ctx: Any,
        c: Tensor,
        gamma: Tensor,
        beta: Tensor,
        eps: float,
        slope: float,
        first: Tensor,
        first_bias: Tensor | None,
        first_how: How,
        second: Tensor,
        second_bias: Tensor | None,
        second_how: How,
    ) -> tuple[Tensor, Tensor]:
        norm = norms.measured(c, gamma, beta, eps)
        first, second = cast(first, c), cast(second, c)
        ctx.save_for_backward(c, first, second, *norm)
        ctx.slope, ctx.hows = slope, (first_how, second_how)
        x = norms.norm_act(c, norm, slope)
        return _conv(x, first, first_bias, first_how), _conv(x, second, second_bias, second_how)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g1: Tensor, g2: Tensor) -> Grads:  # type: ignore[override]
        c, first, second, *rest = ctx.saved_tensors
        norm = Norm(*rest)
        needs = ctx.needs_input_grad
        x = norms.norm_act(c, norm, ctx.slope)
        gx, gfirst, gfirst_bias = _conv_adjoint(g1, x, first, ctx.hows[0], (True, needs[5], needs[6]))
        more, gsecond, gsecond_bias = _conv_adjoint(g2, x, second, ctx.hows[1], (True, needs[8], needs[9]))
        assert gx is not None
        assert more is not None
        gc, ggamma, gbeta = norms.adjoint(norms.leaky_adjoint(gx.add_(more), x, ctx.slope), c, norm)
        return gc, ggamma, gbeta, None, None, gfirst, gfirst_bias, None, gsecond, gsecond_bias, None
