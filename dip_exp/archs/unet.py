"""The U-Net that the paper compares with: max pooling, and concatenation with every encoder map on the way up."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated, Literal, cast

from pydantic import Field
from torch import Tensor, nn

from dip_exp.archs.arch import Arch
from dip_exp.archs.layers import (
    ConvBlock,
    GammaInit,
    Normalisation,
    Padding,
    batch_norm,
    conv,
    crop_concat,
    output_block,
    upsampling,
)
from dip_exp.component import NonNegativeInt, component
from dip_exp.shapes import Float

WIDTHS = (64, 128, 256, 512, 1024)


@component
class UNet(Arch):
    """The U-Net of the paper's comparison of architectures (Deep Image Prior, Fig. 8; authors' models/unet.py).

    The five resolutions have 64, 128, 256, 512 and 1024 channels, divided by `feature_scale` (1 to 64, rounded down).
    `more_layers` adds that many halvings at the last width. `norm` is used on the way down only; "instance" has no
    learned scale, so `bn_init` affects "batch" only. `upsample` "deconv" is a 4x4 transposed convolution; the other
    modes are followed by a 3x3 convolution. An encoder map larger than the decoder's is cropped about its centre, so
    x_hat has the size of z rounded down to a multiple of `multiple`.
    """

    feature_scale: Annotated[int, Field(ge=1, le=WIDTHS[0])] = 8
    more_layers: NonNegativeInt = 1
    upsample: Literal["deconv", "nearest", "bilinear"] = "deconv"
    align_corners: bool = False
    norm: Normalisation = "instance"
    pad: Padding = "zero"
    bias: bool = True
    sigmoid: bool = True
    bn_init: GammaInit = "uniform"

    @property
    def multiple(self) -> int:
        """Returns 2**(4 + more_layers): z is halved that many times."""
        return 2 ** (len(WIDTHS) - 1 + self.more_layers)

    def build(self, in_channels: int, out_channels: int, size: tuple[int, int]) -> "UNetModule":
        """Returns the network for z with `in_channels` channels; `size` is not used. See `Arch.build`."""
        return UNetModule(self, in_channels, out_channels)


class DoubleConv(nn.Module):
    """Two 3x3 convolutions, `first` and `second`, each followed by the norm (if `normed`) and a ReLU."""

    def __init__(self, spec: UNet, in_channels: int, out_channels: int, *, normed: bool) -> None:
        super().__init__()

        def block(channels: int) -> ConvBlock:
            layer = conv(channels, out_channels, 3, pad=spec.pad, bias=spec.bias)
            return ConvBlock(layer, norm=_norm(spec, out_channels) if normed else None, act=nn.ReLU(inplace=True))

        self.first, self.second = block(in_channels), block(out_channels)

    def forward(self, x: Float[Tensor, "N c H W"]) -> Float[Tensor, "N C H W"]:
        return self.second(self.first(x))


def _norm(spec: UNet, channels: int) -> nn.Module:
    return batch_norm(channels, spec.bn_init) if spec.norm == "batch" else nn.InstanceNorm2d(channels)


class UNetUp(nn.Module):
    """One step up: `upsample` the deeper map to `channels`, concatenate the encoder's map behind it, `merge`."""

    def __init__(self, spec: UNet, deep: int, channels: int) -> None:
        super().__init__()
        if spec.upsample == "deconv":
            self.upsample = nn.ConvTranspose2d(deep, channels, 4, stride=2, padding=1)
        else:
            self.upsample = nn.Sequential(
                upsampling(spec.upsample, align_corners=spec.align_corners),
                conv(deep, channels, 3, pad=spec.pad, bias=spec.bias),
            )
        self.merge = DoubleConv(spec, 2 * channels, channels, normed=False)

    def forward(self, deep: Float[Tensor, "N c h w"], encoded: Float[Tensor, "N _ _ _"]) -> Float[Tensor, "N C H W"]:
        return self.merge(crop_concat([self.upsample(deep), encoded]))


class UNetModule(nn.Module):
    """The network of a `UNet`: `encoder[i]` works at 1/2**i of the input's size, `decoder[i]` returns to that size."""

    def __init__(self, spec: UNet, in_channels: int, out_channels: int) -> None:
        super().__init__()
        widths = [width // spec.feature_scale for width in WIDTHS]
        widths += [widths[-1]] * spec.more_layers
        self.encoder = nn.ModuleList(
            DoubleConv(spec, inward, outward, normed=True) for inward, outward in pairwise([in_channels, *widths])
        )
        self.pool = nn.MaxPool2d(2)
        self.decoder = nn.ModuleList(UNetUp(spec, deep, channels) for channels, deep in pairwise(widths))
        last = conv(widths[0], out_channels, 1, pad=spec.pad, bias=spec.bias)
        self.output = output_block(last, sigmoid=spec.sigmoid)

    def forward(self, z: Float[Tensor, "N c h w"]) -> Float[Tensor, "N C H W"]:
        first, *deeper = cast("Iterable[DoubleConv]", self.encoder)
        encoded = [first(z)]
        for stage in deeper:
            encoded.append(stage(self.pool(encoded[-1])))
        x = encoded.pop()
        for step in reversed(list(cast("Iterable[UNetUp]", self.decoder))):
            x = step(x, encoded.pop())
        return self.output(x)
