"""The part of a source picture that a run restores: cropped and reduced, and the same for what lies beside it."""

from dataclasses import dataclass

import numpy as np

from dip_exp.images.crop import centre_crop, shrink
from dip_exp.shapes import Float32

WHOLE = 1 - 1e-6
"""A mean of ones, up to rounding."""


@dataclass(frozen=True)
class Frame:
    """How a picture of `size` (width, height) is cropped and reduced, in this order: box, [left, top, width, height];
    trim_multiple; shrink_to; crop_multiple. None leaves a step out. The options are those of `image`."""

    size: tuple[int, int]
    box: list[int] | None = None
    trim_multiple: int | None = None
    shrink_to: int | None = None
    crop_multiple: int | None = None

    def of(self, x: Float32[np.ndarray, "*batch H W"]) -> Float32[np.ndarray, "*batch h w"]:
        """Returns this part of x (..., H, W), which has the size of the source. A reduced pixel is NaN if one of its
        sources is. Raises ValueError if nothing would be left."""
        if self.box is not None:
            columns, rows = _box_slices(self.box, *self.size)
            x = x[..., rows, columns]
        if self.trim_multiple is not None:
            height, width = x.shape[-2:]
            rows, columns = (slice(side - side % self.trim_multiple) for side in (height, width))
            x = x[..., rows, columns]
            if 0 in x.shape:
                raise ValueError(
                    f"image: trim_multiple is {self.trim_multiple} but the picture is {width}x{height}; nothing would "
                    f"be left; choose up to {min(height, width)}"
                )
        if self.shrink_to is not None:
            x = _shrunk(x, self.shrink_to)
        if self.crop_multiple is not None:
            x = centre_crop(x, self.crop_multiple)
        return np.ascontiguousarray(x)

    def of_mask(self, known: Float32[np.ndarray, "*batch H W"]) -> Float32[np.ndarray, "*batch h w"]:
        """Returns this part of a mask of {0, 1}, (..., H, W). A reduced pixel is known if all of its sources are."""
        return (self.of(known) >= WHOLE).astype(np.float32)

    def along(
        self, x: Float32[np.ndarray, "*batch H W"], size: tuple[int, int], *, mask: bool = False
    ) -> Float32[np.ndarray, "*batch h w"]:
        """Returns this part of x (..., H, W) if x has the size of the source; x itself if it already has `size`
        (height, width), or neither. mask: x is a mask."""
        if x.shape[-2:] == size or (x.shape[-1], x.shape[-2]) != self.size:
            return x
        return self.of_mask(x) if mask else self.of(x)


def _shrunk(x: np.ndarray, longest: int) -> np.ndarray:
    missing = np.isnan(x)
    if not missing.any():
        return shrink(x, longest)
    known = shrink((~missing).astype(np.float32), longest)
    return np.where(known >= WHOLE, shrink(np.where(missing, np.float32(0), x), longest), np.float32("nan"))


def _box_slices(box: list[int], width: int, height: int) -> tuple[slice, slice]:
    left, top, columns, rows = box
    if min(left, top) < 0 or min(columns, rows) < 1 or left + columns > width or top + rows > height:
        raise ValueError(
            f"image: box {box} ([left, top, width, height]) does not lie in the {width}x{height} picture; "
            f"choose left + width up to {width} and top + height up to {height}"
        )
    return slice(left, left + columns), slice(top, top + rows)
