"""Finds the values that salt-and-pepper noise has replaced: those of exactly 0 or 1, outside black and white areas."""

import numpy as np
from scipy.ndimage import uniform_filter
from scipy.stats import binom

from dip_exp.observe.degrade import check_picture
from dip_exp.shapes import Bool, Float

SIDES = (3, 11)
"""Sides of the windows, in pixels, in which scattered values are told from strokes and areas."""

MISTAKEN = 1e-4
"""The share of impulses that may be taken for part of a stroke or an area, in each window."""

MOST = 0.45
"""The largest share of black, or of white, values that noise is taken to make; a larger share is due to areas."""


def replaced(y: Float[np.ndarray, "1 C H W"]) -> Bool[np.ndarray, "1 C H W"]:
    """Returns where the values of a picture (1, C, H, W) in [0, 1] are impulses: boolean, of the same shape.

    A value of exactly 0 or 1 is one, unless more values around it in its channel equal it than independent impulses
    would explain: then it belongs to a stroke or an area that really is black or white. The threshold is the binomial
    distribution's, for the share that the value has in the whole channel. Raises as `check_picture` does.
    """
    check_picture(y, "impulses")
    return np.stack([_black(plane) | _black(1 - plane) for plane in y[0]])[None]


def _black(plane: np.ndarray) -> np.ndarray:
    """Returns where a plane (H, W) has scattered values of 0."""
    black = plane == 0
    found = black.copy()
    for side in SIDES:
        around, equal = _around(np.ones_like(black), side), _around(black, side)
        explained = np.zeros(side**2)  # by the number of values around, which is smaller at the border
        explained[1:] = binom.isf(MISTAKEN, np.arange(1, side**2), min(MOST, black.mean()))
        found &= equal <= explained[around]
    return found


def _around(marked: np.ndarray, side: int) -> np.ndarray:
    """Returns how many of the values in the window around each one, itself excepted, are marked."""
    mean = uniform_filter(marked.astype(np.float64), side, mode="constant")
    return np.rint(mean * side**2).astype(int) - marked
