"""The deep decoder: 1x1 convolutions and x2 upsampling only, with fewer weights than the picture has values."""

from torch import Tensor, nn

from dip_exp.archs.arch import Arch
from dip_exp.archs.layers import GammaInit, Upsampling, batch_norm, conv, output_block, upsampling
from dip_exp.component import PositiveInt, component
from dip_exp.shapes import Float


@component
class DeepDecoder(Arch):
    """The under-parameterised network of Heckel and Hand (ICLR 2019, arXiv 1810.03982, Sec. 2).

    Each of the `layers` layers is a 1x1 convolution to `channels` channels without bias, x2 upsampling (except in the
    last layer), ReLU and BatchNorm. A 1x1 convolution without bias and a sigmoid follow. No convolution sees a
    neighbouring pixel; only the upsampling combines pixels.

    z is the paper's B_0. Its sides are 1 / 2**(layers - 1) of the picture's, and in the paper it has as many channels
    as a layer. With d = `layers` and k = `channels`, the network then has d k^2 + 3 k + 2 d k weights for an RGB
    picture.
    """

    layers: PositiveInt = 6
    channels: PositiveInt = 128
    upsample: Upsampling = "bilinear"
    align_corners: bool = False
    sigmoid: bool = True
    bn_init: GammaInit = "uniform"

    @property
    def multiple(self) -> int:
        """Returns 2**(layers - 1): the picture's sides are z's, doubled `layers` - 1 times."""
        return 2 ** (self.layers - 1)

    @property
    def enlargement(self) -> int:
        """Returns 2**(layers - 1)."""
        return self.multiple

    def build(self, in_channels: int, out_channels: int, size: tuple[int, int]) -> "DeepDecoderModule":
        """Returns the network for z with `in_channels` channels; `size` is not used. See `Arch.build`."""
        return DeepDecoderModule(self, in_channels, out_channels)


class DecoderLayer(nn.Module):
    """norm(act(upsample(mix(x)))); `upsample` is the identity in the last layer.

    The paper upsamples before it mixes. The two commute exactly, because mixing acts on channels only and upsampling on
    pixels only; mixing first costs a quarter.
    """

    def __init__(self, spec: DeepDecoder, in_channels: int, *, doubling: bool) -> None:
        super().__init__()
        self.mix = conv(in_channels, spec.channels, 1, pad="zero", bias=False)
        self.upsample = upsampling(spec.upsample, align_corners=spec.align_corners) if doubling else nn.Identity()
        self.act = nn.ReLU(inplace=True)
        self.norm = batch_norm(spec.channels, spec.bn_init)

    def forward(self, x: Float[Tensor, "N c h w"]) -> Float[Tensor, "N C H W"]:
        return self.norm(self.act(self.upsample(self.mix(x))))


class DeepDecoderModule(nn.Module):
    """The network of a `DeepDecoder`: `layers[i]` reads a map 2**i times as large as z; `output` is the last layer."""

    def __init__(self, spec: DeepDecoder, in_channels: int, out_channels: int) -> None:
        super().__init__()
        inputs = [in_channels, *[spec.channels] * (spec.layers - 1)]
        self.layers = nn.Sequential(
            *(DecoderLayer(spec, inward, doubling=index + 1 < spec.layers) for index, inward in enumerate(inputs))
        )
        last = conv(spec.channels, out_channels, 1, pad="zero", bias=False)
        self.output = output_block(last, sigmoid=spec.sigmoid)

    def forward(self, z: Float[Tensor, "N c h w"]) -> Float[Tensor, "N C H W"]:
        return self.output(self.layers(z))
