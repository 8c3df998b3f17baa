"""Reads a mask file: which pixels of a picture are known, and which are missing."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple, NoReturn

import numpy as np

from dip_exp.images.arrays import scaled
from dip_exp.images.files import alpha_of, pixels_of
from dip_exp.images.picture import to_grey
from dip_exp.images.pixels import Pixels, span
from dip_exp.shapes import Float32

By = Literal["auto", "luma", "alpha"]

HALF = 0.5
NEARLY_ALL = 0.99
"""A few pixels of another value, at the edges of strokes, do not change what a mask means."""

FAR = (0.2, 0.8)
"""Lumas between these are far from black and from white."""

COLOURED = 0.1
"""A pixel has a colour if its channels differ by more. JPEG gives grey pixels a little of it."""

LABELS = 256
"""With more colours than this, a mask in colours is a photograph and no map of labels."""

FEW_LABELS = 32
"""With at most so many values, one coloured pixel is enough for a map of labels: an object may be small."""

AUTO = "task.mask.read=luma reads it by its brightness all the same"


class Known(NamedTuple):
    """known: (1,1,H,W) float32, 1 is known and 0 is missing. notes: sentences about how the file was read."""

    known: np.ndarray
    notes: tuple[str, ...] = ()


def read_mask(
    path: str | os.PathLike[str],
    flip: bool = False,
    threshold: float = HALF,
    sha256: str | None = None,
    by: By = "auto",
    missing: Sequence[int] | None = None,
) -> Float32[np.ndarray, "1 1 H W"]:
    """Returns the mask of `known_pixels` alone."""
    return known_pixels(path, flip, threshold, sha256, by, missing).known


def known_pixels(
    path: str | os.PathLike[str],
    flip: bool = False,
    threshold: float = HALF,
    sha256: str | None = None,
    by: By = "auto",
    missing: Sequence[int] | None = None,
) -> Known:
    """Returns the known pixels that a mask file describes: white is known, black is missing; `flip` swaps the two.

    by: `luma`: a pixel is known if its luma is at least `threshold`; `alpha`: if its alpha is. `auto`: by the luma,
    unless
    - the alpha varies. Then it says what is drawn: what is drawn black is missing and the rest is known, or what is
      drawn white is known and the rest is missing;
    - there are just two values: the darker one is missing;
    - it has more than two colours (labels, a photograph): refused.
    A `threshold` other than a half, or a declared `sha256`, says that the luma is meant. missing: the stored values (of
    a palette: its entries) that are missing; all others are known. Raises as `images.read`, and ValueError for a file
    whose meaning cannot be told.
    """
    who = f"mask {os.fspath(path)!r}"
    pixels, _ = pixels_of(Path(path), sha256, what="mask")
    ends = span(pixels.colours, None if pixels.values.dtype.kind == "f" else "auto", who)
    x, alpha = scaled(pixels.colours, ends), alpha_of(pixels)
    luma = to_grey(x)[0, 0]
    if missing is not None:
        found = _labelled(pixels, missing, who)
    elif by == "alpha":
        if alpha is None:
            raise ValueError(f"{who}: task.mask.read=alpha, but nothing in it is transparent; leave the setting out")
        found = Known(alpha >= threshold)
    elif by == "auto" and alpha is not None and alpha.min() < alpha.max() and (alpha < HALF).any():
        found = _drawn(x, luma, alpha, threshold, who)
    elif by == "luma" or threshold != HALF or sha256 is not None:
        found = Known(luma >= threshold)
    else:
        found = _from_values(pixels, x, luma, who)
    return found._replace(known=(found.known != flip).astype(np.float32)[None, None])


def _labelled(pixels: Pixels, missing: Sequence[int], who: str) -> Known:
    stored = _stored(pixels)
    if stored.ndim != 2:
        raise ValueError(
            f"{who}: task.mask.missing_values={list(missing)} names grey levels or a palette's entries; this mask is "
            "in colours"
        )
    known = ~np.isin(stored, list(missing))
    if known.all():
        raise ValueError(
            f"{who}: none of its pixels has a value of task.mask.missing_values={list(missing)}; it has "
            f"{_values(stored)}"
        )
    return Known(known)


def _drawn(x: np.ndarray, luma: np.ndarray, alpha: np.ndarray, threshold: float, who: str) -> Known:
    opaque = alpha >= HALF
    if not opaque.any():
        raise ValueError(
            f"{who}: its alpha lies in [{alpha.min():g}, {alpha.max():g}], so nothing is drawn; save it without alpha"
        )
    drawn = x[0][:, opaque]
    one = bool((drawn == drawn[:, :1]).all())
    black = (luma[opaque] <= FAR[0]).mean() >= NEARLY_ALL or (one and bool(luma[opaque][0] < threshold))
    white = (drawn.min(axis=0) >= FAR[1]).mean() >= NEARLY_ALL
    if not (black or white):
        raise ValueError(
            f"{who}: {1 - opaque.mean():.1%} of it is transparent, and what is opaque is neither black nor white, so "
            "what is missing cannot be told; save it in black (missing) and white without alpha, or say "
            "task.mask.read=alpha (opaque is known, transparent is missing; task.mask.flip=true swaps them) or "
            "task.mask.read=luma (the colours alone)"
        )
    rest = "known" if black else "missing"
    state = "black is missing" if black else "white is known"
    note = f"the mask is drawn on a transparent layer: what is drawn in {state}, the rest is {rest}"
    return Known(~opaque if black else opaque, (note,))


def _from_values(pixels: Pixels, x: np.ndarray, luma: np.ndarray, who: str) -> Known:
    """Returns what a mask without transparency means if its values tell."""
    stored = _stored(pixels)
    colours = _distinct(stored)
    if len(colours) == 1 and 0 < luma[0, 0] < 1:  # all black or all white is refused once its size is known to fit
        raise ValueError(
            f"{who}: all of its pixels have the value {_word(colours[0])}; a mask has both known (white) and missing "
            "(black) pixels"
        )
    if len(colours) == 1:
        return Known(luma >= HALF)
    if len(colours) == 2:
        return _of_two(stored, colours, luma, who)
    coloured = float((np.ptp(x[0], axis=0) > COLOURED).mean())
    if coloured > 1 - NEARLY_ALL or (coloured > 0 and len(colours) <= FEW_LABELS):  # an object's label may be small
        _refuse_colours(pixels, stored, colours, coloured, who)
    known = luma >= HALF
    if known.all() or not known.any():
        side, state = ("above", "missing") if known.all() else ("below", "known")
        between = float(np.mean(np.unique(luma)[:2]))
        raise ValueError(
            f"{who}: its values, {_values(stored)}, are all {side} one half of white, so that no pixel would be "
            f"{state} (white is known, black is missing); say which are missing, task.mask.missing_values="
            f"[{_word(colours[0])}], or from which luma up they are known, task.mask.threshold={between:.3g}"
        )
    far = float(((luma > FAR[0]) & (luma < FAR[1])).mean())
    notes = ()
    if far > 1 - NEARLY_ALL or len(colours) <= 8:
        few = len(colours) <= 8
        what = (
            f"the mask's values are {_values(stored)}" if few else f"{far:.0%} of the mask is far from black and white"
        )
        notes = (f"{what}: from one half of white up, values are read as known (task.mask.threshold=0.5)",)
    return Known(known, notes)


def _of_two(stored: np.ndarray, colours: np.ndarray, luma: np.ndarray, who: str) -> Known:
    low, high = float(luma.min()), float(luma.max())
    if low == high:
        raise ValueError(
            f"{who}: its two colours, {_values(stored)}, are equally bright, so which is missing cannot be told; "
            "save it in black (missing) and white"
        )
    known = luma == high
    if low <= FAR[0] and high >= FAR[1]:
        return Known(known)
    dark, bright = (_word(stored[luma == level][0]) for level in (low, high))
    told = f"the mask has just two values: {dark} is read as missing and {bright} as known (task.mask.flip swaps them)"
    return Known(known, (told,))


def _refuse_colours(pixels: Pixels, stored: np.ndarray, colours: np.ndarray, share: float, who: str) -> NoReturn:
    if len(colours) <= LABELS:
        of = "palette entries" if pixels.entries is not None else "colours"
        named = f"say which are missing, task.mask.missing_values=[{_word(colours[-1])}]" if stored.ndim == 2 else AUTO
        raise ValueError(
            f"{who}: it has the {of} {_values(stored)}, more than two, so which are missing cannot be told; {named}; "
            "or save it in black (missing) and white"
        )
    raise ValueError(
        f"{who}: {share:.0%} of its pixels are coloured, so it looks like a photograph and no mask; name a picture in "
        f"black (missing) and white (known); {AUTO}"
    )


def _stored(pixels: Pixels) -> np.ndarray:
    """Returns the stored values: (H, W) of a palette or of grey, else (H, W, C)."""
    if pixels.entries is not None:
        return pixels.entries
    colours = pixels.colours
    grey = (colours == colours[:, :, :1]).all()
    return colours[:, :, 0] if grey else colours


def _distinct(stored: np.ndarray) -> np.ndarray:
    """Returns the distinct values in ascending order: numbers, or rows of them."""
    if stored.ndim == 2:
        return np.unique(stored)
    return np.unique(stored.reshape(-1, stored.shape[2]), axis=0)


def _values(stored: np.ndarray, most: int = 8) -> str:
    colours = _distinct(stored)
    words = [_word(colour) for colour in colours[:most]]
    more = f" and {len(colours) - most} more" if len(colours) > most else ""
    return f"{', '.join(words)}{more}"


def _word(value: np.ndarray) -> str:
    if value.ndim:
        return f"({', '.join(_word(one) for one in value)})"
    return f"{float(value):g}"
