"""The fast twin of the `Skip` network: same weights, same function; normalised maps are computed only when read."""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from dip_exp.archs.fast import maps
from dip_exp.archs.fast.convs import Conv, How, NormActConv, NormActFork
from dip_exp.archs.fast.joins import JoinConv
from dip_exp.archs.layers import LEAKY_SLOPE, ConvBlock
from dip_exp.archs.skip import Level, SkipModule, Up
from dip_exp.shapes import Float

SMALLEST = 32
"""Pixels. On a map with a shorter side the number of operations sets the time; plain blocks have the fewest."""


class Pending(NamedTuple):
    """A map whose BatchNorm and LeakyReLU have not been applied yet; its reader applies them."""

    c: Tensor
    block: ConvBlock

    @property
    def norm(self) -> nn.BatchNorm2d:
        assert isinstance(self.block.norm, nn.BatchNorm2d)
        return self.block.norm

    def made(self) -> Tensor:
        """Returns the map with norm and activation applied."""
        return self.block.act(self.norm(self.c))


class FastSkip(nn.Module):
    """Computes what its `plain` network computes, up to rounding; `plain` holds the weights and is the definition.

    Under autocast to bfloat16 on a CPU its maps are bfloat16 and channels-last. The last convolution, all per-channel
    numbers and all sums over a map stay float32.
    """

    def __init__(self, plain: SkipModule) -> None:
        super().__init__()
        self.plain = plain

    def forward(self, z: Float[Tensor, "N c h w"]) -> Float[Tensor, "N C H W"]:
        """Returns x_hat (1, C, H', W')."""
        if z.device.type in ("cpu", "cuda") and torch.is_autocast_enabled(z.device.type):
            if z.device.type == "cuda" or torch.get_autocast_dtype("cpu") != torch.bfloat16:
                return self.plain(z)  # autocast does not apply in custom backward passes
            with torch.autocast("cpu", enabled=False):
                return self._mapped(z.to(torch.bfloat16, memory_format=torch.channels_last))
        return self._mapped(z)

    def _mapped(self, z: Float[Tensor, "N c h w"]) -> Float[Tensor, "N C H W"]:
        """Returns x_hat, computed with maps of z's dtype."""
        levels = list(cast("Iterable[Level]", self.plain.levels))
        kept: list[Pending | None] = []
        x: Tensor | Pending = z
        for level in levels:
            branch, halved = _fork(x, level.skip, level.down.halve)
            kept.append(branch)
            x = _through(halved, level.down.refine)
        assert isinstance(x, Pending)
        for level, branch in zip(reversed(levels), reversed(kept), strict=True):
            x = _up(level.up, x, branch)
        last = self.plain.output
        return last.act(_through(x, last, full=True).c)


def _through(x: Tensor | Pending, block: ConvBlock, *, full: bool = False) -> Pending:
    """Returns x after the convolution and the pooling of `block`; its norm and activation are pending.

    full: the convolution computes in the dtype of its weights.
    """
    conv = block.conv
    if isinstance(x, Pending) and _is_small(x.c):
        made = x.made().to(conv.weight.dtype) if full else x.made()
        with _plainly(made):
            c = conv(made)
    elif isinstance(x, Pending):
        norm, how = x.norm, _how(conv)._replace(full=full)
        c = NormActConv.apply(x.c, norm.weight, norm.bias, conv.weight, conv.bias, norm.eps, LEAKY_SLOPE, how)
    else:
        c = Conv.apply(x, conv.weight, conv.bias, _how(conv))
    return _pooled(c, block)


def _fork(x: Tensor | Pending, skip: ConvBlock | None, halve: ConvBlock) -> tuple[Pending | None, Pending]:
    """Returns x after `skip` (None if there is none) and x after `halve`."""
    if skip is None:
        return None, _through(x, halve)
    if isinstance(x, Tensor) or _is_small(x.c):
        x = x if isinstance(x, Tensor) else x.made()
        return _through(x, skip), _through(x, halve)
    norm = x.norm
    convs = [each for block in (skip, halve) for each in (block.conv.weight, block.conv.bias, _how(block.conv))]
    kept, halved = NormActFork.apply(x.c, norm.weight, norm.bias, norm.eps, LEAKY_SLOPE, *convs)
    return Pending(kept, skip), _pooled(halved, halve)


def _up(up: Up, deep: Pending, kept: Pending | None) -> Pending:
    """Returns the output of `up`, with the norm and activation of its last block pending."""
    conv, norm = up.merge.conv, up.norm
    size = (2 * deep.c.shape[2], 2 * deep.c.shape[3])
    if _is_small(deep.c) or not _in_phases(up) or (kept is not None and kept.c.shape[2:] != size):
        with _plainly(deep.c):
            merged = maps.dense(conv(norm(up.joined(deep.made(), None if kept is None else kept.made()))))
    else:
        beside = (None, None, None) if kept is None else (kept.c, kept.norm.weight, kept.norm.bias)
        bilinear = up.upsample.mode == "bilinear"
        merged = JoinConv.apply(
            deep.c,
            deep.norm.weight,
            deep.norm.bias,
            *beside,
            norm.weight,
            norm.bias,
            conv.weight,
            conv.bias,
            norm.eps,
            LEAKY_SLOPE,
            bilinear,
        )
    x = Pending(merged, up.merge)
    return x if up.mix is None else _through(x, up.mix)


def _plainly(c: Tensor) -> AbstractContextManager[object]:
    """Returns the context in which plain layers compute in the dtype of c."""
    return torch.autocast(c.device.type, c.dtype) if c.dtype == torch.bfloat16 else nullcontext()


def _pooled(c: Tensor, block: ConvBlock) -> Pending:
    if block.pool is None:
        return Pending(c, block)
    with _plainly(c):
        return Pending(maps.dense(block.pool(c)), block)


def _how(conv: nn.Conv2d) -> How:
    return How(conv.stride[0], conv.padding_mode == "reflect")


def _is_small(c: Tensor) -> bool:
    return min(c.shape[2:]) < SMALLEST


def _in_phases(up: Up) -> bool:
    """Returns whether the convolution of the upsampled map can be computed as convolutions of the small map."""
    conv = up.merge.conv
    doubled = up.upsample.mode == "nearest" or not up.upsample.align_corners
    return doubled and conv.kernel_size == (3, 3) and conv.padding_mode == "reflect"
