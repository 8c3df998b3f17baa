"""The picture sources of conf/image: packaged pictures, files, and a blank picture."""

import hashlib
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, get_args

import numpy as np
from pydantic import Field

from dip_exp.component import Finite, PathText, PositiveInt, component, located
from dip_exp.images.files import file_sha256, read
from dip_exp.images.frame import Frame
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
class Source:
    """Options common to all picture sources.

    role: "clean": the picture is the truth; it is degraded here, and the result is scored. "observed": the picture is
    the observation; it is restored as it is, and nothing is scored. The other options are applied in this order: box,
    crop to [left, top, width, height] in pixels; grey, keep the luma alone; trim_multiple, crop at the right and bottom
    to sides that are multiples of it (the truths of the super-resolution tables); shrink_to, the longest side in
    pixels; crop_multiple, centre crop to sides that are multiples of it. Masks and other pictures of the same size as
    the source are cropped and reduced alike (`Frame`).
    """

    role: Role = "clean"
    box: Annotated[list[int], Field(min_length=4, max_length=4)] | None = None
    grey: bool = False
    trim_multiple: PositiveInt | None = None
    shrink_to: PositiveInt | None = None
    crop_multiple: PositiveInt | None = None

    def _processed(self, source: Picture) -> Picture:
        frame = Frame(source.size, self.box, self.trim_multiple, self.shrink_to, self.crop_multiple)
        x = source.visible
        x = frame.of(to_grey(x) if self.grey else x)
        return replace(source, x=x, alpha=None if source.alpha is None else frame.of(source.alpha), frame=frame)

    def shape(self) -> tuple[int, int, int]:
        """Returns (C, H, W) of the picture that `read` returns; raises as `read` does."""
        x = self.read().x
        return x.shape[1], x.shape[2], x.shape[3]

    def read(self) -> Picture:
        """Returns the picture with all options applied."""
        raise NotImplementedError


@component
class Packaged(Source):
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
class File(Source):
    """A picture file, by path (a leading ~/ is the home folder). Yaml: image=file image.path=..., or image=SET/NAME.

    sha256: the hash that the file must have (for the paper's sets); null: not checked. scale: the stored values of
    black and white, [lo, hi]; values beyond them are kept. `auto`: those of the type for 8 and 16 bits, 0 and 1 for
    floats that lie there or nearly so, else the least and the greatest value. pages: of a TIFF with several pages, the
    one to read, counted from 1; or `bands`: they are the bands of one picture.
    """

    path: PathText
    role: Role = "observed"
    sha256: str | None = None
    scale: Literal["auto"] | Annotated[list[Finite], Field(min_length=2, max_length=2)] = "auto"
    pages: Literal["bands"] | PositiveInt | None = None

    def __post_init__(self) -> None:
        if self.scale != "auto" and not self.scale[0] < self.scale[1]:
            raise ValueError(f"image.scale: given {self.scale}; must be auto or [lo, hi] with lo below hi")

    def read(self) -> Picture:
        """Returns the picture with all options applied; its sha256 is the file's. Raises as `images.read`."""
        values = "auto" if self.scale == "auto" else (float(self.scale[0]), float(self.scale[1]))
        return self._processed(read(self._path(), self.sha256, values=values, pages=self.pages))

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
class Blank(Source):
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
