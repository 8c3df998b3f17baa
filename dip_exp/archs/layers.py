"""The layers that the architectures share. All take and return float tensors (N, C, H, W)."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dip_exp.shapes import Float, Float32

Padding = Literal["reflection", "zero"]
Upsampling = Literal["nearest", "bilinear"]
Downsampling = Literal["stride", "avg", "max", "lanczos2", "lanczos3"]
Normalisation = Literal["batch", "instance"]
GammaInit = Literal["ones", "uniform"]

LEAKY_SLOPE = 0.2


def conv(
    in_channels: int, out_channels: int, kernel: int, *, pad: Padding, stride: int = 1, bias: bool = True
) -> nn.Conv2d:
    """Returns a convolution with an odd `kernel` whose output has ceil(H / stride) x ceil(W / stride) pixels."""
    width = (kernel - 1) // 2
    # A 1x1 kernel reads no border, but with mode "reflect" torch would copy the whole map to pad it by 0 pixels.
    mode = "reflect" if pad == "reflection" and width > 0 else "zeros"
    return nn.Conv2d(in_channels, out_channels, kernel, stride, width, bias=bias, padding_mode=mode)


def batch_norm(channels: int, gamma: GammaInit) -> nn.BatchNorm2d:
    """Returns a BatchNorm that uses the statistics of its input in train and in eval mode alike.

    One picture is the whole data set, so running averages would only make `eval()` compute another picture. `gamma`
    initialises the scale: "ones", or "uniform" for U(0, 1), torch's default up to 1.1 and so the paper's.
    """
    norm = nn.BatchNorm2d(channels, track_running_stats=False)
    if gamma == "uniform":
        nn.init.uniform_(norm.weight)
    return norm


def leaky_relu() -> nn.LeakyReLU:
    """Returns a LeakyReLU with slope 0.2. It overwrites its input, which saves one map per block in backward."""
    return nn.LeakyReLU(LEAKY_SLOPE, inplace=True)


def upsampling(mode: Upsampling, *, align_corners: bool) -> nn.Upsample:
    """Returns the x2 upsampling. `align_corners` affects "bilinear" only (torch's default was True up to 0.3)."""
    return nn.Upsample(scale_factor=2, mode=mode, align_corners=align_corners if mode == "bilinear" else None)


class LanczosHalf(nn.Module):
    """Halves height and width (rounding down) of every channel with a fixed Lanczos low-pass of support `lobes`.

    The kernel has 4 * `lobes` taps per axis, at half-pixel phase, with sum 1 and replicated borders (authors' released
    code, models/downsampler.py: factor 2, phase 0.5, preserve_size). It is not a parameter and not in the state dict.
    """

    taps: Float32[Tensor, " taps"]

    def __init__(self, lobes: int) -> None:
        super().__init__()
        # In output pixels, measured from the midpoint between the two central taps.
        distance = (torch.arange(4 * lobes, dtype=torch.float64) - (2 * lobes - 0.5)) / 2
        taps = torch.sinc(distance) * torch.sinc(distance / lobes)
        self.register_buffer("taps", (taps / taps.sum()).float(), persistent=False)

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H//2 W//2"]:
        channels, count = x.shape[1], self.taps.numel()
        border = (count - 2) // 2
        x = F.pad(x, (border, border, border, border), mode="replicate")
        # The kernel is an outer product, so two passes of 4 * lobes taps replace one pass of (4 * lobes)^2 taps.
        rows = self.taps.view(1, 1, -1, 1).expand(channels, 1, count, 1)
        columns = self.taps.view(1, 1, 1, -1).expand(channels, 1, 1, count)
        return F.conv2d(F.conv2d(x, rows, stride=(2, 1), groups=channels), columns, stride=(1, 2), groups=channels)


def pooling(mode: Downsampling) -> nn.Module | None:
    """Returns the module that halves a map after a stride-1 convolution; None for "stride": the convolution does it."""
    match mode:
        case "stride":
            return None
        case "avg":
            return nn.AvgPool2d(2)
        case "max":
            return nn.MaxPool2d(2)
        case "lanczos2":
            return LanczosHalf(2)
        case "lanczos3":
            return LanczosHalf(3)


def crop_concat(maps: Sequence[Float[Tensor, "N _ _ _"]]) -> Float[Tensor, "N C H W"]:
    """Returns the maps concatenated along channels, each cropped about its centre to the smallest height and width."""
    height = min(x.shape[2] for x in maps)
    width = min(x.shape[3] for x in maps)
    return torch.cat([_centre(x, height, width) for x in maps], dim=1)


def _centre(x: Float[Tensor, "N C h w"], height: int, width: int) -> Float[Tensor, "N C {height} {width}"]:
    top, left = (x.shape[2] - height) // 2, (x.shape[3] - width) // 2
    return x[:, :, top : top + height, left : left + width]


class ConvBlock(nn.Module):
    """`conv`, then `pool` and `norm` if given, then `act`: the building block of all the paper's networks."""

    def __init__(
        self, conv: nn.Conv2d, *, act: nn.Module, norm: nn.Module | None = None, pool: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.conv, self.pool, self.norm, self.act = conv, pool, norm, act

    def forward(self, x: Float[Tensor, "N c h w"]) -> Float[Tensor, "N C H W"]:
        x = self.conv(x)
        if self.pool is not None:
            x = self.pool(x)
        if self.norm is not None:
            x = self.norm(x)
        return self.act(x)


def output_block(conv: nn.Conv2d, *, sigmoid: bool) -> ConvBlock:
    """Returns the last layer of a network: `conv`, followed by a sigmoid to (0, 1) if `sigmoid` is true."""
    return ConvBlock(conv, act=nn.Sigmoid() if sigmoid else nn.Identity())
