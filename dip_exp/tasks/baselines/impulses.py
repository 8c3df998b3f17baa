"""Removal of salt-and-pepper noise: only values of exactly 0 or 1 are corrupted."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from dip_exp.observe.degrade import check_picture
from dip_exp.shapes import Float, Float32, Float64
from dip_exp.tasks.baselines.output import picture

FURTHEST = 7
"""Pixels from the centre of the largest window to its edge."""

AT_ONCE = 2**22
"""Values in the windows that are sorted at once, limited so that large black areas do not exhaust the memory."""


def median(y: Float[np.ndarray, "1 C H W"]) -> Float32[np.ndarray, "1 C H W"]:
    """Returns y with each value of exactly 0 or 1 replaced by the median of the uncorrupted values around it in its
    channel (a switching median: Sun and Neuvo 1994).

    Rule: the window is 3x3 pixels, or the next larger odd square that has an uncorrupted value, up to 15x15. Without
    one in 15x15 a value is kept: it belongs to a black or white area of the picture, of which only the edges change.

    Raises:
        ValueError: y is not a picture in [0,1] (TypeError: not an array of floats).
    """
    check_picture(y, "median")
    return picture(np.stack([_switched(plane) for plane in y[0].astype(np.float64)]))


def _switched(plane: Float64[np.ndarray, "H W"]) -> Float64[np.ndarray, "H W"]:
    hit = (plane == 0) | (plane == 1)
    x_hat = plane.copy()
    left = np.argwhere(hit)
    for reach in range(1, FURTHEST + 1):
        # Infinity marks corrupted values and those outside the picture, because it sorts after all others.
        around = np.pad(np.where(hit, np.inf, plane), reach, constant_values=np.inf)
        windows = sliding_window_view(around, (2 * reach + 1, 2 * reach + 1))
        rest = []
        for some in np.array_split(left, 1 + len(left) * (2 * reach + 1) ** 2 // AT_ONCE):
            found = np.sort(windows[tuple(some.T)].reshape(len(some), (2 * reach + 1) ** 2), axis=1)
            count = np.isfinite(found).sum(axis=1)
            rows = np.flatnonzero(count)
            middle, other = found[rows, (count[rows] - 1) // 2], found[rows, count[rows] // 2]
            x_hat[tuple(some[rows].T)] = (middle + other) / 2
            rest.append(some[count == 0])
        left = np.concatenate(rest)
    return x_hat
