"""The decoder's upsampling, concatenation and convolution, fused: the upsampled and joined maps are never materialised.

All maps are float tensors (N, C, H, W); no function here can be differentiated twice.
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from dip_exp.archs.fast import maps, norms
from dip_exp.archs.fast.convs import Grads, cast, summed
from dip_exp.archs.fast.norms import Norm

CHANNELS_AT_ONCE = 64
"""Output channels computed at a time; their temporaries are freed before the next group. A channels-last map is
computed in one go, because the channels of a pixel are adjacent in memory."""


class Branch(NamedTuple):
    """One input of a join: LeakyReLU(BatchNorm(c)), then the join's BatchNorm restricted to its channels."""

    c: Tensor
    own: Norm
    joint: Norm

    @classmethod
    def of(cls, saved: tuple[Tensor, ...]) -> "Branch":
        """Returns the branch whose `saved` gave these tensors."""
        c, *numbers = saved
        return cls(c, Norm._make(numbers[:4]), Norm._make(numbers[4:]))

    @property
    def saved(self) -> tuple[Tensor, ...]:
        """The tensors that the backward pass needs: the map, and the parameters and statistics of both norms."""
        return self.c, *self.own, *self.joint

    def made(self, slope: float) -> Tensor:
        """Returns the branch after its activation and both norms."""
        return self.joint.applied(norms.norm_act(self.c, self.own, slope))

    def adjoint(self, g: Tensor, slope: float, *, doubled: bool) -> tuple[Grads, Tensor, Tensor]:
        """Returns the gradients with respect to (c, own gamma, own beta), joint gamma and joint beta; g may be
        overwritten. doubled: the joint statistics are those of the upsampled map."""
        x = norms.norm_act(self.c, self.own, slope)
        gx, ggamma, gbeta = norms.adjoint(g, x, self.joint, doubled=doubled)
        return norms.adjoint(norms.leaky_adjoint(gx, x, slope), self.c, self.own), ggamma, gbeta


def _branch(
    c: Tensor, own: tuple[Tensor, Tensor], joint: tuple[Tensor, Tensor], eps: float, slope: float, doubled: bool
) -> Branch:
    first = norms.measured(c, *own, eps)
    return Branch(c, first, norms.measured(norms.norm_act(c, first, slope), *joint, eps, doubled=doubled))


class JoinConv(Function):
    """The 3x3 convolution, with reflected border, of BatchNorm(`kept` concatenated with `deep` upsampled x2).

    `kept` may be None. Upsampling is bilinear without align_corners, or nearest. Both maps are given before their own
    BatchNorm and LeakyReLU. Per pair of channels and pixel of `deep` this takes 16 multiplications, where the direct
    computation takes 36.

    BatchNorm is one scale and one shift per channel, and upsampling weights sum to one, so the two commute; only the
    mean and variance must be those of the upsampled map. The convolution of a concatenation is the sum of the
    convolutions. On a nearest-upsampled map a 3x3 kernel covers 2x2 source pixels, so it equals one of four 2x2 kernels
    of summed taps, chosen by pixel parity (`maps.TAPS`). Bilinear upsampling is nearest upsampling followed by the
    filter [1, 2, 1] / 4 along each axis. That filter commutes with the convolution and with the reflection, so it is
    applied last.
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
        saved = [weight, *below.saved]
        framed = None
        if kept is not None:
            assert kept_gamma is not None
            assert kept_beta is not None
            beside = _branch(kept, (kept_gamma, kept_beta), (gamma[:k], beta[:k]), eps, slope, False)
            saved += beside.saved
            framed = maps.mirrored(beside.made(slope), 1)
        ctx.save_for_backward(*saved)
        ctx.slope, ctx.bilinear = slope, bilinear
        padded, (rows, columns) = JoinConv._doubling(below.made(slope), bilinear)
        out = maps.empty(deep, deep.shape[0], len(weight), 2 * deep.shape[2], 2 * deep.shape[3])
        for some in _some(weight, deep):
            phases = F.conv2d(padded, cast(maps.kernels(weight[some, k:]), deep))
            part = maps.interleaved(phases, rows, columns)
            if bilinear:
                part = maps.filtered(part, JoinConv.LAST, 0)
            if framed is not None:
                torch.add(part, F.conv2d(framed, cast(weight[some, :k], deep)), out=out[:, some])
            else:
                out[:, some] = part
            if bias is not None:
                out[:, some] += norms.wide(bias[some].to(deep.dtype))
        return out

    @staticmethod
    def _doubling(x: Tensor, bilinear: bool) -> tuple[Tensor, tuple[maps.Pieces, maps.Pieces]]:
        """Returns x with the border that the upsampling needs, and where the phases of its convolution go (rows,
        columns)."""
        pieces = maps.bilinear_pieces if bilinear else maps.nearest_pieces
        return maps.repeated(x, 2 if bilinear else 1), (pieces(x.shape[2]), pieces(x.shape[3]))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> Grads:  # type: ignore[override]
        weight = ctx.saved_tensors[0]
        below, *more = (Branch.of(ctx.saved_tensors[at : at + 9]) for at in range(1, len(ctx.saved_tensors), 9))
        beside = more[0] if more else None
        k = 0 if beside is None else beside.c.shape[1]
        framed = None if beside is None else maps.mirrored(beside.made(ctx.slope), 1)
        padded, (rows, columns) = JoinConv._doubling(below.made(ctx.slope), ctx.bilinear)
        size = (padded.shape[2] - 1, padded.shape[3] - 1)
        needed = ctx.needs_input_grad[8]  # a frozen kernel needs no gradient
        gweight = torch.empty_like(weight) if needed else None
        gpadded = gframed = None
        for some in _some(weight, g):
            part = g[:, some]
            if framed is not None:
                gx, gw = _both(part, framed, weight[some, :k], needed)
                gframed = summed(gframed, gx)
                if gweight is not None:
                    gweight[some, :k] = gw
            if ctx.bilinear:
                part = maps.filtered(part, JoinConv.LAST, 2)
            part = maps.interleaved_adjoint(part, rows, columns, size)
            gx, gkernels = _both(part, padded, maps.kernels(weight[some, k:]), needed)
            gpadded = summed(gpadded, gx)
            if gweight is not None:
                gweight[some, k:] = maps.kernels_adjoint(gkernels.to(weight.dtype))
        assert gpadded is not None
        del padded, framed
        gdeep = maps.dense(maps.repeated_adjoint(gpadded, 2 if ctx.bilinear else 1))
        of_deep, *of_joint = below.adjoint(gdeep, ctx.slope, doubled=ctx.bilinear)
        of_kept: Grads = (None, None, None)
        if beside is not None:
            assert gframed is not None
            gkept = maps.dense(maps.mirrored_adjoint(gframed, 1))
            of_kept, *first = beside.adjoint(gkept, ctx.slope, doubled=False)
            of_joint = [torch.cat(two) for two in zip(first, of_joint, strict=True)]
        gbias = norms.total(g, weight) if ctx.needs_input_grad[9] else None
        return *of_deep, *of_kept, *of_joint, gweight, gbias, None, None, None


def _both(g: Tensor, x: Tensor, weight: Tensor, needed: bool) -> tuple[Tensor, Tensor]:
    """Returns the gradients of an unpadded convolution with respect to x and, if `needed`, to weight."""
    gx, gw, _ = torch.ops.aten.convolution_backward(
        g, x, cast(weight, x), None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1, [True, needed, False]
    )
    return gx, gw


def _some(weight: Tensor, x: Tensor) -> list[slice]:
    """Returns slices of the output channels."""
    at_once = len(weight) if maps.layout(x) == torch.channels_last else CHANNELS_AT_ONCE
    return [slice(at, at + at_once) for at in range(0, len(weight), at_once)]
