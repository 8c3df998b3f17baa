"""Second, plain definitions of the released networks, to compare the product's with.

Written from their description alone: nested `Sequential`s with explicit padding layers, upsampling as a product with
interpolation matrices, pooling by hand. Each function returns the network and its parametrised layers in the order
level by level, finest first, and within a level: skip, down, up; the last convolution at the end.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Net = tuple[nn.Sequential, list[nn.Module]]


def interpolation_matrix(count: int, mode: str, align_corners: bool) -> Tensor:
    """The (2 * count, count) matrix that doubles a row of `count` pixels."""
    matrix = torch.zeros(2 * count, count, dtype=torch.float64)
    for i in range(2 * count):
        if mode == "nearest":
            matrix[i, i // 2] = 1
            continue
        at = i * (count - 1) / (2 * count - 1) if align_corners else min(max((i + 0.5) / 2 - 0.5, 0), count - 1)
        left = min(math.floor(at), count - 1)
        matrix[i, left] += 1 - (at - left)
        matrix[i, min(left + 1, count - 1)] += at - left
    return matrix


class Double(nn.Module):
    def __init__(self, mode: str, align_corners: bool = False) -> None:
        super().__init__()
        self.mode, self.align_corners = mode, align_corners

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = (interpolation_matrix(n, self.mode, self.align_corners) for n in x.shape[2:])
        return torch.einsum("ah,nchw,bw->ncab", rows.to(x), x, columns.to(x))


def lanczos_kernel(lobes: int) -> Tensor:
    """The (4 * lobes)^2 kernel of the released Downsampler for factor 2 and phase 0.5, by its printed formula."""
    size, factor = 4 * lobes, 2
    centre = (size + 2) / 2
    kernel = torch.zeros(size, size, dtype=torch.float64)
    for i in range(1, size + 1):
        for j in range(1, size + 1):
            weight = 1.0
            for t in (abs(i + 0.5 - centre) / factor, abs(j + 0.5 - centre) / factor):
                if t != 0:
                    weight *= lobes * math.sin(math.pi * t) * math.sin(math.pi * t / lobes) / (math.pi * t) ** 2
            kernel[i - 1, j - 1] = weight
    return kernel / kernel.sum()


class Halve(nn.Module):
    """Average, maximum or Lanczos, one channel and one kernel at a time."""

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode = mode

    def forward(self, x: Tensor) -> Tensor:
        if self.mode.startswith("lanczos"):
            kernel = lanczos_kernel(int(self.mode[-1])).to(x)[None, None]
            border = (kernel.shape[-1] - 2) // 2
            padded = nn.ReplicationPad2d(border)(x)
            return torch.cat([F.conv2d(padded[:, [c]], kernel, stride=2) for c in range(x.shape[1])], dim=1)
        height, width = x.shape[2] // 2 * 2, x.shape[3] // 2 * 2
        corners = torch.stack([x[:, :, i:height:2, j:width:2] for i in (0, 1) for j in (0, 1)])
        return corners.mean(dim=0) if self.mode == "avg" else corners.amax(dim=0)


class Concat(nn.Module):
    """Runs every branch on the same input; cuts the results to their smallest size about the centre; joins them."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        maps = [branch(x) for branch in self.branches]
        height, width = min(m.shape[2] for m in maps), min(m.shape[3] for m in maps)
        cut = []
        for m in maps:
            top, left = (m.shape[2] - height) // 2, (m.shape[3] - width) // 2
            cut.append(m.narrow(2, top, height).narrow(3, left, width))
        return torch.cat(cut, 1)


class Sum(nn.Module):
    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


def convolve(inward: int, outward: int, kernel: int, pad: str, stride: int = 1, bias: bool = True) -> list[nn.Module]:
    border = kernel // 2
    padding = nn.ReflectionPad2d(border) if pad == "reflection" else nn.ZeroPad2d(border)
    return [padding, nn.Conv2d(inward, outward, kernel, stride, bias=bias)]


def parametrised(layers: list[nn.Module]) -> list[nn.Module]:
    return [layer for layer in layers if next(layer.parameters(), None) is not None]


def skip_net(
    in_channels: int,
    out_channels: int,
    *,
    down: list[int],
    up: list[int],
    skip: list[int],
    kernel_down: list[int],
    kernel_up: list[int],
    kernel_skip: int,
    upsample: list[str],
    align_corners: bool,
    downsample: str,
    pad: str,
    need1x1_up: bool,
    bias: bool,
    sigmoid: bool,
) -> Net:
    by_level: list[nn.Module] = []

    def unit(inward: int, outward: int, kernel: int, halve: bool = False) -> list[nn.Module]:
        strided = halve and downsample == "stride"
        layers = convolve(inward, outward, kernel, pad, 2 if strided else 1, bias)
        layers += [Halve(downsample)] if halve and not strided else []
        return [*layers, nn.BatchNorm2d(outward), nn.LeakyReLU(0.2)]

    def scale(i: int, inward: int) -> nn.Sequential:
        last = i == len(down) - 1
        kept = unit(inward, skip[i], kernel_skip) if skip[i] else []
        deeper = [*unit(inward, down[i], kernel_down[i], halve=True), *unit(down[i], down[i], kernel_down[i])]
        joined = skip[i] + (down[i] if last else up[i + 1])
        after = [nn.BatchNorm2d(joined), *unit(joined, up[i], kernel_up[i])]
        after += unit(up[i], up[i], 1) if need1x1_up else []
        by_level.extend(parametrised([*kept, *deeper, *after]))
        below = [] if last else [scale(i + 1, down[i])]
        deep = nn.Sequential(*deeper, *below, Double(upsample[i], align_corners))
        return nn.Sequential(Concat(nn.Sequential(*kept), deep) if kept else deep, *after)

    body = scale(0, in_channels)
    final = convolve(up[0], out_channels, 1, pad, bias=bias)
    return nn.Sequential(body, *final, *([nn.Sigmoid()] if sigmoid else [])), [*by_level, *parametrised(final)]


def unet(
    in_channels: int,
    out_channels: int,
    *,
    feature_scale: int,
    more_layers: int,
    upsample: str,
    align_corners: bool,
    norm: str,
    pad: str,
) -> Net:
    widths = [64 // feature_scale, 128 // feature_scale, 256 // feature_scale, 512 // feature_scale]
    widths += [1024 // feature_scale] * (1 + more_layers)
    encoding: list[nn.Module] = []
    decoding: list[nn.Module] = []

    def pair(inward: int, outward: int, normed: bool) -> list[nn.Module]:
        layers: list[nn.Module] = []
        for channels in (inward, outward):
            layers += convolve(channels, outward, 3, pad)
            if normed:
                layers.append(nn.BatchNorm2d(outward) if norm == "batch" else nn.InstanceNorm2d(outward))
            layers.append(nn.ReLU())
        return layers

    def below(i: int) -> list[nn.Module]:
        """From the encoder's map at scale i to the decoder's map at scale i."""
        if i == len(widths) - 1:
            return []
        encode = pair(widths[i], widths[i + 1], normed=True)
        encoding.extend(parametrised(encode))
        if upsample == "deconv":
            rise = [nn.ConvTranspose2d(widths[i + 1], widths[i], 4, stride=2, padding=1)]
        else:
            rise = [Double(upsample, align_corners), *convolve(widths[i + 1], widths[i], 3, pad)]
        merge = pair(2 * widths[i], widths[i], normed=False)
        decoding.extend(parametrised([*rise, *merge]))
        deep = nn.Sequential(Halve("max"), *encode, *below(i + 1), *rise)
        return [Concat(deep, nn.Identity()), *merge]

    start = pair(in_channels, widths[0], normed=True)
    final = convolve(widths[0], out_channels, 1, pad)
    net = nn.Sequential(*start, *below(0), *final, nn.Sigmoid())
    return net, [*parametrised(start), *encoding, *decoding, *parametrised(final)]


def resnet(in_channels: int, out_channels: int, *, blocks: int, channels: int, pad: str) -> Net:
    layers = [*convolve(in_channels, channels, 3, pad), nn.LeakyReLU(0.2)]
    for _ in range(blocks):
        inner = [*convolve(channels, channels, 3, "zero", bias=False), nn.BatchNorm2d(channels), nn.LeakyReLU(0.2)]
        inner += [*convolve(channels, channels, 3, "zero", bias=False), nn.BatchNorm2d(channels)]
        layers.append(Sum(nn.Sequential(*inner)))
    layers += [*convolve(channels, channels, 3, "zero"), nn.BatchNorm2d(channels)]
    layers += [*convolve(channels, out_channels, 3, pad), nn.Sigmoid()]
    return nn.Sequential(*layers), parametrised(layers)
