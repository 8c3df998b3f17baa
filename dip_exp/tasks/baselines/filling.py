"""Filling of missing pixels. Known pixels are unchanged, so that the results compare with the kind `pasted`."""

import numpy as np

from dip_exp.observe.degrade import check_picture
from dip_exp.observe.masks import check_mask
from dip_exp.shapes import Bool, Float, Float32
from dip_exp.tasks.baselines.output import picture

BIHARMONIC_BYTES = 8000
"""The memory that `biharmonic` needs for a missing pixel at most, in bytes: 2 GB for 98 % of 512x512. Thin scratches
need a small part of it."""


def biharmonic(y: Float[np.ndarray, "1 C H W"], mask: Float[np.ndarray, "1 _ H W"]) -> Float32[np.ndarray, "1 C H W"]:
    """Returns y with its missing pixels filled by the biharmonic equation, and its known pixels unchanged.

    Damelin and Hoang 2018, as in scikit-image. `mask` is (1,1,H,W) or (1,C,H,W), 1 is known; with a mask per channel,
    channels are filled separately. The values of y at missing pixels are ignored. There are no parameters. One sparse
    linear system per channel: seconds if half the pixels of 512x512 are missing, about 20 s and 2 GB for 98 %.

    Raises:
        ValueError: the mask does not fit y or y is not a picture in [0,1] (TypeError: not an array of floats).
    """
    from skimage.restoration import inpaint_biharmonic

    check_picture(y, "biharmonic")
    check_mask(mask, (y.shape[1], y.shape[2], y.shape[3]), "biharmonic")
    missing = np.array(np.broadcast_to(mask == 0, y.shape), order="C")  # a copy: scikit-image refuses views
    given = np.where(missing, 0, y).astype(np.float64)[0]
    if mask.shape[1] == 1:
        filled = inpaint_biharmonic(given, missing[0, 0], channel_axis=0)
    else:
        filled = np.stack([_filled_plane(*pair) for pair in zip(given, missing[0], strict=True)])
    return np.where(missing, picture(filled), y.astype(np.float32))


def linear(y: Float[np.ndarray, "1 C H W"], mask: Float[np.ndarray, "1 _ H W"]) -> Float32[np.ndarray, "1 C H W"]:
    """Returns y with its missing pixels interpolated linearly between known ones, and its known pixels unchanged.

    SciPy's interpolation over the Delaunay triangles of the known pixels; outside of them, the nearest known pixel.
    `mask` is (1,1,H,W) or (1,C,H,W), 1 is known. The values of y at missing pixels are ignored. There are no
    parameters. Two seconds if half the pixels of 512x512 are missing.

    Raises:
        ValueError: the mask does not fit y or y is not a picture in [0,1] (TypeError: not an array of floats).
    """
    check_picture(y, "linear")
    check_mask(mask, (y.shape[1], y.shape[2], y.shape[3]), "linear")
    known = mask[0] == 1
    given = np.where(known, y[0], 0).astype(np.float64)
    if len(known) == 1:
        _interpolate(given, known[0])
    else:
        for plane, known_plane in zip(given, known, strict=True):
            _refuse_unknown(known_plane, "linear")
            _interpolate(plane[None], known_plane)
    return np.where(known, y.astype(np.float32), picture(given))


def _interpolate(planes: Float[np.ndarray, "C H W"], known: Bool[np.ndarray, "H W"]) -> None:
    """Fills the missing pixels of planes (C,H,W) in place; `known` is boolean, (H,W)."""
    from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator
    from scipy.ndimage import binary_dilation
    from scipy.spatial import QhullError

    if known.all():
        return
    # A triangle that contains a missing pixel has all its corners next to missing pixels; the others are not used.
    beside = known & binary_dilation(~known, np.ones((3, 3), bool))
    points, wanted = np.argwhere(beside), np.argwhere(~known)
    values = planes[:, beside].T
    try:
        filled = LinearNDInterpolator(points, values)(wanted)
    except (QhullError, ValueError):  # there is no triangle: fewer than three known pixels, or all on a line
        filled = np.full((len(wanted), len(planes)), np.nan)
    outside = np.isnan(filled[:, 0])
    if outside.any():
        filled[outside] = NearestNDInterpolator(points, values)(wanted[outside])
    planes[:, ~known] = filled.T


def _filled_plane(plane: Float[np.ndarray, "H W"], missing: Bool[np.ndarray, "H W"]) -> Float[np.ndarray, "H W"]:
    from skimage.restoration import inpaint_biharmonic

    _refuse_unknown(~missing, "biharmonic")
    return inpaint_biharmonic(plane, missing) if missing.any() else plane


def _refuse_unknown(known: Bool[np.ndarray, "H W"], who: str) -> None:
    if not known.any():
        raise ValueError(
            f"{who}: the mask leaves no known pixel in one channel; some must be known; use a mask (1,1,H,W)"
        )
