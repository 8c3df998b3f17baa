"""Pure functions that turn a clean picture x into an observation y: noise, JPEG, low resolution, Fig. 2's targets.

Pictures are float32 arrays (1,C,H,W) in [0,1]. Random functions take their generator as an argument; the same
generator state gives the same observation.
"""

import io

import numpy as np
from PIL import Image

from dip_exp.shapes import Float, Float32

LEVELS = 255.0  # papers quote noise in 8-bit grey levels


def check_picture(x: np.ndarray, who: str) -> None:
    """Raises unless `x` is a picture: a float array (1,C,H,W) with values in [0,1]. The message starts with `who`.

    Raises:
        TypeError: `x` is not a numpy array of floats.
        ValueError: the shape or the range is wrong, or a value is not finite.
    """
    if not isinstance(x, np.ndarray) or not np.issubdtype(x.dtype, np.floating):
        given = f"an array of {x.dtype}" if isinstance(x, np.ndarray) else type(x).__name__
        raise TypeError(f"{who}: the picture is {given}; give a numpy array of floats in [0,1], shape (1,C,H,W)")
    if x.ndim != 4 or x.shape[0] != 1 or min(x.shape) < 1:
        raise ValueError(f"{who}: the picture has shape {x.shape}; one picture has shape (1,C,H,W); add or drop axes")
    if not np.isfinite(x).all():
        bad = int(np.size(x) - np.isfinite(x).sum())
        raise ValueError(f"{who}: {bad} of the picture's {np.size(x)} values are NaN or infinite; all must be in [0,1]")
    if x.min() < 0 or x.max() > 1:
        raise ValueError(
            f"{who}: the picture runs from {x.min():g} to {x.max():g}; must lie in [0,1]; divide 8-bit values by 255"
        )


def gaussian(
    x: Float[np.ndarray, "1 C H W"], sigma_255: float, rng: np.random.Generator, clip: bool = True
) -> Float32[np.ndarray, "1 C H W"]:
    """Returns x + n, n ~ N(0, (sigma_255/255)^2) for each value, as float32, not rounded to 8 bits.

    `sigma_255` is in 8-bit grey levels. With `clip` the result is clipped to [0,1], as in the authors' released
    denoising notebook, which makes the noise a little weaker than its name: measured 24.1 to 24.7 for 25. Without
    `clip` values leave [0,1].
    """
    check_picture(x, "gaussian")
    _check_range("gaussian", "sigma_255", sigma_255, 0, np.inf)
    y = x + rng.standard_normal(x.shape) * (sigma_255 / LEVELS)
    return _float32(y, clip)


def poisson(x: Float[np.ndarray, "1 C H W"], peak: float, rng: np.random.Generator) -> Float32[np.ndarray, "1 C H W"]:
    """Returns photon counts divided by `peak`, clipped to [0,1]: y = Poisson(peak * x) / peak.

    `peak` is the mean count of a white pixel. Before clipping the mean is x and the variance x / peak.
    """
    check_picture(x, "poisson")
    _check_range("poisson", "peak", peak, 0, np.inf, open_below=True)
    return _float32(rng.poisson(x.astype(np.float64) * peak) / peak, clip=True)


def impulse(x: Float[np.ndarray, "1 C H W"], amount: float, rng: np.random.Generator) -> Float32[np.ndarray, "1 C H W"]:
    """Returns x with salt and pepper: each value of each channel becomes 0 or 1, with probability `amount`/2 each.

    The mean is (1-amount)*x + amount/2; all other values are unchanged.
    """
    check_picture(x, "impulse")
    _check_range("impulse", "amount", amount, 0, 1)
    u = rng.random(x.shape)  # one draw decides both: [0, a/2) is pepper, [a/2, a) is salt
    return _float32(np.where(u < amount / 2, 0.0, np.where(u < amount, 1.0, x)), clip=True)


def speckle(x: Float[np.ndarray, "1 C H W"], sigma: float, rng: np.random.Generator) -> Float32[np.ndarray, "1 C H W"]:
    """Returns x * (1 + n), n ~ N(0, sigma^2) for each value, clipped to [0,1]; `sigma` is relative (0.1 is 10 %).

    Before clipping the mean is x and the variance (sigma * x)^2.
    """
    check_picture(x, "speckle")
    _check_range("speckle", "sigma", sigma, 0, np.inf)
    return _float32(x * (1 + sigma * rng.standard_normal(x.shape)), clip=True)


def jpeg(x: Float[np.ndarray, "1 C H W"], quality: int) -> Float32[np.ndarray, "1 C H W"]:
    """Returns x rounded to 8 bits, compressed as JPEG at `quality` 1..95 and decoded; grey or RGB.

    Chroma is subsampled 4:2:0, Pillow's default. Deep Image Prior, CVPR 2018, Fig. 3, restores such a file.
    """
    check_picture(x, "jpeg")
    if not isinstance(quality, int) or not 1 <= quality <= 95:
        raise ValueError(f"jpeg: quality is {quality!r}; must be a whole number from 1 to 95; choose another quality")
    file = io.BytesIO()
    _to_8bit(x, "jpeg").save(file, "JPEG", quality=quality)
    return _from_8bit(Image.open(file))


def lanczos_reduce(x: Float[np.ndarray, "1 C H W"], factor: int) -> Float32[np.ndarray, "1 C H//{factor} W//{factor}"]:
    """Returns the authors' low-resolution observation (1,C,H/factor,W/factor): 8-bit Lanczos3 with antialiasing.

    x is first rounded to 8 bits, and the result has 8 bits too: PIL's resize with ANTIALIAS, now called LANCZOS
    (authors' released code, utils/sr_utils.py). Their loss uses another kernel: `operators.Downsample` with "lanczos2".

    Raises:
        ValueError: a side is not a multiple of `factor`; crop the picture first.
    """
    check_picture(x, "lanczos_reduce")
    height, width = x.shape[2:]
    if not isinstance(factor, int) or factor < 1:
        raise ValueError(f"lanczos_reduce: factor is {factor!r}; must be a whole number from 1; choose another factor")
    if height % factor or width % factor:
        fits = f"{width // factor * factor}x{height // factor * factor}"
        raise ValueError(
            f"lanczos_reduce: the picture is {width}x{height} (width x height), no multiple of factor {factor}; "
            + (f"crop it to {fits}" if min(height, width) >= factor else f"choose a factor up to {min(height, width)}")
        )
    small = _to_8bit(x, "lanczos_reduce").resize((width // factor, height // factor), Image.Resampling.LANCZOS)
    return _from_8bit(small)


def scramble(x: Float[np.ndarray, "1 C H W"], rng: np.random.Generator) -> Float32[np.ndarray, "1 C H W"]:
    """Returns x with its pixels in random order, each pixel's channels kept together.

    The target "Image shuffled" of Deep Image Prior, CVPR 2018, Fig. 2.
    """
    check_picture(x, "scramble")
    _, channels, height, width = x.shape
    order = rng.permutation(height * width)
    return _float32(x.reshape(1, channels, -1)[:, :, order].reshape(x.shape), clip=False)


def uniform_noise(shape: tuple[int, ...], rng: np.random.Generator) -> Float32[np.ndarray, "1 C H W"]:
    """Returns a picture of independent U(0,1) values, shape (1,C,H,W).

    The target "U(0,1) noise" of Deep Image Prior, CVPR 2018, Fig. 2.
    """
    if len(shape) != 4 or shape[0] != 1 or min(shape) < 1:
        raise ValueError(
            f"uniform_noise: shape is {tuple(shape)}; one picture has shape (1,C,H,W), all sides at least 1"
        )
    return rng.random(shape, dtype=np.float32)


def _float32(y: Float[np.ndarray, "1 C H W"], clip: bool) -> Float32[np.ndarray, "1 C H W"]:
    return np.ascontiguousarray(y.clip(0, 1) if clip else y, dtype=np.float32)


def _check_range(who: str, name: str, value: float, low: float, high: float, open_below: bool = False) -> None:
    above = value > low if open_below else value >= low
    if not (above and value <= high and np.isfinite(value)):
        bounds = f"{'above' if open_below else 'from'} {low:g}" + (f" to {high:g}" if np.isfinite(high) else "")
        raise ValueError(f"{who}: {name} is {value}; must be a finite number {bounds}; choose another {name}")


def _to_8bit(x: Float[np.ndarray, "1 C H W"], who: str) -> Image.Image:
    if x.shape[1] not in (1, 3):
        raise ValueError(f"{who}: the picture has {x.shape[1]} channels; must be 1 (grey) or 3 (RGB); convert it")
    values = (x[0] * LEVELS).round().astype(np.uint8)
    return Image.fromarray(values[0] if len(values) == 1 else np.ascontiguousarray(values.transpose(1, 2, 0)))


def _from_8bit(picture: Image.Image) -> Float32[np.ndarray, "1 C H W"]:
    values = np.asarray(picture, dtype=np.float32) / np.float32(LEVELS)
    return np.ascontiguousarray(values[None, None] if values.ndim == 2 else values.transpose(2, 0, 1)[None])
