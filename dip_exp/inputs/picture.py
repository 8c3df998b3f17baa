"""z = a picture (flash/no-flash: the flash picture; CVPR 2018 Fig. 10)."""

import numpy as np
import torch
from torch import Tensor

from dip_exp import images
from dip_exp.component import PathText, component, located
from dip_exp.inputs.source import Input
from dip_exp.shapes import Float, Float32


@component
class GivenPicture(Input):
    """z = the picture in a file, or the observation itself if no path is given; values are not scaled.

    A picture smaller than z is extended by reflection to the right and below (z's sides are multiples of the network's
    reduction). Raises ValueError if the picture is larger than z, or at most half as high or as wide.
    """

    path: PathText | None = None

    def draw(
        self, size: tuple[int, int], y: Float[Tensor, "1 c h w"], generator: torch.Generator
    ) -> Float32[Tensor, "1 C H W"]:
        picture = y.cpu().float().numpy() if self.path is None else images.read(located(self.path)).x
        height, width = picture.shape[-2:]
        if not (height <= size[0] < 2 * height and width <= size[1] < 2 * width):
            raise ValueError(
                f"input: the picture {self.path or '(the observation)'} is {height}x{width} but z must be "
                f"{size[0]}x{size[1]}; give one of the restored picture's size  [input.path]"
            )
        beyond = ((0, 0), (0, 0), (0, size[0] - height), (0, size[1] - width))
        return torch.from_numpy(np.pad(picture, beyond, mode="reflect"))
