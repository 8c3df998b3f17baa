"""Converts a user's arrays to pictures and back."""

import numpy as np

from dip_exp.shapes import Float, Float32, Num

Given = Num[np.ndarray, "H W"] | Num[np.ndarray, "H W C"] | Num[np.ndarray, "1 C H W"]
"""A picture in the layouts that `as_picture` takes: uint8, or float in [0, 1]."""

LaidOut = Float32[np.ndarray, "h w"] | Float32[np.ndarray, "h w c"] | Float32[np.ndarray, "1 c h w"]
"""A picture in the layout of a given one; super-resolution makes it larger."""


def as_picture(y: Given) -> Float32[np.ndarray, "1 C H W"]:
    """Returns y as float32 (1, C, H, W). y: (H, W), (H, W, C) or (1, C, H, W), uint8 or float in [0, 1].

    Raises ValueError or TypeError for another shape, type or range.
    """
    y = np.asarray(y)
    if y.dtype == np.uint8:
        y = y.astype(np.float32) / 255
    if not np.issubdtype(y.dtype, np.floating):
        raise TypeError(f"y is {y.dtype}; give uint8, or floats in [0, 1]")
    if y.ndim == 2:
        y = y[None, None]
    elif y.ndim == 3:
        y = y.transpose(2, 0, 1)[None]
    if y.ndim != 4 or y.shape[0] != 1 or 0 in y.shape:
        raise ValueError(f"y has shape {y.shape}; give (H, W), (H, W, C) or (1, C, H, W)")
    if not np.isfinite(y).all() or y.min() < 0 or y.max() > 1:
        raise ValueError(f"y lies in [{y.min():g}, {y.max():g}]; give finite values in [0, 1] (bytes: divide by 255)")
    return np.ascontiguousarray(y, dtype=np.float32)


def laid_out_as(x_hat: Float[np.ndarray, "1 _ _ _"], y: Given) -> LaidOut:
    """Returns x_hat (1, C, H, W), clipped to [0, 1], in the layout of y: (H, W), (H, W, C) or (1, C, H, W)."""
    picture = np.clip(x_hat, 0, 1)
    if np.ndim(y) == 2:
        return picture[0, 0]
    return picture[0].transpose(1, 2, 0) if np.ndim(y) == 3 else picture
