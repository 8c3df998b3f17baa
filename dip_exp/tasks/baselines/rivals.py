"""Rivals, the classical restorers beside a task's main one: their names, which are slow, and the denoisers."""

from collections.abc import Callable
from functools import partial

import numpy as np

from dip_exp.shapes import Float, Float32
from dip_exp.tasks.baselines.denoising import LEAST_SIGMA_255, bm3d, has_bm3d, nlm, tv, wavelets

TITLES = {
    "nlm": "non-local means",
    "tv": "total variation",
    "wavelets": "wavelet shrinkage",
    "bm3d": "BM3D",
    "lanczos": "Lanczos",
    "linear": "linear interpolation",
    "median": "switching median",
}
"""Display names of rivals; a rival that is not listed is shown under its key."""

SLOW = frozenset({"bm3d"})
"""Rivals that are slower by an order of magnitude; they run only with rivals=all."""


def denoisers(
    y: Float[np.ndarray, "1 C H W"],
    sigma_255: float | None,
    *,
    but: str | None = None,
    least_255: float = LEAST_SIGMA_255,
) -> dict[str, Callable[[], Float32[np.ndarray, "1 C H W"]]]:
    """Returns {name: denoiser of y}, for a picture y in [0,1], except `but`; with BM3D if it is installed.

    sigma_255: the noise level in 8-bit grey levels; None: each estimates it from y, as at least `least_255` (`tv`: as
    at least 5).
    """
    found = {
        "nlm": partial(nlm, y, sigma_255, least_255),
        "tv": partial(tv, y, sigma_255),
        "wavelets": partial(wavelets, y, sigma_255, least_255),
    }
    if has_bm3d():
        found["bm3d"] = partial(bm3d, y, sigma_255, least_255)
    return {name: restorer for name, restorer in found.items() if name != but}


def load_libraries() -> None:
    """Imports what the methods import when they are called, so that the time of the first one does not include it.
    bm3d is not imported here, because its import takes a small part of its time."""
    import pywt  # noqa: F401
    import scipy.interpolate
    import scipy.spatial  # noqa: F401
    from skimage import restoration

    for name in ("denoise_nl_means", "denoise_tv_chambolle", "denoise_wavelet", "inpaint_biharmonic"):
        getattr(restoration, name)  # scikit-image imports a module when one of its names is first accessed
