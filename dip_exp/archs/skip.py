"""The paper's own network: an hourglass with an optional skip connection at every scale."""

from collections.abc import Iterable
from typing import TypeVar, cast

from torch import Tensor, nn

from dip_exp.archs.arch import Arch
from dip_exp.archs.layers import (
    ConvBlock,
    Downsampling,
    GammaInit,
    Padding,
    Upsampling,
    batch_norm,
    conv,
    crop_concat,
    leaky_relu,
    output_block,
    pooling,
    upsampling,
)
from dip_exp.component import NonNegativeInt, PositiveInt, component
from dip_exp.shapes import Float

T = TypeVar("T")


@component
class Skip(Arch):
    """The encoder-decoder with skip connections (Deep Image Prior, supplement, Fig. 1; authors' models/skip.py).

    Every list has one entry per scale, the finest first. `down`, `up` and `skip` are channel counts (the paper's n_d,
    n_u, n_s). A `skip` of 0 removes that connection; all zeros give the plain hourglass. A single kernel size or
    `upsample` mode instead of a list applies to all scales. Kernel sizes must be odd.

    z may have sides that are not multiples of 2**scales, but x_hat may then have another size: each scale rounds its
    input's size up ("stride") or down (every other `downsample`) to even, and a scale with a skip crops both maps about
    their centre to the smaller one. With "stride" and skips at all scales, x_hat has the size of z.

    Raises ValueError if `down` is empty, the lists differ in length, or a kernel size is even.
    """

    down: list[PositiveInt]
    up: list[PositiveInt]
    skip: list[NonNegativeInt]
    kernel_down: PositiveInt | list[PositiveInt] = 3
    kernel_up: PositiveInt | list[PositiveInt] = 3
    kernel_skip: PositiveInt = 1
    upsample: Upsampling | list[Upsampling] = "bilinear"
    align_corners: bool = False
    downsample: Downsampling = "stride"
    pad: Padding = "reflection"
    need1x1_up: bool = True
    bias: bool = True
    sigmoid: bool = True
    bn_init: GammaInit = "uniform"

    def __post_init__(self) -> None:
        scales = len(self.down)
        if scales == 0:
            raise ValueError("skip: down is empty; give one channel count per scale, finest first; fix arch.down")
        for name in ("up", "skip", "kernel_down", "kernel_up", "upsample"):
            value = getattr(self, name)
            if isinstance(value, list) and len(value) != scales:
                raise ValueError(
                    f"skip: {name} has {len(value)} entries but down has {scales}; "
                    f"every list has one entry per scale; fix arch.{name} or arch.down"
                )
        for name in ("kernel_down", "kernel_up", "kernel_skip"):
            even = [kernel for kernel in _per_scale(getattr(self, name), scales) if kernel % 2 == 0]
            if even:
                raise ValueError(
                    f"skip: {name} is {even[0]}; an even kernel has no centre pixel; "
                    f"choose an odd one, such as {even[0] - 1} or {even[0] + 1}; fix arch.{name}"
                )

    @property
    def multiple(self) -> int:
        """Returns 2**scales: every scale halves height and width once."""
        return 2 ** len(self.down)

    def build(self, in_channels: int, out_channels: int, size: tuple[int, int]) -> "SkipModule":
        """Returns the network for z with `in_channels` channels; `size` is not used. See `Arch.build`."""
        return SkipModule(self, in_channels, out_channels)


def _per_scale(value: T | list[T], scales: int) -> list[T]:
    return value if isinstance(value, list) else [value] * scales


class Down(nn.Module):
    """The step to the next coarser scale: `halve` halves the size, `refine` works at that size."""

    def __init__(self, halve: ConvBlock, refine: ConvBlock) -> None:
        super().__init__()
        self.halve, self.refine = halve, refine

    def forward(self, x: Float[Tensor, "N c h w"]) -> Float[Tensor, "N C H W"]:
        return self.refine(self.halve(x))


class Up(nn.Module):
    """The step back from the coarser scale: `upsample`, the skip's channels in front, `norm`, `merge`, 1x1 `mix` (or
    None)."""

    def __init__(self, upsample: nn.Upsample, norm: nn.BatchNorm2d, merge: ConvBlock, mix: ConvBlock | None) -> None:
        super().__init__()
        self.upsample, self.norm, self.merge, self.mix = upsample, norm, merge, mix

    def joined(self, deep: Float[Tensor, "N _ _ _"], kept: Float[Tensor, "N _ _ _"] | None) -> Float[Tensor, "N C H W"]:
        """Returns `deep` upsampled and concatenated behind `kept`, if there is one."""
        x = self.upsample(deep)
        return x if kept is None else crop_concat([kept, x])

    def forward(
        self, deep: Float[Tensor, "N _ _ _"], kept: Float[Tensor, "N _ _ _"] | None
    ) -> Float[Tensor, "N C H W"]:
        x = self.merge(self.norm(self.joined(deep, kept)))
        return x if self.mix is None else self.mix(x)


class Level(nn.Module):
    """Scale `index` of a `Skip`: `skip` (or None) and `down` read its input, `up` restores its size."""

    def __init__(self, spec: Skip, index: int, in_channels: int) -> None:
        super().__init__()
        scales = len(spec.down)
        down, up, kept = spec.down[index], spec.up[index], spec.skip[index]
        deep = spec.up[index + 1] if index + 1 < scales else down
        kernel_down = _per_scale(spec.kernel_down, scales)[index]
        kernel_up = _per_scale(spec.kernel_up, scales)[index]
        pool = pooling(spec.downsample)

        def block(inward: int, outward: int, kernel: int, stride: int = 1, pool: nn.Module | None = None) -> ConvBlock:
            layer = conv(inward, outward, kernel, pad=spec.pad, stride=stride, bias=spec.bias)
            return ConvBlock(layer, pool=pool, norm=batch_norm(outward, spec.bn_init), act=leaky_relu())

        self.skip = block(in_channels, kept, spec.kernel_skip) if kept > 0 else None
        self.down = Down(
            halve=block(in_channels, down, kernel_down, stride=2 if pool is None else 1, pool=pool),
            refine=block(down, down, kernel_down),
        )
        self.up = Up(
            upsample=upsampling(_per_scale(spec.upsample, scales)[index], align_corners=spec.align_corners),
            norm=batch_norm(kept + deep, spec.bn_init),
            merge=block(kept + deep, up, kernel_up),
            mix=block(up, up, 1) if spec.need1x1_up else None,
        )


class SkipModule(nn.Module):
    """The network of a `Skip`: `levels[i]` is scale i, the finest first; `output` is the last 1x1 convolution."""

    def __init__(self, spec: Skip, in_channels: int, out_channels: int) -> None:
        super().__init__()
        inputs = [in_channels, *spec.down[:-1]]
        self.levels = nn.ModuleList(Level(spec, index, channels) for index, channels in enumerate(inputs))
        last = conv(spec.up[0], out_channels, 1, pad=spec.pad, bias=spec.bias)
        self.output = output_block(last, sigmoid=spec.sigmoid)

    def forward(self, z: Float[Tensor, "N c h w"]) -> Float[Tensor, "N C H W"]:
        levels = list(cast("Iterable[Level]", self.levels))
        kept: list[Tensor | None] = []
        x = z
        for level in levels:
            # The skip reads the level's input; the paper's diagram draws it from the output of `down`.
            kept.append(None if level.skip is None else level.skip(x))
            x = level.down(x)
        for level, branch in zip(reversed(levels), reversed(kept), strict=True):
            x = level.up(x, branch)
        return self.output(x)
