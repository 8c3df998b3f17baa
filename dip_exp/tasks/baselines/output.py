"""The format in which all baselines return their result, and its check."""

import warnings
from collections.abc import Callable

import numpy as np

from dip_exp.shapes import Float, Float32


def picture(planes: Float[np.ndarray, "C H W"]) -> Float32[np.ndarray, "1 C H W"]:
    """Returns planes (C,H,W) as a picture: float32 (1,C,H,W), clipped to [0,1]."""
    return np.ascontiguousarray(planes[None].clip(0, 1), dtype=np.float32)


def restored(
    restorer: Callable[[], Float32[np.ndarray, "1 C H W"]], shape: tuple[int, int, int]
) -> Float32[np.ndarray, "1 C H W"]:
    """Returns a classical restorer's picture. Raises ValueError if it is not of `shape` (C, H, W), or not finite."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # flat pictures cause empty means and divisions by zero
        warnings.simplefilter("ignore", UserWarning)  # of a picture that is few pixels wide, taken for channels
        x_hat = restorer()
    if x_hat.shape != (1, *shape):
        raise ValueError(f"it gave a picture {x_hat.shape}; {(1, *shape)} is needed")
    if not np.isfinite(x_hat).all():
        raise ValueError("it gave values that are not finite")
    return x_hat
