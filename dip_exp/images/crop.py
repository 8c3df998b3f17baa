"""Cropping and reducing pictures: centre crops, central squares, area means."""

import numpy as np
from PIL import Image

from dip_exp.shapes import Float, Float32, Num


def centre_crop(x: Num[np.ndarray, "*batch H W"], multiple: int) -> Num[np.ndarray, "*batch h w"]:
    """Returns the largest central part of x (...,H,W) whose sides are multiples of `multiple`.

    If the surplus is odd, the larger half is removed at the right and the bottom, as in the authors' released code
    (utils/common_utils.py, crop_image). Raises ValueError if a side is shorter than `multiple`.
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


def square(x: Float32[np.ndarray, "*batch H W"], side: int) -> Float32[np.ndarray, "*batch {side} {side}"]:
    """Returns the central square of x (...,H,W), float32 in [0,1], resized to (side, side).

    It is reduced by area means, or enlarged by cubic convolution and clipped. Raises ValueError for a side below 1.
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


def _sides(x: np.ndarray, multiple: int, who: str) -> tuple[int, int]:
    if multiple < 1:
        raise ValueError(f"{who}: multiple is {multiple}; choose 1 or more")
    return x.shape[-2], x.shape[-1]


def shrink(x: Float32[np.ndarray, "*batch H W"], longest: int) -> Float32[np.ndarray, "*batch h w"]:
    """Returns x (...,H,W), float32, reduced so that its longer side is `longest`; never enlarged.

    Each new pixel is the mean of the area it covers, which keeps the picture's mean and avoids ringing. The shorter
    side is rounded, and at least 1. Raises ValueError for `longest` below 1.
    """
    if longest < 1:
        raise ValueError(f"shrink: longest side is {longest}; choose 1 or more (shrink_to)")
    height, width = x.shape[-2:]
    ratio = longest / max(height, width)
    if ratio >= 1:
        return x
    rows, columns = max(1, round(height * ratio)), max(1, round(width * ratio))
    reduced = _area_means(_area_means(x, rows).swapaxes(-1, -2), columns).swapaxes(-1, -2)
    # Rounding may leave the range of x, which is [0, 1] unless there is noise that was not clipped.
    return np.ascontiguousarray(np.clip(reduced, min(0, float(x.min())), max(1, float(x.max()))))


def _area_means(x: Float[np.ndarray, "*batch N M"], count: int) -> Float32[np.ndarray, "*batch {count} M"]:
    """Returns the means of x (...,N,M) over `count` equal intervals of its N rows, whose ends may be fractional."""
    size = x.shape[-2]
    edges = np.arange(count + 1) * size / count
    whole = np.minimum(edges.astype(int), size - 1)
    # Cumulative sums up to each edge, in float64 because they are subtracted from each other. No matrix product: its
    # last bits depend on the number of threads, and the observation must not.
    sums = np.zeros((*x.shape[:-2], size + 1, x.shape[-1]))
    np.cumsum(x, axis=-2, dtype=np.float64, out=sums[..., 1:, :])
    upto = sums[..., whole, :] + (edges - whole)[:, None] * x[..., whole, :]
    return (np.diff(upto, axis=-2) * (count / size)).astype(np.float32)
