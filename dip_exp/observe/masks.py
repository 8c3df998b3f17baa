"""Masks of known pixels for inpainting: 1 is known (white), 0 is missing (black).

Each mask is a component with one method, `draw`. A new mask is a subclass of `Mask` whose `draw` ends in `check_mask`.
"""

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from pydantic import Field

from dip_exp.component import Fraction, PathText, Positive, PositiveInt, component, located
from dip_exp.shapes import Float, Float32

if TYPE_CHECKING:
    from dip_exp.images import Frame

# Rounding may put a sum of fractions just above 1; a box that reaches the border must be accepted.
_ROUNDING = 1e-9


class Mask(ABC):
    """Says which pixels of a picture are known.

    made_up: the mask is invented for an experiment, and does not describe real damage.
    """

    made_up: ClassVar[bool] = True

    @abstractmethod
    def draw(self, shape: tuple[int, int, int], rng: np.random.Generator) -> Float32[np.ndarray, "1 _ H W"]:
        """Returns the mask of a picture of `shape` (C,H,W): float32 of {0,1}, shape (1,1,H,W) or (1,C,H,W), 1 is known.

        Only random masks draw from `rng`. Raises ValueError if the mask leaves nothing or everything known.
        """

    def notes(self) -> tuple[str, ...]:
        """Returns sentences that tell the user how the mask was read."""
        return ()

    def along(self, frame: "Frame") -> "Mask":
        """Returns the mask for a picture that is the part `frame` of its source. Only masks from files change."""
        return self


def check_mask(mask: Float[np.ndarray, "..."], shape: tuple[int, int, int], who: str) -> Float[np.ndarray, "1 _ H W"]:
    """Returns `mask` unchanged if it fits a picture of `shape` (C,H,W). Messages start with `who`.

    Raises:
        ValueError: the shape is not (1,1|C,H,W), a value is neither 0 nor 1, or all pixels are known or all missing.
    """
    channels, height, width = shape
    kinds = "1" if channels == 1 else f"1 or {channels}"
    if mask.shape not in ((1, 1, height, width), (1, channels, height, width)):
        raise ValueError(
            f"{who}: the mask has shape {mask.shape} but the picture is {channels}x{height}x{width} (channels x height "
            f"x width); must be (1, {kinds}, {height}, {width}); set another task.mask"
        )
    binary = (mask == 0) | (mask == 1)
    if not binary.all():
        raise ValueError(
            f"{who}: {int((~binary).sum())} of the mask's {mask.size} values are neither 0 nor 1 (they run from "
            f"{mask.min():g} to {mask.max():g}); must be 0 (missing) or 1 (known); threshold the mask"
        )
    if mask.all() or not mask.any():
        state, rest = ("known", "there is nothing to restore") if mask.all() else ("missing", "nothing is left to fit")
        raise ValueError(
            f"{who}: all {mask.size} pixels of the mask are {state}, {rest}; must have some of both; "
            "white is known, black is missing; task.mask.flip=true flips a mask from a file; or set another task.mask"
        )
    return mask


@component
class Bernoulli(Mask):
    """Pixels are missing independently at random, with probability `missing`.

    Deep Image Prior, CVPR 2018, section 4 and Table 1, uses 0.5. In the paper's masks a missing pixel is missing in all
    channels; `per_channel` draws each channel separately, as the authors' `get_bernoulli_mask` does for colour.
    """

    missing: Annotated[float, Field(gt=0, lt=1)] = 0.5
    per_channel: bool = False

    def draw(self, shape: tuple[int, int, int], rng: np.random.Generator) -> Float32[np.ndarray, "1 _ H W"]:
        """See `Mask.draw`; (1,C,H,W) if `per_channel`, else (1,1,H,W)."""
        channels, height, width = shape
        draws = rng.random((1, channels if self.per_channel else 1, height, width))
        return check_mask((draws >= self.missing).astype(np.float32), shape, "mask bernoulli")


@component
class Text(Mask):
    """Lines of text over the picture: the letters are missing.

    Pillow's default font, `size` pixels high, without antialiasing; `text` is repeated up to the right border. Lines
    are about `spacing` * `size` pixels apart, so that the missing fraction (4 to 6 % with the defaults, for sides of at
    least 100 pixels) hardly depends on the picture's size. Each line starts at another offset, so that letters do not
    line up. Nothing is random. Another version of Pillow may shift a letter by a pixel; use `File` for a mask that must
    never change.
    """

    text: Annotated[str, Field(min_length=1)] = "deep image prior "
    size: PositiveInt = 20
    spacing: Positive = 4.0

    def __post_init__(self) -> None:
        if len(self.text.splitlines()) > 1:
            raise ValueError(f"mask text: text {self.text!r} has more than one line; must be one; set task.mask.text")

    def draw(self, shape: tuple[int, int, int], rng: np.random.Generator) -> Float32[np.ndarray, "1 _ H W"]:
        """See `Mask.draw`; (1,1,H,W), `rng` is not used."""
        _, height, width = shape
        font = ImageFont.load_default(self.size)
        length = max(1.0, font.getlength(self.text))
        canvas = Image.new("1", (width, height), 1)
        pen = ImageDraw.Draw(canvas)
        lines = max(1, round(height / (self.spacing * self.size)))
        for line in range(lines):
            shift = (line * length / 3) % length
            copies = int((width + shift) / length) + 1
            middle = (line + 0.5) * height / lines
            pen.text((-shift, middle), self.text * copies, fill=0, font=font, anchor="lm")
        known = np.asarray(canvas, dtype=np.float32)[None, None]
        return check_mask(known, shape, "mask text")


@component
class Boxes(Mask):
    """Missing rectangles, each [left, top, width, height] in fractions of the picture's width and height.

    Fractions make one mask fit any size. Edges are rounded to whole pixels, and each box covers at least one pixel.
    """

    made_up: ClassVar[bool] = False
    boxes: Annotated[list[Annotated[list[Fraction], Field(min_length=4, max_length=4)]], Field(min_length=1)] = Field(
        default_factory=lambda: [[0.375, 0.375, 0.25, 0.25]]
    )

    def __post_init__(self) -> None:
        for box in self.boxes:
            left, top, width, height = box
            if width == 0 or height == 0:
                raise ValueError(f"mask boxes: box {box} is empty; width and height are above 0; set task.mask.boxes")
            if left + width > 1 + _ROUNDING or top + height > 1 + _ROUNDING:
                raise ValueError(
                    f"mask boxes: box {box} leaves the picture; left + width and top + height are at most 1 (fractions "
                    "of the picture, not pixels); set task.mask.boxes"
                )

    def draw(self, shape: tuple[int, int, int], rng: np.random.Generator) -> Float32[np.ndarray, "1 _ H W"]:
        """See `Mask.draw`; (1,1,H,W), `rng` is not used."""
        _, height, width = shape
        known = np.ones((1, 1, height, width), np.float32)
        for left, top, box_width, box_height in self.boxes:
            rows = _span(top, box_height, height)
            columns = _span(left, box_width, width)
            known[:, :, rows, columns] = 0
        return check_mask(known, shape, "mask boxes")


@component
class File(Mask):
    """The mask in a picture file: white is known, black is missing; `flip` swaps them.

    It has the size of the picture, or that of the picture's file: then it is cropped and reduced as the picture is.

    read: `luma`: pixels are known by their luma; `alpha`: by their alpha; `auto`: by what the file's values tell
    (`images.known_pixels`). threshold: the least luma of a known pixel; just above 0, it reads the mask from a picture
    whose missing pixels are black. missing_values: the stored values (grey levels, labels, entries of a palette) that
    are missing; null: not by values. sha256: the hash that the file must have; null: not checked.
    """

    made_up: ClassVar[bool] = False
    path: PathText
    flip: bool = False
    threshold: Positive = 0.5
    read: Literal["auto", "luma", "alpha"] = "auto"
    missing_values: list[int] | None = None
    sha256: str | None = None
    _frame: ClassVar["Frame | None"] = None

    def draw(self, shape: tuple[int, int, int], rng: np.random.Generator) -> Float32[np.ndarray, "1 _ H W"]:
        """See `Mask.draw`; (1,1,H,W), `rng` is not used. Raises ValueError if the sizes differ."""
        from dip_exp.images import read_mask  # imported here because the other masks need no picture reader

        known = read_mask(*self._asked())
        width, height, frame = known.shape[3], known.shape[2], self._frame
        if frame is not None:
            known = frame.along(known, (shape[1], shape[2]), mask=True)
        if known.shape[2:] != shape[1:]:
            of_source = "" if frame is None else f", and the picture's file {frame.size[0]}x{frame.size[1]}"
            raise ValueError(
                f"mask file {self.path}: the mask is {width}x{height} but the picture is {shape[2]}x{shape[1]} (width "
                f"x height){of_source}; it must be of the one size or of the other; set task.mask.path"
            )
        return check_mask(known, shape, f"mask file {self.path}")

    def notes(self) -> tuple[str, ...]:
        """See `Mask.notes`."""
        from dip_exp.images import known_pixels

        return known_pixels(*self._asked()).notes

    def along(self, frame: "Frame") -> "File":
        """See `Mask.along`."""
        ours = replace(self)
        object.__setattr__(ours, "_frame", frame)  # no setting: it follows from those of `image`
        return ours

    def _asked(self) -> tuple:
        return located(self.path), self.flip, self.threshold, self.sha256, self.read, self.missing_values


def _span(start: float, length: float, pixels: int) -> slice:
    first = min(round(start * pixels), pixels - 1)
    return slice(first, max(first + 1, round((start + length) * pixels)))
