"""The convolutions of a step, each with its own backward pass: it keeps what was not made here and makes the rest anew.

A block of the paper's networks is convolution, BatchNorm, LeakyReLU, padding, convolution, ... Autograd keeps the input
of every one of them; here a convolution keeps the one map before its BatchNorm, and its backward pass repeats the cheap
elementwise part. All maps are float tensors (N, C, H, W); none of it can be differentiated twice.

Maps may be bfloat16 where weights are float32: a convolution then reads its weights rounded, and keeps them so; their
gradients are float32 once they are summed. A network's twin in half precision is these same functions (`FastSkip`).
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
    """The stride of a convolution, whether its border is reflected (else zero), and whether it computes in the type of
    its weights, whatever that of the map is (else in the map's)."""

    stride: int
    mirror: bool
    full: bool = False


def cast(weight: Tensor, x: Tensor) -> Tensor:
    """Returns a kernel (O, C, H, W) in the type and layout of the map it meets; itself where it has them."""
    return weight.to(dtype=x.dtype, memory_format=maps.layout(x)) if weight.dtype != x.dtype else weight


def _conv(x: Tensor, weight: Tensor, bias: Tensor | None, how: How) -> Tensor:
    """A convolution of output ceil(H / stride) x ceil(W / stride), in the type of its weight."""
    width = weight.shape[2] // 2
    x, bias = x.to(weight.dtype), None if bias is None else bias.to(weight.dtype)
    if how.mirror:
        return F.conv2d(maps.mirrored(x, width), weight, bias, how.stride)
    return F.conv2d(x, weight, bias, how.stride, width)


def _conv_adjoint(
    g: Tensor, x: Tensor, weight: Tensor, how: How, needs: tuple[bool, bool, bool]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Returns the gradients of `_conv` in x, weight and bias, where `needs` asks for them, that in x in its type."""
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
    """`_conv`, keeping x itself and not its padded copy."""

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
    """`_conv` of LeakyReLU(BatchNorm(c)); a 1x1 convolution goes band by band."""

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
            # What comes of a band of g takes its place: the twin's maps have one reader each, so g is nobody else's.
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
    """Returns a + b, of what is there; a is overwritten."""
    return b if a is None or b is None else a.add_(b)


class NormActFork(Function):
    """Two convolutions of the same LeakyReLU(BatchNorm(c)): (weight, bias, how) of the one, then of the other."""

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
