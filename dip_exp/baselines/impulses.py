"""Removal of salt and pepper: values that are 0 or 1 say nothing of what was there, and all others are whole."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from dip_exp.baselines.output import picture
from dip_exp.degrade import check_picture


def median(y: np.ndarray) -> np.ndarray:
    """Returns y with every value of exactly 0 or 1 replaced by the median of its channel's other values about it (a
    switching median: Sun and Neuvo 1994).

    Rule: 3x3 pixels, or the next larger odd square that has another value. A channel of nothing else stays.

    Raises:
        ValueError: y is no picture in [0,1] (TypeError: no array of floats).
    """
    check_picture(y, "median")
    return picture(np.stack([_switched(plane) for plane in y[0].astype(np.float64)]))


def _switched(plane: np.ndarray) -> np.ndarray:
    hit = (plane == 0) | (plane == 1)
    x_hat = plane.copy()
    if hit.all():
        return x_hat
    left, reach = np.argwhere(hit), 0
    while len(left):
        reach += 1
        # Infinity is no value: it sorts behind all that are, and so does what lies outside of the picture.
        around = np.pad(np.where(hit, np.inf, plane), reach, constant_values=np.inf)
        windows = sliding_window_view(around, (2 * reach + 1, 2 * reach + 1))
        found = np.sort(windows[tuple(left.T)].reshape(len(left), -1), axis=1)
        count = np.isfinite(found).sum(axis=1)
        some = count > 0
        rows, many = np.flatnonzero(some), count[some]
        x_hat[tuple(left[some].T)] = (found[rows, (many - 1) // 2] + found[rows, many // 2]) / 2
        left = left[~some]
    return x_hat
