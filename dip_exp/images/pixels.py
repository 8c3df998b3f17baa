"""Pixels as a file stores them, and the checks that all decoders share."""

import struct
import zlib
from typing import Literal, NamedTuple, NoReturn

import numpy as np
import png
import tifffile

from dip_exp.shapes import Shaped

Depth = Literal["uint8", "uint16", "float"]

MAX_PIXELS = 2**26  # 8192 x 8192: below PIL's own warning, far more than a network can fit
# What decoders raise for broken files. MemoryError is deliberately not listed, so it propagates.
BROKEN = (OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, struct.error, zlib.error, png.Error)
BROKEN += (tifffile.TiffFileError, ArithmeticError)
SPAN_OF_BITS = {"uint8": (0.0, 255.0), "uint16": (0.0, 65535.0), "bool": (0.0, 1.0)}
"""The values of black and white in types of which all values are in use."""

UNCLIPPED = 0.5
"""Floats that leave [0, 1] by at most this much, and a quarter of them at most, are a picture with unclipped noise."""


class Pixels(NamedTuple):
    """values: (H, W, S) as stored: the colours or bands, and then the alpha, if `alpha`. icc: colour profile or None.

    entries: (H, W), the palette's entries, or None. plain: the file is an array of numbers and no picture (.npy)."""

    values: Shaped[np.ndarray, "H W S"]
    icc: bytes | None = None
    alpha: bool = False
    entries: Shaped[np.ndarray, "H W"] | None = None
    plain: bool = False

    @property
    def colours(self) -> Shaped[np.ndarray, "H W C"]:
        """(H, W, C): the values without the alpha."""
        return self.values[:, :, :-1] if self.alpha else self.values

    @property
    def depth(self) -> Depth:
        """The bit depth to restore at: 8, 16, or float for everything else."""
        kind = str(self.values.dtype)
        return kind if kind in ("uint8", "uint16") else "float"  # type: ignore[return-value]


def span(
    colours: Shaped[np.ndarray, "H W C"], asked: tuple[float, float] | Literal["auto"] | None, who: str
) -> tuple[float, float]:
    """Returns the stored values that become 0 and 1.

    asked: these two values, or `auto`: those of the type for 8 and 16 unsigned bits; 0 and 1 for floats in [0, 1], or
    not far from it; else the least and the greatest value. None: as `auto`, but values outside [0, 1] are refused.
    Raises ValueError, naming `who`, for infinite values, for NaN everywhere, or what is to be refused.
    """
    kind = str(colours.dtype)
    if colours.dtype.kind not in "biuf":
        raise ValueError(f"{who}: its values are {kind}; save it as real numbers, such as float32")
    bad = int((~np.isfinite(colours)).sum()) if asked is None else int(np.isinf(colours).sum())
    if bad:
        what = "NaN or infinite" if asked is None else "infinite"
        raise ValueError(f"{who}: {bad} of {colours.size} values are {what}; replace them first")
    known = colours[~np.isnan(colours)] if colours.dtype.kind == "f" else colours
    if not known.size:
        raise ValueError(f"{who}: all {colours.size} values are NaN; a picture has at least one that is known")
    if kind in SPAN_OF_BITS and asked in (None, "auto"):
        return SPAN_OF_BITS[kind]
    low, high = float(known.min()), float(known.max())
    black, white = asked if isinstance(asked, tuple) else (low, high)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        reach = np.array([low - black, high - black, white - black]) / np.float64(abs(white - black) or 1.0)
    if not (np.abs(reach) < np.finfo(np.float32).max).all():
        raise ValueError(
            f"{who}: its values lie in [{low:g}, {high:g}], too far apart to be pixels  [image.scale=[lo,hi]]"
        )
    if isinstance(asked, tuple):
        return asked
    if colours.dtype.kind == "f" and low >= 0 and high <= 1:
        return 0.0, 1.0
    if asked is None:
        raise ValueError(
            f"{who}: values lie in [{low:g}, {high:g}] and are {kind}; a float picture lies in [0, 1]: divide by the "
            "value of white (255 for 8-bit data), or save it with 8 or 16 bits, unsigned"
        )
    outside = ((known < 0) | (known > 1)).mean()
    if colours.dtype.kind == "f" and low >= -UNCLIPPED and high <= 1 + UNCLIPPED and outside <= 0.25:
        return 0.0, 1.0
    return low, (high if high > low else low + 1)


def refuse_broken(who: str, error: Exception) -> NoReturn:
    """Raises ValueError: the file is broken."""
    raise ValueError(f"{who}: the picture is broken or cut off ({error}); save or copy it again") from error


def check_size(width: int, height: int, who: str) -> None:
    """Raises ValueError for a picture without pixels or with more than MAX_PIXELS."""
    if not width or not height:
        raise ValueError(f"{who}: it is {width}x{height}, a picture has at least one pixel; save it again")
    if width * height > MAX_PIXELS:
        raise ValueError(
            f"{who}: it is {width}x{height}, more than the {MAX_PIXELS} pixels that are accepted; "
            "crop or shrink it first"
        )


def check_pages(pages: int, who: str, hint: str = "save the one you mean on its own") -> None:
    """Raises ValueError unless there is one page."""
    if pages != 1:
        raise ValueError(f"{who}: it holds {pages} pages or frames, one is needed; {hint}")


def upright(values: Shaped[np.ndarray, "H W S"], orientation: int) -> Shaped[np.ndarray, "h w S"]:
    """Returns values (H,W,S) with an EXIF orientation (1 to 8) applied; any other number changes nothing."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    return values[:, ::-1] if orientation in (2, 3, 6, 7) else values
