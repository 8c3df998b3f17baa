"""z = Fourier features of the coordinates (Tancik et al., NeurIPS 2020; as a DIP input: Shabtay et al., 2022)."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from dip_exp.component import component
from dip_exp.inputs.meshgrid import coordinates
from dip_exp.inputs.source import Input
from dip_exp.shapes import Float, Float32


@component
class Fourier(Input):
    """z = (sin, cos)(2^k pi x), (sin, cos)(2^k pi y) for k = 0 .. octaves - 1: 4 * octaves channels in [-1, 1].

    x and y run from 0 to 1; the frequencies are those of positional encoding (Mildenhall et al., ECCV 2020). Shabtay et
    al. also use eight frequencies, but of 2^(8k/7) radians, and do not perturb z (perturb_std=0). Octave k has 2^k / 2
    periods per side; on a picture of fewer than 2^k pixels it only aliases a lower one.
    """

    octaves: Annotated[int, Field(ge=1, le=16)] = 8

    def draw(
        self, size: tuple[int, int], y: Float[Tensor, "1 c h w"], generator: torch.Generator
    ) -> Float32[Tensor, "1 C H W"]:
        frequencies = torch.pi * 2.0 ** torch.arange(self.octaves)
        angles = (coordinates(size)[:, None] * frequencies[None, :, None, None, None]).flatten(1, 2)
        return torch.cat((angles.sin(), angles.cos()), dim=1)
