"""z = the pixel coordinates: a smooth input, for large holes (CVPR 2018 Fig. 6)."""

import torch
from torch import Tensor

from dip_exp.component import component
from dip_exp.inputs.source import Input
from dip_exp.shapes import Float, Float32


def coordinates(size: tuple[int, int]) -> Float32[Tensor, "1 2 H W"]:
    """Returns the pixels' (x, y), float32 (1, 2, H, W), each from 0 at the first pixel to 1 at the last."""
    height, width = size
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    return torch.stack((x, y))[None]


@component
class Meshgrid(Input):
    """z = (x, y) in [0, 1]^2, two channels, not scaled (authors' get_noise, method 'meshgrid')."""

    def draw(
        self, size: tuple[int, int], y: Float[Tensor, "1 c h w"], generator: torch.Generator
    ) -> Float32[Tensor, "1 C H W"]:
        return coordinates(size)
