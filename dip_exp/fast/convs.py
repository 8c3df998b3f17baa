"""The convolutions of a step, each with its own backward pass: it keeps what was not made here and makes the rest anew.

A block of the paper's networks is convolution, BatchNorm, LeakyReLU, padding, convolution, ... Autograd keeps the input
of every one of them; here a convolution keeps the one map before its BatchNorm, and its backward pass repeats the cheap
elementwise part. All maps are float tensors (N, C, H, W); none of it can be differentiated twice.
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from dip_exp.fast import maps, norms
from dip_exp.fast.norms import Norm

Grads = tuple[Tensor | None, ...]

CHANNELS_AT_ONCE = 64
"""Of a join's convolution: what is made of them is gone before the next."""


class How(NamedTuple):
    """The stride of a convolution, and whether its border is reflected (else zero)."""

    stride: int
    mirror: bool


def _conv(x: Tensor, weight: Tensor, bias: Tensor | None, how: How) -> Tensor:
    """A convolution of output ceil(H / stride) x ceil(W / stride)."""
    width = weight.shape[2] // 2
    if how.mirror:
        return F.conv2d(maps.mirrored(x, width), weight, bias, how.stride)
    return F.conv2d(x, weight, bias, how.stride, width)


def _conv_adjoint(
    g: Tensor, x: Tensor, weight: Tensor, how: How, needs: tuple[bool, bool, bool]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Returns the gradients of `_conv` in x, weight and bias, where `needs` asks for them."""
    width = weight.shape[2] // 2
    padded = maps.mirrored(x, width) if how.mirror else x
    border = 0 if how.mirror else width
    gx, gw, gb = torch.ops.aten.convolution_backward(
        g, padded, weight, [len(weight)], [how.stride] * 2, [border] * 2, [1, 1], False, [0, 0], 1, list(needs)
    )
    if needs[0]:
        gx = (maps.mirrored_adjoint(gx, width) if how.mirror else gx).contiguous()
    return gx, gw, gb


class Conv(Function):
    """`_conv`, keeping x itself and not its padded copy."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, how: How) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.how = how
        return _conv(x, weight, bias, how)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> Grads:
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
        ctx.save_for_backward(c, weight, *norm)
        ctx.slope, ctx.how = slope, how
        bands = _bands(c, weight)
        if len(bands) == 1:
            return _conv(norms.norm_act(c, norm, slope), weight, bias, how)
        out = c.new_empty(c.shape[0], len(weight), *c.shape[2:])
        for rows in bands:
            out[:, :, rows] = F.conv2d(norms.norm_act(c[:, :, rows], norm, slope), weight, bias)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> Grads:
        c, weight, *rest = ctx.saved_tensors
        norm = Norm(*rest)
        needs = ctx.needs_input_grad
        bands = _bands(c, weight)
        gc = torch.empty_like(c)
        gweight = gbias = None
        for rows in bands:
            x = norms.norm_act(c[:, :, rows], norm, ctx.slope)
            part = g if len(bands) == 1 else g[:, :, rows].contiguous()
            gx, gw, gb = _conv_adjoint(part, x, weight, ctx.how, (True, needs[3], needs[4]))
            assert gx is not None
            norms.leaky_adjoint(gx, x, ctx.slope)
            if len(bands) == 1:
                gc = gx
            else:
                gc[:, :, rows] = gx
            gweight, gbias = _sum(gweight, gw), _sum(gbias, gb)
        return *norms.adjoint(gc, c, norm), gweight, gbias, None, None, None


def _bands(c: Tensor, weight: Tensor) -> list[slice]:
    return list(norms.bands(c)) if weight.shape[2] == 1 else [slice(None)]


def _sum(a: Tensor | None, b: Tensor | None) -> Tensor | None:
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
        ctx.save_for_backward(c, first, second, *norm)
        ctx.slope, ctx.hows = slope, (first_how, second_how)
        x = norms.norm_act(c, norm, slope)
        return _conv(x, first, first_bias, first_how), _conv(x, second, second_bias, second_how)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g1: Tensor, g2: Tensor) -> Grads:
        c, first, second, *rest = ctx.saved_tensors
        norm = Norm(*rest)
        needs = ctx.needs_input_grad
        x = norms.norm_act(c, norm, ctx.slope)
        gx, gfirst, gfirst_bias = _conv_adjoint(g1, x, first, ctx.hows[0], (True, needs[5], needs[6]))
        more, gsecond, gsecond_bias = _conv_adjoint(g2, x, second, ctx.hows[1], (True, needs[8], needs[9]))
        assert gx is not None and more is not None
        gc, ggamma, gbeta = norms.adjoint(norms.leaky_adjoint(gx.add_(more), x, ctx.slope), c, norm)
        return gc, ggamma, gbeta, None, None, gfirst, gfirst_bias, None, gsecond, gsecond_bias, None


class Branch(NamedTuple):
    """A map that comes to a join: LeakyReLU(BatchNorm(c)), then the join's own BatchNorm over its channels."""

    c: Tensor
    own: Norm
    joint: Norm

    def made(self, slope: float) -> Tensor:
        """Returns the branch, normalised."""
        return self.joint.applied(norms.norm_act(self.c, self.own, slope))

    def adjoint(self, g: Tensor, slope: float, *, doubled: bool) -> Grads:
        """Returns the gradients in c, own gamma and beta, joint gamma and beta; g is overwritten."""
        x = norms.norm_act(self.c, self.own, slope)
        gx, *of_joint = norms.adjoint(g, x, self.joint, doubled=doubled)
        return *norms.adjoint(norms.leaky_adjoint(gx, x, slope), self.c, self.own), *of_joint


def _branch(c: Tensor, own: tuple[Tensor, Tensor], joint: tuple[Tensor, Tensor], eps: float, slope: float, doubled: bool) -> Branch:
    first = norms.measured(c, *own, eps)
    return Branch(c, first, norms.measured(norms.norm_act(c, first, slope), *joint, eps, doubled=doubled))


class JoinConv(Function):
    """The 3x3 convolution, border reflected, of the BatchNorm of `kept` (or nothing) joined with `deep` doubled in height
    and width: bilinearly, without align_corners, or to the nearest. Both are given before their own BatchNorm and
    LeakyReLU. 16 multiplications for each weight and pixel of `deep` where the plain way takes 36.

    BatchNorm is one factor and one shift per channel, and doubling weighs to one: the two change places, and only mean
    and variance are those of the doubled map. The convolution of a join is the sum of the convolutions. Nearest
    doubling shows a 3x3 kernel two by two pixels, weighted by one of four sums of its taps (`maps.TAPS`). Bilinear
    doubling is nearest doubling followed by [1, 2, 1] / 4 along each axis, a filter that changes places with the
    convolution and with the reflection: it comes last.
    """

    LAST = (0.25, 0.5, 0.25)

    @staticmethod
    def forward(
        ctx: Any,
        deep: Tensor,
        deep_gamma: Tensor,
        deep_beta: Tensor,
        kept: Tensor | None,
        kept_gamma: Tensor | None,
        kept_beta: Tensor | None,
        gamma: Tensor,
        beta: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        eps: float,
        slope: float,
        bilinear: bool,
    ) -> Tensor:
        k = 0 if kept is None else kept.shape[1]
        below = _branch(deep, (deep_gamma, deep_beta), (gamma[k:], beta[k:]), eps, slope, bilinear)
        saved = [weight, deep, *below.own, *below.joint]
        framed = None
        if kept is not None:
            assert kept_gamma is not None and kept_beta is not None
            beside = _branch(kept, (kept_gamma, kept_beta), (gamma[:k], beta[:k]), eps, slope, False)
            saved += [kept, *beside.own, *beside.joint]
            framed = maps.mirrored(beside.made(slope), 1)
        ctx.save_for_backward(*saved)
        ctx.slope, ctx.bilinear = slope, bilinear
        padded, pieces = JoinConv._doubling(below.made(slope), bilinear)
        out = deep.new_empty(deep.shape[0], len(weight), 2 * deep.shape[2], 2 * deep.shape[3])
        for some in _some(weight):
            part = maps.interleaved(F.conv2d(padded, maps.kernels(weight[some, k:])), *pieces)
            if bilinear:
                part = maps.filtered(part, JoinConv.LAST, 0)
            if framed is not None:
                torch.add(part, F.conv2d(framed, weight[some, :k]), out=out[:, some])
            else:
                out[:, some] = part
            if bias is not None:
                out[:, some] += norms.wide(bias[some])
        return out

    @staticmethod
    def _doubling(x: Tensor, bilinear: bool) -> tuple[Tensor, Any]:
        """Returns x with its border, and where the phases of its convolution go."""
        pieces = maps.bilinear_pieces if bilinear else maps.nearest_pieces
        return maps.repeated(x, 2 if bilinear else 1), (pieces(x.shape[2]), pieces(x.shape[3]))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> Grads:
        weight, *rest = ctx.saved_tensors
        below = Branch(rest[0], Norm(*rest[1:5]), Norm(*rest[5:9]))
        beside = Branch(rest[9], Norm(*rest[10:14]), Norm(*rest[14:18])) if len(rest) > 9 else None
        k = 0 if beside is None else beside.c.shape[1]
        framed = None if beside is None else maps.mirrored(beside.made(ctx.slope), 1)
        padded, pieces = JoinConv._doubling(below.made(ctx.slope), ctx.bilinear)
        size = (padded.shape[2] - 1, padded.shape[3] - 1)
        gweight = torch.empty_like(weight)
        gpadded = gframed = None
        for some in _some(weight):
            part = g[:, some]
            if framed is not None:
                gx, gweight[some, :k] = _both(part, framed, weight[some, :k])
                gframed = _sum(gframed, gx)
            if ctx.bilinear:
                part = maps.filtered(part, JoinConv.LAST, 2)
            part = maps.interleaved_adjoint(part, *pieces, size)
            gx, gkernels = _both(part, padded, maps.kernels(weight[some, k:]))
            gweight[some, k:] = maps.kernels_adjoint(gkernels)
            gpadded = _sum(gpadded, gx)
        assert gpadded is not None
        del padded, framed, part
        gdeep = maps.repeated_adjoint(gpadded, 2 if ctx.bilinear else 1).contiguous()
        *of_deep, ggamma, gbeta = below.adjoint(gdeep, ctx.slope, doubled=ctx.bilinear)
        of_kept: list[Tensor | None] = [None, None, None]
        if beside is not None:
            assert gframed is not None and ggamma is not None and gbeta is not None
            gkept = maps.mirrored_adjoint(gframed, 1).contiguous()
            *of_kept, first_gamma, first_beta = beside.adjoint(gkept, ctx.slope, doubled=False)
            assert first_gamma is not None and first_beta is not None
            ggamma, gbeta = torch.cat([first_gamma, ggamma]), torch.cat([first_beta, gbeta])
        gbias = g.sum((0, 2, 3)) if ctx.needs_input_grad[9] else None
        return *of_deep, *of_kept, ggamma, gbeta, gweight, gbias, None, None, None


def _both(g: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the gradients of an unpadded convolution in x and in weight."""
    gx, gw, _ = torch.ops.aten.convolution_backward(
        g, x, weight, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1, [True, True, False]
    )
    return gx, gw


def _some(weight: Tensor) -> list[slice]:
    """Slices of the output channels."""
    return [slice(at, at + CHANNELS_AT_ONCE) for at in range(0, len(weight), CHANNELS_AT_ONCE)]
