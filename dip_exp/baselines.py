"""Classical methods to compare with: each maps an observation y to a picture, float32 (1,C,H,W) in [0,1].

Their parameters follow from the noise level by one stated rule; none sees the clean picture. The constants were set on
scikit-image's astronaut, chelsea and coffee.
"""

from typing import Any

import numpy as np
from PIL import Image

from dip_exp.degrade import check_picture
from dip_exp.masks import check_mask

# What "no noise at all" is taken for, where a method must divide by the noise.
LEAST_SIGMA_255 = 0.1

# Blind TV never assumes less noise than this, in 8-bit grey levels (see `tv`).
TV_FLOOR_255 = 5.0

# Differences in the flash picture, on the scale [0,1], that count as an edge (see `joint_bilateral`).
FLASH_EDGE = 0.05


def bicubic(y: np.ndarray, factor: int) -> np.ndarray:
    """Returns y, (1,C,H,W), enlarged to (1,C,H*factor,W*factor) by cubic convolution (Keys 1981, a = -0.5), clipped.

    Pillow's BICUBIC on floats, channel by channel: nothing is rounded to 8 bits. The paper's super-resolution baseline.

    Raises:
        ValueError: `factor` is no whole number from 1; y is no picture in [0,1] (TypeError: no array of floats).
    """
    check_picture(y, "bicubic")
    if not isinstance(factor, int) or factor < 1:
        raise ValueError(f"bicubic: factor is {factor!r}; allowed are whole numbers from 1; choose another factor")
    height, width = y.shape[2:]
    size = (width * factor, height * factor)
    planes = [Image.fromarray(plane.astype(np.float32)).resize(size, Image.Resampling.BICUBIC) for plane in y[0]]
    return _picture(np.stack([np.asarray(plane) for plane in planes]))


def nlm(y: np.ndarray, sigma_255: float | None) -> np.ndarray:
    """Returns y denoised by non-local means (Buades et al., CVPR 2005), for noise of `sigma_255` 8-bit grey levels
    (None: estimated from y, Donoho and Johnstone 1994).

    Rule: h = 0.6 sigma, 5x5 patches at distances up to 6 pixels, sigma subtracted from the patch distances, fast
    variant: the setting of scikit-image's own example "Non-local means denoising for preserving textures". Patches are
    compared over all channels jointly. The paper's NLM numbers come from another implementation (OpenCV's).

    Raises:
        ValueError: `sigma_255` is not above 0; y is no picture in [0,1] (TypeError: no array of floats).
    """
    from skimage.restoration import denoise_nl_means, estimate_sigma

    check_picture(y, "nlm")
    if sigma_255 is None:
        estimate: Any = estimate_sigma(y[0], average_sigmas=True, channel_axis=0)
        sigma = max(LEAST_SIGMA_255 / 255, float(estimate))  # in this order a NaN, of a flat picture, is the least
    else:
        sigma = _sigma(sigma_255, "nlm")
    grey = y.shape[1] == 1  # scikit-image 0.26 loses a channel axis of length 1 and returns the picture transposed
    picture = y[0].astype(np.float64)
    x_hat = denoise_nl_means(
        picture[0] if grey else picture,
        patch_size=5,
        patch_distance=6,
        h=0.6 * sigma,
        sigma=sigma,
        fast_mode=True,
        channel_axis=None if grey else 0,
    )
    return _picture(x_hat.reshape(picture.shape))


def tv(y: np.ndarray, sigma_255: float | None) -> np.ndarray:
    """Returns y smoothed by total variation: argmin TV(u) + |u - y|^2 / (2 sigma), Chambolle 2004, channels jointly.

    Rule: the weight is sigma, with pictures in [0,1]. `sigma_255` is in 8-bit grey levels; None estimates it from y
    (Donoho and Johnstone 1994, the median of the finest wavelet coefficients) and takes at least 5 levels, because
    JPEG, for which one wants this, sets just those coefficients to zero and looks noiseless to the estimate.

    Raises:
        ValueError: `sigma_255` is not above 0; y is no picture in [0,1] (TypeError: no array of floats).
    """
    from skimage.restoration import denoise_tv_chambolle, estimate_sigma

    check_picture(y, "tv")
    picture = y[0].astype(np.float64)
    if sigma_255 is None:
        guess: Any = estimate_sigma(picture, average_sigmas=True, channel_axis=0)
        sigma = max(TV_FLOOR_255 / 255, float(guess))  # in this order a NaN, of a flat channel, is the floor
    else:
        sigma = _sigma(sigma_255, "tv")
    return _picture(denoise_tv_chambolle(picture, weight=sigma, channel_axis=0))


def biharmonic(y: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Returns y with its missing pixels filled by the biharmonic equation and its known ones untouched.

    Damelin and Hoang 2018, as in scikit-image. `mask` is (1,1,H,W) or (1,C,H,W), 1 is known; channels with masks of
    their own are filled one by one. What y holds at missing pixels is not read. There are no parameters. One sparse
    linear system per channel: seconds for half the pixels of 512x512, some 20 s and 2 GB of memory for 98 % of them.

    Raises:
        ValueError: the mask does not fit y or y is no picture in [0,1] (TypeError: no array of floats).
    """
    from skimage.restoration import inpaint_biharmonic

    check_picture(y, "biharmonic")
    check_mask(mask, (y.shape[1], y.shape[2], y.shape[3]), "biharmonic")
    missing = np.array(np.broadcast_to(mask == 0, y.shape), order="C")  # a copy: scikit-image refuses views
    picture = np.where(missing, 0, y).astype(np.float64)[0]
    if mask.shape[1] == 1:
        filled = inpaint_biharmonic(picture, missing[0, 0], channel_axis=0)
    else:
        filled = np.stack([_filled_plane(*pair) for pair in zip(picture, missing[0], strict=True)])
    return np.where(missing, _picture(filled), y.astype(np.float32))


def joint_bilateral(y: np.ndarray, flash: np.ndarray) -> np.ndarray:
    """Returns y smoothed where the flash picture is smooth: Petschnigg et al. 2004, eq. 4, the paper's comparison.

    Every pixel becomes the mean of its neighbours, weighted by exp(-d^2 / 2 a^2) of their distance d in pixels and
    exp(-f^2 / 2 b^2) of their difference f in the flash picture (root of the squares' mean over channels), with
    b = 0.05 and a window of 2 a. Rule: a = 3 + 20 sigma pixels, sigma the noise of y in [0,1] as estimated from y
    (Donoho and Johnstone 1994).

    Raises:
        ValueError: the pictures differ in size, or are no pictures in [0,1] (TypeError: no arrays of floats).
    """
    from skimage.restoration import estimate_sigma

    for picture in (y, flash):
        check_picture(picture, "joint_bilateral")
    if y.shape[2:] != flash.shape[2:]:
        raise ValueError(f"joint_bilateral: the pictures are {y.shape[2:]} and {flash.shape[2:]}; one size is allowed")
    guess: Any = estimate_sigma(y[0], average_sigmas=True, channel_axis=0)
    width = 3 + 20 * max(0.0, float(guess))  # in this order a NaN, of a flat picture, is no noise
    reach = round(2 * width)
    height, columns = y.shape[2:]
    around = ((0, 0), (0, 0), (reach, reach), (reach, reach))
    mode = "reflect" if min(height, columns) > reach else "symmetric"
    wide_y, wide_flash = (np.pad(picture[0].astype(np.float32), around[1:], mode=mode) for picture in (y, flash))
    total, weights = np.zeros(y.shape[1:], np.float32), np.zeros((1, height, columns), np.float32)
    for down in range(2 * reach + 1):
        for right in range(2 * reach + 1):
            part = (slice(None), slice(down, down + height), slice(right, right + columns))
            apart = np.square(wide_flash[part] - flash[0]).mean(axis=0, keepdims=True)
            distance = (down - reach) ** 2 + (right - reach) ** 2
            weight = np.exp(-distance / (2 * width**2) - apart / (2 * FLASH_EDGE**2))
            total += weight * wide_y[part]
            weights += weight
    return _picture(total / weights)


def _filled_plane(plane: np.ndarray, missing: np.ndarray) -> np.ndarray:
    from skimage.restoration import inpaint_biharmonic

    if missing.all():
        raise ValueError(
            "biharmonic: the mask leaves no known pixel in one channel; allowed is some of each; use a mask (1,1,H,W)"
        )
    return inpaint_biharmonic(plane, missing) if missing.any() else plane


def _sigma(sigma_255: float, who: str) -> float:
    if not (sigma_255 > 0 and np.isfinite(sigma_255)):
        raise ValueError(f"{who}: sigma_255 is {sigma_255}; allowed are finite numbers above 0; give the noise level")
    return sigma_255 / 255


def _picture(planes: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(planes[None].clip(0, 1), dtype=np.float32)
