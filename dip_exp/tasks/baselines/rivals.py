"""The restorers that stand beside a task's main one: what they are called, which are slow, which a task has."""

from collections.abc import Callable
from functools import partial

import numpy as np

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
"""What a rival is called in words; one that is not listed goes by its own name."""

SLOW = frozenset({"bm3d"})
"""Rivals slower than the others by an order: they run with rivals=all alone."""


def denoisers(
    y: np.ndarray, sigma_255: float | None, *, but: str | None = None, least_255: float = LEAST_SIGMA_255
) -> dict[str, Callable[[], np.ndarray]]:
    """Returns the denoisers of a picture y in [0,1], by name, `but` one; BM3D where it is installed.

    sigma_255: the noise in 8-bit grey levels; None: each estimates it from y, and takes at least `least_255` (`tv` at
    least its own 5).
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
    """Imports what the methods import when they are called, so that the first one's seconds are its own (bm3d's own
    import is a small part of its time)."""
    import pywt  # noqa: F401
    import scipy.interpolate
    import scipy.spatial  # noqa: F401
    from skimage import restoration

    for name in ("denoise_nl_means", "denoise_tv_chambolle", "denoise_wavelet", "inpaint_biharmonic"):
        getattr(restoration, name)  # scikit-image imports a module when a name of it is first asked for
