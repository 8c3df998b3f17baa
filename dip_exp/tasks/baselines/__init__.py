"""Classical restorers for comparison: each maps an observation y to a picture, float32 (1,C,H,W) in [0,1].

Their parameters follow from the noise level by one stated rule; none uses the clean picture. The constants of `nlm`,
`tv` and `joint_bilateral` were tuned on scikit-image's astronaut, chelsea and coffee, those of `wavelets` on coffee.
"""

from dip_exp.tasks.baselines.denoising import (
    BM3D_LEAST_SIDE,
    LEAST_SIGMA_255,
    TV_FLOOR_255,
    bm3d,
    joint_bilateral,
    nlm,
    strong_noise,
    tv,
    wavelets,
)
from dip_exp.tasks.baselines.enlarging import bicubic, lanczos
from dip_exp.tasks.baselines.filling import BIHARMONIC_BYTES, biharmonic, linear
from dip_exp.tasks.baselines.impulses import median
from dip_exp.tasks.baselines.output import restored
from dip_exp.tasks.baselines.rivals import SLOW, TITLES, denoisers, load_libraries

__all__ = [
    "BIHARMONIC_BYTES",
    "BM3D_LEAST_SIDE",
    "LEAST_SIGMA_255",
    "SLOW",
    "TITLES",
    "TV_FLOOR_255",
    "bicubic",
    "biharmonic",
    "bm3d",
    "denoisers",
    "joint_bilateral",
    "lanczos",
    "linear",
    "load_libraries",
    "median",
    "nlm",
    "restored",
    "strong_noise",
    "tv",
    "wavelets",
]
