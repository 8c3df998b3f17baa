"""z = Fourier features of the coordinates (Tancik et al., NeurIPS 2020; as a DIP input: Shabtay et al. 2022)."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from dip_exp.component import component
from dip_exp.inputs.meshgrid import coordinates
from dip_exp.inputs.source import Input


@component
class Fourier(Input):
    """z = (sin, cos)(2^k pi x), (sin, cos)(2^k pi y) for k = 0 .. octaves - 1: 4 * octaves channels in [-1, 1]."""

    octaves: Annotated[int, Field(ge=1, le=16)] = 8

    def draw(self, size: tuple[int, int], y: Tensor, generator: torch.Generator) -> Tensor:
        frequencies = torch.pi * 2.0 ** torch.arange(self.octaves)
        angles = (coordinates(size)[:, None] * frequencies[None, :, None, None, None]).flatten(1, 2)
        return torch.cat((angles.sin(), angles.cos()), dim=1)
