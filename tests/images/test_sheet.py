"""The side-by-side picture shows every panel whole, at one height."""

import numpy as np

from dip_exp.images.sheet import side_by_side


def test_panels_keep_their_pixels():
    red = np.zeros((1, 3, 40, 30), np.float32)
    red[:, 0] = 1
    grey = np.full((1, 1, 10, 8), 0.2, np.float32)
    sheet = side_by_side([("red\n20.00 dB", red), ("small", grey)])[0]
    is_red = (sheet == np.array([1, 0, 0])[:, None, None]).all(axis=0)
    is_grey = np.abs(sheet - 0.2).max(axis=0) < 0.003
    assert is_red.sum() == 320 * 240
    assert is_grey.sum() >= 320 * 256
    assert sheet.max() <= 1
