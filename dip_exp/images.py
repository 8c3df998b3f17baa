"""Pictures, read, checked, cropped, padded, written: float32 (1,C,H,W) in [0,1]. Knows no task and no torch."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, get_args

import numpy as np
from PIL import Image
from pydantic import Field

from dip_exp.component import PathText, PositiveInt, component
from dip_exp.config import located
from dip_exp.imagefiles import (
    MAX_PIXELS,
    Picture,
    check,
    file_sha256,
    read,
    read_mask,
    to_grey,
    write,
    write_restored,
)
from dip_exp.sets import by_content

__all__ = [
    "MAX_PIXELS",
    "File",
    "Packaged",
    "Picture",
    "centre_crop",
    "check",
    "file_sha256",
    "packaged",
    "pad_to_multiple",
    "read",
    "read_mask",
    "shrink",
    "square",
    "to_grey",
    "write",
    "write_restored",
]

PackagedName = Literal["astronaut", "chelsea", "coffee", "camera", "rocket"]
Role = Literal["clean", "observed"]


def packaged(name: str) -> Picture:
    """Returns one of scikit-image's own pictures: astronaut, chelsea, coffee, rocket (RGB) or camera (grey), all 8-bit.

    Its sha256 is that of the decoded pixels, row by row. Needs no network. Raises ValueError for another name.
    """
    if name not in get_args(PackagedName):
        known = ", ".join(get_args(PackagedName))
        raise ValueError(f"image: no packaged picture is called {name!r}; choose one of {known}, or image=file")
    import skimage.data

    pixels = np.atleast_3d(getattr(skimage.data, name)())
    content = hashlib.sha256(pixels.tobytes()).hexdigest()
    x = np.ascontiguousarray((pixels / 255).astype(np.float32).transpose(2, 0, 1)[None])
    return Picture(x, None, None, "uint8", name, content)


def centre_crop(x: np.ndarray, multiple: int) -> np.ndarray:
    """Returns the largest central part of x (...,H,W) whose sides are multiples of `multiple`.

    An odd surplus loses its larger half at the right and the bottom, as in the authors' released code
    (utils/common_utils.py, crop_image). Raises ValueError where a side is shorter than `multiple`.
    """
    height, width = _sides(x, multiple, "centre_crop")
    if min(height, width) < multiple:
        raise ValueError(
            f"centre_crop: multiple is {multiple} but the picture is {width}x{height}; nothing would be left; "
            f"choose a multiple up to {min(height, width)} (crop_multiple)"
        )
    top, left = height % multiple // 2, width % multiple // 2
    rows, columns = height - height % multiple, width - width % multiple
    return x[..., top : top + rows, left : left + columns]


def square(x: np.ndarray, side: int) -> np.ndarray:
    """Returns the central square of x (...,H,W), float32 in [0,1], brought to (side, side).

    Reduced by area means, enlarged by cubic convolution and clipped. Raises ValueError for a side below 1.
    """
    height, width = _sides(x, side, "square")
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    x = x[..., top : top + short, left : left + short]
    if short >= side:
        return shrink(x, side)
    planes = [
        Image.fromarray(plane).resize((side, side), Image.Resampling.BICUBIC) for plane in x.reshape(-1, *x.shape[-2:])
    ]
    return np.stack([np.asarray(plane) for plane in planes]).reshape(*x.shape[:-2], side, side).clip(0, 1)


def pad_to_multiple(x: np.ndarray, multiple: int, mode: Literal["reflect", "edge"] = "reflect") -> np.ndarray:
    """Returns x (...,H,W) padded at the right and the bottom until its sides are multiples of `multiple`.

    The original is `[..., :H, :W]` of it. A side too short to be reflected that far repeats its edge instead.
    Raises ValueError for another mode or a multiple below 1.
    """
    if mode not in ("reflect", "edge"):
        raise ValueError(f"pad_to_multiple: mode is {mode!r}; choose 'reflect' or 'edge'")
    for axis, side in zip((-2, -1), _sides(x, multiple, "pad_to_multiple"), strict=True):
        missing = -side % multiple
        widths = [(0, 0)] * x.ndim
        widths[axis] = (0, missing)
        x = np.pad(x, widths, mode="reflect" if mode == "reflect" and missing < side else "edge")
    return x


def _sides(x: np.ndarray, multiple: int, who: str) -> tuple[int, int]:
    if multiple < 1:
        raise ValueError(f"{who}: multiple is {multiple}; choose 1 or more")
    return x.shape[-2], x.shape[-1]


def shrink(x: np.ndarray, longest: int) -> np.ndarray:
    """Returns x (...,H,W), float32 in [0,1], reduced so that its longer side is `longest`; never enlarged.

    Every new pixel is the mean of the area it covers, so that the picture's mean stays and nothing rings. The shorter
    side is rounded, to 1 at least. Raises ValueError for `longest` below 1.
    """
    if longest < 1:
        raise ValueError(f"shrink: longest side is {longest}; choose 1 or more (shrink_to)")
    height, width = x.shape[-2:]
    ratio = longest / max(height, width)
    if ratio >= 1:
        return x
    rows, columns = max(1, round(height * ratio)), max(1, round(width * ratio))
    reduced = _area_means(_area_means(x, rows).swapaxes(-1, -2), columns).swapaxes(-1, -2)
    return np.ascontiguousarray(np.clip(reduced, 0, 1))


def _area_means(x: np.ndarray, count: int) -> np.ndarray:
    """Returns the means of x (...,N,M) over `count` equal, in general fractional, stretches of its N rows."""
    size = x.shape[-2]
    edges = np.arange(count + 1) * size / count
    whole = np.minimum(edges.astype(int), size - 1)
    # Sums up to each edge; sums differ by little, so they are kept in double. No matrix product: its last bits would
    # depend on the machine's threads, and the observation must not.
    sums = np.zeros((*x.shape[:-2], size + 1, x.shape[-1]))
    np.cumsum(x, axis=-2, dtype=np.float64, out=sums[..., 1:, :])
    upto = sums[..., whole, :] + (edges - whole)[:, None] * x[..., whole, :]
    return (np.diff(upto, axis=-2) * (count / size)).astype(np.float32)


@component
class _Source:
    """What every picture source is asked for besides where it lies.

    role: "clean", the picture is the truth, is degraded here and the result scored; "observed", the picture is what
    there is, it is restored as it is and scored against nothing. The rest is applied in this order: box, the part
    [left, top, width, height] in pixels; grey, its luma; trim_multiple, the part from the top left whose sides are
    multiples of it (the truths of the super-resolution tables); shrink_to, the longest side in pixels; crop_multiple,
    the central part whose sides are multiples of it.
    """

    role: Role = "clean"
    box: Annotated[list[int], Field(min_length=4, max_length=4)] | None = None
    grey: bool = False
    trim_multiple: PositiveInt | None = None
    shrink_to: PositiveInt | None = None
    crop_multiple: PositiveInt | None = None

    def _processed(self, source: Picture) -> Picture:
        x, alpha = source.x, source.alpha
        if self.box is not None:
            columns, rows = _box_slices(self.box, *source.size)
            x, alpha = x[..., rows, columns], None if alpha is None else alpha[rows, columns]
        if self.grey:
            x = to_grey(x)
        if self.trim_multiple is not None:
            height, width = x.shape[-2:]
            rows, columns = (slice(side - side % self.trim_multiple) for side in (height, width))
            x, alpha = x[..., rows, columns], None if alpha is None else alpha[rows, columns]
            if 0 in x.shape:
                raise ValueError(
                    f"image: trim_multiple is {self.trim_multiple} but the picture is {width}x{height}; nothing would "
                    f"be left; choose up to {min(height, width)}"
                )
        if self.shrink_to is not None:
            x, alpha = shrink(x, self.shrink_to), None if alpha is None else shrink(alpha, self.shrink_to)
        if self.crop_multiple is not None:
            x = centre_crop(x, self.crop_multiple)
            alpha = None if alpha is None else centre_crop(alpha, self.crop_multiple)
        return replace(source, x=np.ascontiguousarray(x), alpha=None if alpha is None else np.ascontiguousarray(alpha))

    def shape(self) -> tuple[int, int, int]:
        """Returns (C, H, W) of what `read` would return; raises as it does."""
        x = self.read().x
        return x.shape[1], x.shape[2], x.shape[3]

    def read(self) -> Picture:
        """Returns the picture after all that is asked for."""
        raise NotImplementedError


def _box_slices(box: list[int], width: int, height: int) -> tuple[slice, slice]:
    left, top, columns, rows = box
    if min(left, top) < 0 or min(columns, rows) < 1 or left + columns > width or top + rows > height:
        raise ValueError(
            f"image: box {box} ([left, top, width, height]) does not lie in the {width}x{height} picture; "
            f"choose left + width up to {width} and top + height up to {height}"
        )
    return slice(left, left + columns), slice(top, top + rows)


@component
class Packaged(_Source):
    """One of scikit-image's pictures, by name; see `packaged`. Yaml: image=astronaut, chelsea, ..."""

    name: PackagedName

    def read(self) -> Picture:
        """Returns the picture after box, grey, shrink_to and crop_multiple; its sha256 is that of the whole."""
        return self._processed(packaged(self.name))

    def content(self) -> str:
        """Returns the sha256 of the picture's decoded pixels."""
        return packaged(self.name).sha256


@component
class File(_Source):
    """A picture file, by path (a leading ~/ is the home folder). Yaml: image=file image.path=..., or image=SET/NAME.

    sha256: what the file must be (the paper's sets); null: whatever it is.
    """

    path: PathText
    role: Role = "observed"
    sha256: str | None = None

    def read(self) -> Picture:
        """Returns the picture after box, grey, shrink_to, crop_multiple; its sha256 is the file's. Raises as `read`."""
        return self._processed(read(self._path(), self.sha256))

    def content(self) -> str:
        """Returns the sha256 of the file's bytes, declared or computed, decoding nothing. Raises as `file_sha256`."""
        return self.sha256 or file_sha256(self._path())

    def shape(self) -> tuple[int, int, int]:
        """Returns (C, H, W) of what `read` would return; a declared picture of a set is not opened for it."""
        entry = by_content(self.sha256)
        if entry is None or not entry.is_picture:
            return super().shape()
        channels = 1 if entry.mode in ("1", "L", "LA", "I;16") else 3
        grey = np.full((1, channels, entry.height, entry.width), 0.5, np.float32)
        x = self._processed(Picture(grey, None, None, "uint8", entry.name, entry.sha256)).x
        return x.shape[1], x.shape[2], x.shape[3]

    def _path(self) -> Path:
        return located(self.path)


@component
class Blank(_Source):
    """No picture: a black one of `size` [width, height], for tasks that restore nothing (samples, maximisation)."""

    size: Annotated[list[PositiveInt], Field(min_length=2, max_length=2)]
    role: Role = "observed"

    def read(self) -> Picture:
        """Returns the black picture after box, shrink_to and crop_multiple."""
        width, height = self.size
        x = np.zeros((1, 3, height, width), np.float32)
        return self._processed(Picture(x, None, None, "uint8", "blank", self.content()))

    def content(self) -> str:
        """Returns the sha256 of its size: there is nothing else to it."""
        return hashlib.sha256(f"blank {self.size}".encode()).hexdigest()
