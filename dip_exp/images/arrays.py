"""Converts a user's arrays to pictures and back."""

from typing import Literal

import numpy as np

from dip_exp.images.pixels import span
from dip_exp.shapes import Float32, Num, Shaped

Given = Num[np.ndarray, "H W"] | Num[np.ndarray, "H W C"] | Num[np.ndarray, "1 C H W"]
"""A picture in the layouts that `as_picture` takes."""

LaidOut = Float32[np.ndarray, "h w"] | Float32[np.ndarray, "h w c"] | Float32[np.ndarray, "1 c h w"]
"""A picture in the layout of a given one; super-resolution makes it larger."""

LAYOUTS = "give (H, W), (H, W, C) or (1, C, H, W)"
Values = tuple[float, float] | Literal["auto"] | None
"""The values that become 0 and 1; see `pixels.span`."""


def as_rows(y: Shaped[np.ndarray, "..."], who: str) -> Shaped[np.ndarray, "H W C"]:
    """Returns y as (H, W, C) in its own type. y: (H, W), (H, W, C) or (1, C, H, W).

    Raises ValueError, naming `who`, for another shape, or if the channels seem to lie on the wrong axis.
    """
    shape = y.shape
    if y.ndim not in (2, 3, 4) or (y.ndim == 4 and shape[0] != 1) or 0 in shape:
        raise ValueError(f"{who} has shape {shape}; {LAYOUTS}")
    if y.ndim == 2:
        return y[:, :, None]
    if y.ndim == 3:
        height, width, channels = shape
        if channels not in (1, 3) and height < min(width, channels):
            raise ValueError(
                f"{who} has shape {shape}, which looks channels-first: {height} channels of {width} rows and "
                f"{channels} columns, where (H, W, C) is needed; give numpy.moveaxis(y, 0, 2), or y[None], which is "
                "(1, C, H, W)"
            )
        return y
    _, channels, height, width = shape
    if channels not in (1, 3) and width < min(height, channels):
        raise ValueError(
            f"{who} has shape {shape}, which looks channels-last: {width} channels of {channels} rows "
            f"and {height} columns, where (1, C, H, W) is needed; give y[0], which is (H, W, C)"
        )
    return y[0].transpose(1, 2, 0)


def as_picture(y: Given, values: Values = None) -> tuple[Float32[np.ndarray, "1 C H W"], tuple[float, float]]:
    """Returns y as float32 (1, C, H, W), and the values of y that became 0 and 1.

    y: (H, W), (H, W, C) or (1, C, H, W). values: these two values, or `auto`; None: uint8, or floats in [0, 1]. Values
    beyond the two lie outside [0, 1]; NaN stays NaN. Raises ValueError or TypeError for another shape, type or range.
    """
    y = np.asarray(y)
    if y.dtype.kind not in "biuf":
        raise TypeError(f"y is {y.dtype}; give real numbers; for another observation use solve")
    if values is None and y.dtype != np.uint8 and y.dtype.kind != "f":
        raise TypeError(f"y is {y.dtype}; give uint8, or floats in [0, 1], or the values of black and white, values=")
    rows = as_rows(y, "y")
    known = rows[~np.isnan(rows)] if y.dtype.kind == "f" else rows
    low, high = (known.min(), known.max()) if known.size else (np.nan, np.nan)
    if values is None and not (low >= 0 and high <= (255 if y.dtype == np.uint8 else 1)):
        raise ValueError(
            f"y lies in [{low:g}, {high:g}]; give finite values in [0, 1] (bytes: divide by 255), or "
            "the values of black and white: values=(0, 1) keeps what lies beyond them, values='auto' finds them"
        )
    ends = span(rows, values or "auto", "y")
    return scaled(rows, ends), ends


def scaled(rows: Shaped[np.ndarray, "H W C"], ends: tuple[float, float]) -> Float32[np.ndarray, "1 C H W"]:
    """Returns rows (H, W, C) as float32 (1, C, H, W), with the values `ends` at 0 and 1."""
    low, high = ends
    with np.errstate(invalid="ignore"):  # some NaN, which mean missing, "signal" when they are cast
        values = rows.astype(np.float64) if low == 0 else rows.astype(np.float64) - low
    return np.ascontiguousarray((values / (high - low)).astype(np.float32).transpose(2, 0, 1)[None])


def unscaled(x: Float32[np.ndarray, "*axes"], ends: tuple[float, float]) -> Float32[np.ndarray, "*axes"]:
    """Returns x, in which 0 and 1 stand for the values `ends`, in their units; float32."""
    low, high = ends
    return x if ends == (0.0, 1.0) else (x.astype(np.float64) * (high - low) + low).astype(np.float32)


def laid_out_as(x_hat: Float32[np.ndarray, "1 _ _ _"], y: Given) -> LaidOut:
    """Returns x_hat (1, C, H, W) in the layout of y: (H, W), (H, W, C) or (1, C, H, W)."""
    if np.ndim(y) == 2:
        return x_hat[0, 0]
    return x_hat[0].transpose(1, 2, 0) if np.ndim(y) == 3 else x_hat
