"""The ResNet that the paper compares with: residual blocks at full resolution, without down- or upsampling."""

from torch import Tensor, nn

from dip_exp.archs.arch import Arch
from dip_exp.archs.layers import ConvBlock, GammaInit, Padding, batch_norm, conv, leaky_relu, output_block
from dip_exp.component import NonNegativeInt, PositiveInt, component
from dip_exp.shapes import Float


@component
class ResNet(Arch):
    """The residual network of the paper's comparison (Deep Image Prior, Fig. 8; authors' models/resnet.py).

    There are `blocks` residual blocks of two 3x3 convolutions with `channels` channels. `pad` is the padding of the
    first and the last convolution; all others use zero padding, as released. x_hat has the size of z.
    """

    blocks: NonNegativeInt = 8
    channels: PositiveInt = 32
    pad: Padding = "reflection"
    sigmoid: bool = True
    bn_init: GammaInit = "uniform"

    @property
    def multiple(self) -> int:
        """Returns 1: any size passes through unchanged."""
        return 1

    def build(self, in_channels: int, out_channels: int, size: tuple[int, int]) -> "ResNetModule":
        """Returns the network for z with `in_channels` channels; `size` is not used. See `Arch.build`."""
        return ResNetModule(self, in_channels, out_channels)


class Residual(nn.Module):
    """x + norm(conv(first(x))), with no activation after the sum."""

    def __init__(self, channels: int, bn_init: GammaInit) -> None:
        super().__init__()
        self.first = ConvBlock(
            conv(channels, channels, 3, pad="zero", bias=False), norm=batch_norm(channels, bn_init), act=leaky_relu()
        )
        self.conv = conv(channels, channels, 3, pad="zero", bias=False)
        self.norm = batch_norm(channels, bn_init)

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        return x + self.norm(self.conv(self.first(x)))


class ResNetModule(nn.Module):
    """The network of a `ResNet`: `entry`, the residual `blocks`, `exit_conv` and `exit_norm`, `output`."""

    def __init__(self, spec: ResNet, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.entry = ConvBlock(conv(in_channels, spec.channels, 3, pad=spec.pad), act=leaky_relu())
        self.blocks = nn.Sequential(*(Residual(spec.channels, spec.bn_init) for _ in range(spec.blocks)))
        self.exit_conv = conv(spec.channels, spec.channels, 3, pad="zero")
        self.exit_norm = batch_norm(spec.channels, spec.bn_init)
        self.output = output_block(conv(spec.channels, out_channels, 3, pad=spec.pad), sigmoid=spec.sigmoid)

    def forward(self, z: Float[Tensor, "N c H W"]) -> Float[Tensor, "N C H W"]:
        return self.output(self.exit_norm(self.exit_conv(self.blocks(self.entry(z)))))
