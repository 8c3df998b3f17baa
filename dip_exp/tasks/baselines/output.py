"""The format in which all baselines return their result."""

import numpy as np


def picture(planes: np.ndarray) -> np.ndarray:
    """Returns planes (C,H,W) as a picture: float32 (1,C,H,W), clipped to [0,1]."""
    return np.ascontiguousarray(planes[None].clip(0, 1), dtype=np.float32)
