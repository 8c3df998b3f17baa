"""z = what the task's classical restorer makes of the observation: the fit begins near a good picture."""

from typing import ClassVar

import torch

from dip_exp.component import component
from dip_exp.inputs.picture import extended
from dip_exp.inputs.source import Input
from dip_exp.shapes import Float, Float32


@component
class Classical(Input):
    """z = the problem's `start`, a classical restoration (non-local means, total variation, Lanczos, biharmonic, a
    median), in [0, 1], extended by reflection to z's sides.

    Not the paper's input: with a picture as z, the network soon gives that picture back, and improves on it from there
    instead of from noise. The paper does so for flash pairs alone; Gong et al. (IEEE TMI 2019) with a patient's earlier
    scan. Raises ValueError if the network wants a z smaller than the picture (it enlarges), or at least twice as large.
    """

    of_restored: ClassVar[bool] = True

    def draw(
        self, size: tuple[int, int], y: Float[torch.Tensor, "1 c h w"], generator: torch.Generator
    ) -> Float32[torch.Tensor, "1 C H W"]:
        return extended(
            y.cpu().float().numpy(), size, "the classical restoration", "choose another input, such as input=noise"
        )
