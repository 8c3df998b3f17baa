"""The format in which all baselines return their result."""

import numpy as np

from dip_exp.shapes import Float, Float32


def picture(planes: Float[np.ndarray, "C H W"]) -> Float32[np.ndarray, "1 C H W"]:
    """Returns planes (C,H,W) as a picture: float32 (1,C,H,W), clipped to [0,1]."""
    return np.ascontiguousarray(planes[None].clip(0, 1), dtype=np.float32)
