"""Enlargement by interpolation: Pillow's filters on floats, per channel, without rounding to 8 bits."""

import numpy as np
from PIL import Image

from dip_exp.observe.degrade import check_picture
from dip_exp.shapes import Float, Float32
from dip_exp.tasks.baselines.output import picture


def bicubic(y: Float[np.ndarray, "1 C H W"], factor: int) -> Float32[np.ndarray, "1 C H*{factor} W*{factor}"]:
    """Returns y, (1,C,H,W), enlarged to (1,C,H*factor,W*factor) by cubic convolution (Keys 1981, a = -0.5), clipped.

    The paper's super-resolution baseline.

    Raises:
        ValueError: `factor` is not an integer >= 1; y is not a picture in [0,1] (TypeError: not an array of floats).
    """
    return _enlarged(y, factor, Image.Resampling.BICUBIC, "bicubic")


def lanczos(y: Float[np.ndarray, "1 C H W"], factor: int) -> Float32[np.ndarray, "1 C H*{factor} W*{factor}"]:
    """Returns y, (1,C,H,W), enlarged to (1,C,H*factor,W*factor) by the windowed sinc with three lobes (Duchon 1979),
    clipped.

    Raises:
        ValueError: `factor` is not an integer >= 1; y is not a picture in [0,1] (TypeError: not an array of floats).
    """
    return _enlarged(y, factor, Image.Resampling.LANCZOS, "lanczos")


def _enlarged(
    y: Float[np.ndarray, "1 C H W"], factor: int, kernel: Image.Resampling, who: str
) -> Float32[np.ndarray, "1 C H*{factor} W*{factor}"]:
    check_picture(y, who)
    if not isinstance(factor, int) or factor < 1:
        raise ValueError(f"{who}: factor is {factor!r}; must be a whole number from 1; choose another factor")
    height, width = y.shape[2:]
    size = (width * factor, height * factor)
    planes = [Image.fromarray(plane.astype(np.float32)).resize(size, kernel) for plane in y[0]]
    return picture(np.stack([np.asarray(plane) for plane in planes]))
