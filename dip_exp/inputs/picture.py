"""z = a picture (flash/no-flash: the flash picture; CVPR 2018 Fig. 10)."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from dip_exp import images
from dip_exp.component import PathText, component, located
from dip_exp.images import Frame
from dip_exp.inputs.source import Input
from dip_exp.shapes import Float, Float32


@component
class GivenPicture(Input):
    """z = the picture in a file, or the observation itself if no path is given; values are not scaled. A picture of the
    size of the restored picture's file is cropped and reduced as that is.

    A picture smaller than z is extended by reflection to the right and below (z's sides are multiples of the network's
    reduction). Raises ValueError if the picture is larger than z, or at most half as high or as wide.
    """

    path: PathText | None = None
    _frame: ClassVar[Frame | None] = None

    def draw(
        self, size: tuple[int, int], y: Float[Tensor, "1 c h w"], generator: torch.Generator
    ) -> Float32[Tensor, "1 C H W"]:
        picture = y.cpu().float().numpy() if self.path is None else self._read(self.path, y)
        return extended(
            picture,
            size,
            f"the picture {self.path or '(the observation)'}",
            "give one of the restored picture's size  [input.path]",
        )

    def _read(self, path: str, y: Tensor) -> np.ndarray:
        picture = images.read(located(path), what="input").visible
        return picture if self._frame is None else self._frame.along(picture, (y.shape[2], y.shape[3]))

    def along(self, frame: Frame) -> "GivenPicture":
        """See `Input.along`."""
        ours = replace(self)
        object.__setattr__(ours, "_frame", frame)  # no setting: it follows from those of `image`
        return ours


def extended(
    picture: Float32[np.ndarray, "1 C h w"], size: tuple[int, int], name: str, remedy: str
) -> Float32[Tensor, "1 C H W"]:
    """Returns the picture extended by reflection to the right and below to `size` (H, W).

    Raises ValueError, which calls the picture `name` and offers the remedy, if it is larger than that, or at most half
    as high or as wide.
    """
    height, width = picture.shape[-2:]
    if not (height <= size[0] < 2 * height and width <= size[1] < 2 * width):
        raise ValueError(f"input: {name} is {height}x{width} but z must be {size[0]}x{size[1]}; {remedy}")
    beyond = ((0, 0), (0, 0), (0, size[0] - height), (0, size[1] - width))
    return torch.from_numpy(np.pad(picture, beyond, mode="reflect"))
