"""Classical denoisers. Each takes the noise level, or None to estimate it from y (`_noise`)."""

import warnings
from importlib.util import find_spec
from typing import cast

import numpy as np

from dip_exp.observe.degrade import check_picture
from dip_exp.shapes import Float, Float32
from dip_exp.tasks.baselines.output import picture

# Least noise level that is assumed, in 8-bit grey levels, because some methods divide by it.
LEAST_SIGMA_255 = 0.1

# Blind TV never assumes less noise than this, in 8-bit grey levels (see `tv`).
TV_FLOOR_255 = 5.0

# Differences in the flash picture, on the scale [0,1], that count as an edge (see `joint_bilateral`).
FLASH_EDGE = 0.05

# Side in pixels of the blocks whose noise is estimated on its own (see `strong_noise`).
BLOCK = 32

# The bm3d library ends the whole process on a picture of one 8x8 block, so that at least two blocks are required.
BM3D_LEAST_SIDE = 16


def nlm(
    y: Float[np.ndarray, "1 C H W"], sigma_255: float | None, least_255: float = LEAST_SIGMA_255
) -> Float32[np.ndarray, "1 C H W"]:
    """Returns y denoised by non-local means (Buades et al., CVPR 2005), for noise of `sigma_255` 8-bit grey levels
    (None: estimated from y, Donoho and Johnstone 1994, at least `least_255`).

    Rule: h = 0.6 sigma, 5x5 patches at distances up to 6 pixels, sigma subtracted from the patch distances, fast
    variant: the setting of scikit-image's own example "Non-local means denoising for preserving textures". Patches are
    compared over all channels jointly. The paper's NLM numbers come from another implementation (OpenCV's).

    Raises:
        ValueError: `sigma_255` is not above 0; y is not a picture in [0,1] (TypeError: not an array of floats).
    """
    from skimage.restoration import denoise_nl_means

    check_picture(y, "nlm")
    sigma = _noise(y[0], sigma_255, least_255, "nlm")
    grey = y.shape[1] == 1  # scikit-image 0.26 loses a channel axis of length 1 and returns the picture transposed
    planes = y[0].astype(np.float64)
    x_hat = denoise_nl_means(
        planes[0] if grey else planes,
        patch_size=5,
        patch_distance=6,
        h=0.6 * sigma,
        sigma=sigma,
        fast_mode=True,
        channel_axis=None if grey else 0,
    )
    return picture(x_hat.reshape(planes.shape))


def tv(y: Float[np.ndarray, "1 C H W"], sigma_255: float | None) -> Float32[np.ndarray, "1 C H W"]:
    """Returns y denoised by total variation: argmin TV(u) + |u - y|^2 / (2 sigma), Chambolle 2004, channels jointly.

    Rule: the weight is sigma, with pictures in [0,1]. `sigma_255` is in 8-bit grey levels; None estimates it from y
    (Donoho and Johnstone 1994, the median of the finest wavelet coefficients) as at least 5 levels, because JPEG
    compression, the main use of `tv`, sets just those coefficients to zero, so that the estimate would be near 0.

    Raises:
        ValueError: `sigma_255` is not above 0; y is not a picture in [0,1] (TypeError: not an array of floats).
    """
    from skimage.restoration import denoise_tv_chambolle

    check_picture(y, "tv")
    planes = y[0].astype(np.float64)
    sigma = _noise(planes, sigma_255, TV_FLOOR_255, "tv")
    return picture(denoise_tv_chambolle(planes, weight=sigma, channel_axis=0))


def wavelets(
    y: Float[np.ndarray, "1 C H W"], sigma_255: float | None, least_255: float = LEAST_SIGMA_255
) -> Float32[np.ndarray, "1 C H W"]:
    """Returns y with its wavelet coefficients shrunk, for noise of `sigma_255` 8-bit grey levels (None: estimated from
    y, Donoho and Johnstone 1994, at least `least_255`).

    Rule: BayesShrink soft thresholds (Chang et al. 2000) per band, up to three levels of the sym4 wavelet, in YCbCr if
    y has three channels; averaged over 4x4 shifts by 0 to 3 pixels (cycle spinning, Coifman and Donoho 1995). All steps
    are scikit-image's.

    Raises:
        ValueError: `sigma_255` is not above 0; y is not a picture in [0,1] (TypeError: not an array of floats).
    """
    import pywt
    from skimage.restoration import cycle_spin, denoise_wavelet

    check_picture(y, "wavelets")
    pixels = y[0].astype(np.float64).transpose(1, 2, 0)
    settings = {
        "sigma": _noise(y[0], sigma_255, least_255, "wavelets"),
        "wavelet": "sym4",
        "method": "BayesShrink",
        "mode": "soft",
        "wavelet_levels": max(1, min(3, pywt.dwtn_max_level(y.shape[2:], "sym4"))),
        "convert2ycbcr": y.shape[1] == 3,
        "rescale_sigma": True,
        "channel_axis": -1,
    }
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Level value of 1 is too high", category=UserWarning)
        shrunk = cycle_spin(pixels, denoise_wavelet, 3, func_kw=settings, workers=1, channel_axis=-1)
    return picture(shrunk.transpose(2, 0, 1))


def bm3d(
    y: Float[np.ndarray, "1 C H W"], sigma_255: float | None, least_255: float = LEAST_SIGMA_255
) -> Float32[np.ndarray, "1 C H W"]:
    """Returns y denoised by block matching and 3D filtering (Dabov et al. 2007; its authors' package `bm3d`), for noise
    of `sigma_255` 8-bit grey levels (None: estimated from y, Donoho and Johnstone 1994, at least `least_255`).

    Rule: the package's normal profile; RGB in its opponent colours, with blocks matched in the first of them. It uses
    one thread, because with more the order of its sums varies between calls. About 20 s for 512x512 in colour. The
    package is an optional extra, because its licence allows only non-commercial use.

    Raises:
        ImportError: the package is not installed.
        ValueError: a side is under 16 pixels; `sigma_255` is not above 0; y is not a picture in [0,1] (TypeError: not
            an array of floats).
    """
    if not has_bm3d():
        raise ImportError(
            "bm3d: the package bm3d is not installed; it is an extra, non-commercial by its licence; "
            "pip install 'dip_exp[bm3d]' (in a checkout: pip install -e '.[bm3d]')"
        )
    from bm3d import BM3DProfile, bm3d_rgb  # pyright: ignore[reportMissingImports]  (an extra: not in every environment)
    from bm3d import bm3d as bm3d_of  # pyright: ignore[reportMissingImports]

    check_picture(y, "bm3d")
    sigma = _noise(y[0], sigma_255, least_255, "bm3d")
    if min(y.shape[2:]) < BM3D_LEAST_SIDE:
        raise ValueError(
            f"bm3d: the picture is {y.shape[3]}x{y.shape[2]}; its sides must be at least {BM3D_LEAST_SIDE} pixels; "
            f"give a larger one"
        )
    profile = BM3DProfile()
    profile.num_threads = 1
    planes = y[0].astype(np.float64)
    if len(planes) == 3 and not _some_opponent_is_flat(planes):
        return picture(bm3d_rgb(planes.transpose(1, 2, 0), sigma, profile).transpose(2, 0, 1))
    return picture(np.stack([bm3d_of(plane, sigma, profile) for plane in planes]))


def has_bm3d() -> bool:
    """Returns whether the optional package is installed, without importing it."""
    return find_spec("bm3d") is not None


def _some_opponent_is_flat(planes: Float[np.ndarray, "3 H W"]) -> bool:
    """Returns whether an opponent colour is constant, as in grey RGB pictures: bm3d_rgb divides each by its range."""
    opponents = np.tensordot([[1, 1, 1], [1, 0, -1], [1, -2, 1]], planes, 1)
    return bool(np.ptp(opponents, axis=(1, 2)).min() < 1e-6)


def joint_bilateral(
    y: Float[np.ndarray, "1 C H W"], flash: Float[np.ndarray, "1 _ H W"]
) -> Float32[np.ndarray, "1 C H W"]:
    """Returns y smoothed where the flash picture is smooth: Petschnigg et al. 2004, eq. 4, the paper's comparison.

    Each pixel becomes the weighted mean of its neighbours, with the weight exp(-d^2 / 2 a^2) exp(-f^2 / 2 b^2): d is
    their distance in pixels, f their RMS difference over the channels of the flash picture, b = 0.05, and the window
    reaches 2 a in each direction. Rule: a = 3 + 20 sigma pixels, where sigma is the noise level of y in units of [0,1],
    estimated from y (Donoho and Johnstone 1994).

    Raises:
        ValueError: the pictures differ in size, or are not in [0,1] (TypeError: not arrays of floats).
    """
    from skimage.restoration import estimate_sigma

    for given in (y, flash):
        check_picture(given, "joint_bilateral")
    if y.shape[2:] != flash.shape[2:]:
        raise ValueError(
            f"joint_bilateral: the pictures are {y.shape[2:]} and {flash.shape[2:]}; they must have the same size"
        )
    guess = cast("float", estimate_sigma(y[0], average_sigmas=True, channel_axis=0))
    width = 3 + 20 * max(0.0, float(guess))  # in this order a NaN, from a flat picture, gives 0
    reach = round(2 * width)
    height, columns = y.shape[2:]
    around = ((0, 0), (0, 0), (reach, reach), (reach, reach))
    mode = "reflect" if min(height, columns) > reach else "symmetric"
    wide_y, wide_flash = (np.pad(given[0].astype(np.float32), around[1:], mode=mode) for given in (y, flash))
    total, weights = np.zeros(y.shape[1:], np.float32), np.zeros((1, height, columns), np.float32)
    for down in range(2 * reach + 1):
        for right in range(2 * reach + 1):
            part = (slice(None), slice(down, down + height), slice(right, right + columns))
            apart = np.square(wide_flash[part] - flash[0]).mean(axis=0, keepdims=True)
            distance = (down - reach) ** 2 + (right - reach) ** 2
            weight = np.exp(-distance / (2 * width**2) - apart / (2 * FLASH_EDGE**2))
            total += weight * wide_y[part]
            weights += weight
    return picture(total / weights)


def strong_noise(y: Float[np.ndarray, "1 C H W"]) -> float:
    """Returns the noise level of the noisier parts of y in 8-bit grey levels: the 90th percentile over blocks of 32x32
    pixels of the estimate of Donoho and Johnstone, at least `LEAST_SIGMA_255`.

    Noise that grows with the brightness is far stronger in places than the estimate of the whole picture. On coffee
    (256x256) non-local means so told is 0.3 dB worse for Gaussian noise, 1.9 dB better for Poisson noise and 5 dB
    better for speckle; a fit that begins there 0.1 dB worse, 4.9 and 5.4 dB better.
    """
    height, width = y.shape[2:]
    tops, lefts = (range(0, max(1, side - BLOCK + 1), BLOCK) for side in (height, width))
    blocks = (y[0, :, top : top + BLOCK, left : left + BLOCK].astype(np.float64) for top in tops for left in lefts)
    return 255 * float(np.percentile([_noise(block, None, LEAST_SIGMA_255, "") for block in blocks], 90))


def _noise(planes: Float[np.ndarray, "C H W"], sigma_255: float | None, least_255: float, who: str) -> float:
    """Returns the noise level of planes (C,H,W) on their scale, [0,1]: the given one, or an estimate that is at least
    `least_255` / 255."""
    from skimage.restoration import estimate_sigma

    if sigma_255 is None:
        guess = cast("float", estimate_sigma(planes, average_sigmas=True, channel_axis=0))
        return max(least_255 / 255, float(guess))  # in this order a NaN, from a flat channel, gives the least
    if not (sigma_255 > 0 and np.isfinite(sigma_255)):
        raise ValueError(f"{who}: sigma_255 is {sigma_255}; must be a finite number above 0; give the noise level")
    return sigma_255 / 255
