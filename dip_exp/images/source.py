"""The picture sources of conf/image: packaged pictures, files, and a blank picture."""

import hashlib
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, get_args

import numpy as np
from pydantic import Field

from dip_exp.component import PathText, PositiveInt, component, located
from dip_exp.images.crop import centre_crop, shrink
from dip_exp.images.files import file_sha256, read
from dip_exp.images.picture import Picture, to_grey
from dip_exp.images.sets import FREE, by_content, manifest

PackagedName = Literal["astronaut", "chelsea", "coffee", "camera", "rocket"]
Role = Literal["clean", "observed"]


def packaged(name: str) -> Picture:
    """Returns one of scikit-image's own pictures: astronaut, chelsea, coffee, rocket (RGB) or camera (grey), all 8-bit.

    Its sha256 is that of the decoded pixels in row-major order. Needs no network. Raises ValueError for other names.
    """
    if name not in get_args(PackagedName):
        known = ", ".join(get_args(PackagedName))
        raise ValueError(f"image: no packaged picture is called {name!r}; choose one of {known}, or image=file")
    import skimage.data

    pixels = np.atleast_3d(getattr(skimage.data, name)())
    content = hashlib.sha256(pixels.tobytes()).hexdigest()
    x = np.ascontiguousarray((pixels / 255).astype(np.float32).transpose(2, 0, 1)[None])
    return Picture(x, None, None, "uint8", name, content)


@component
class _Source:
    """Options common to all picture sources.

    role: "clean": the picture is the truth; it is degraded here, and the result is scored. "observed": the picture is
    the observation; it is restored as it is, and nothing is scored. The other options are applied in this order: box,
    crop to [left, top, width, height] in pixels; grey, keep the luma alone; trim_multiple, crop at the right and bottom
    to sides that are multiples of it (the truths of the super-resolution tables); shrink_to, the longest side in
    pixels; crop_multiple, centre crop to sides that are multiples of it.
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
        """Returns (C, H, W) of the picture that `read` returns; raises as `read` does."""
        x = self.read().x
        return x.shape[1], x.shape[2], x.shape[3]

    def read(self) -> Picture:
        """Returns the picture with all options applied."""
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
        """Returns the picture with all options applied; its sha256 is that of the unprocessed picture."""
        return self._processed(packaged(self.name))

    def content(self) -> str:
        """Returns the sha256 of the picture's decoded pixels."""
        return _content(self.name)


@cache
def _content(name: str) -> str:
    """Returns the sha256 of a packaged picture, cached: a sweep asks for it once per job."""
    return packaged(name).sha256


@component
class File(_Source):
    """A picture file, by path (a leading ~/ is the home folder). Yaml: image=file image.path=..., or image=SET/NAME.

    sha256: the hash that the file must have (for the paper's sets); null: not checked.
    """

    path: PathText
    role: Role = "observed"
    sha256: str | None = None

    def read(self) -> Picture:
        """Returns the picture with all options applied; its sha256 is the file's. Raises as `images.read`."""
        return self._processed(read(self._path(), self.sha256))

    def content(self) -> str:
        """Returns the sha256 of the file's bytes, declared or computed, without decoding. Raises as `file_sha256`."""
        return self.sha256 or file_sha256(self._path())

    def shape(self) -> tuple[int, int, int]:
        """Returns (C, H, W) of the picture that `read` returns; a declared picture of a set is not opened for this."""
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
    """A black picture of `size` [width, height], for tasks that restore nothing (samples, maximisation)."""

    size: Annotated[list[PositiveInt], Field(min_length=2, max_length=2)]
    role: Role = "observed"

    def read(self) -> Picture:
        """Returns the black picture with all options applied."""
        width, height = self.size
        x = np.zeros((1, 3, height, width), np.float32)
        return self._processed(Picture(x, None, None, "uint8", "blank", self.content()))

    def content(self) -> str:
        """Returns the sha256 of its size, which determines the picture."""
        return hashlib.sha256(f"blank {self.size}".encode()).hexdigest()


def may_be_committed(option: str) -> bool:
    """Returns whether pictures of a run of `image=<option>` may be committed: of a packaged picture or a blank one, and
    of a set's picture whose licence is `sets.FREE`; never of a user's own."""
    if option in (*get_args(PackagedName), "blank"):
        return True
    return any(entry.option == option and entry.licence == FREE for entry in manifest())
