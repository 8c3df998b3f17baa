"""Removal of salt and pepper: values that are 0 or 1 say nothing of what was there, and all others are whole."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from dip_exp.observe.degrade import check_picture
from dip_exp.tasks.baselines.output import picture

FURTHEST = 7
"""Pixels from the middle of the largest window to its side."""

AT_ONCE = 2**22
"""Values in the windows that are sorted together: a picture's black parts must not take all of the memory."""


def median(y: np.ndarray) -> np.ndarray:
    """Returns y with every value of exactly 0 or 1 replaced by the median of its channel's other values about it (a
    switching median: Sun and Neuvo 1994).

    Rule: 3x3 pixels, or the next larger odd square that has another value, up to 15x15. What is further from every
    other value stays: that is the picture's own black or white, of which only the margins are replaced too.

    Raises:
        ValueError: y is no picture in [0,1] (TypeError: no array of floats).
    """
    check_picture(y, "median")
    return picture(np.stack([_switched(plane) for plane in y[0].astype(np.float64)]))


def _switched(plane: np.ndarray) -> np.ndarray:
    hit = (plane == 0) | (plane == 1)
    x_hat = plane.copy()
    left = np.argwhere(hit)
    for reach in range(1, FURTHEST + 1):
        # Infinity is no value: it sorts behind all that are, and so does what lies outside of the picture.
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
