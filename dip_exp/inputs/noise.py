"""z = white noise: the input of most of the paper's experiments (Sec. 2)."""

from typing import Literal

import torch
from torch import Tensor

from dip_exp.component import Positive, PositiveInt, component
from dip_exp.inputs.source import Input
from dip_exp.shapes import Float, Float32


@component
class Noise(Input):
    """z ~ scale * U(0, 1) or scale * N(0, 1), in `channels` channels."""

    channels: PositiveInt = 32
    law: Literal["uniform", "normal"] = "uniform"
    scale: Positive = 0.1

    def draw(
        self, size: tuple[int, int], y: Float[Tensor, "1 c h w"], generator: torch.Generator
    ) -> Float32[Tensor, "1 C H W"]:
        shape = (1, self.channels, *size)
        draw = torch.rand if self.law == "uniform" else torch.randn
        return self.scale * draw(shape, generator=generator)
