"""Laws of the switching median, which takes salt and pepper away."""

import numpy as np
import pytest

from dip_exp.images import Packaged
from dip_exp.metrics import PROTOCOLS, psnr
from dip_exp.tasks.baselines import bicubic, median, nlm
from dip_exp.tasks.baselines.impulses import FURTHEST
from dip_exp.tasks.denoise_impulse import DenoiseImpulse

RGB = PROTOCOLS["rgb"]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_switching_median_is_the_median_of_the_values_that_are_whole():
    y = rng().uniform(0.1, 0.9, (1, 3, 37, 31)).astype(np.float32)
    u = rng(1).random(y.shape)
    y[u < 0.35], y[u < 0.15] = 1, 0
    y[0, :, 10:17, 12:19] = 0  # a hole that needs windows of up to 9x9
    x_hat = median(y)
    whole = (y > 0) & (y < 1)
    assert np.array_equal(x_hat[whole], y[whole])
    for channel, row, column in np.argwhere(~whole[0]):
        for reach in range(1, 40):
            part = slice(max(0, row - reach), row + reach + 1), slice(max(0, column - reach), column + reach + 1)
            values = y[0, channel][part][whole[0, channel][part]]
            if len(values):
                assert x_hat[0, channel, row, column] == pytest.approx(np.median(values), abs=1e-7)
                break


def test_black_and_white_far_from_all_else_stay():
    """A night sky, a scan's border: they cost no more than their windows, and nothing is made up in their middle."""
    extreme = np.ones((1, 1, 5, 5), np.float32)
    assert np.array_equal(median(extreme), extreme)
    y = np.full((1, 1, 300, 300), 0.5, np.float32)
    y[..., 20:280, 20:280] = 0
    expected = y.copy()
    expected[y == 0] = 0.5
    expected[..., 20 + FURTHEST : 280 - FURTHEST, 20 + FURTHEST : 280 - FURTHEST] = 0
    assert np.array_equal(median(y), expected)


def test_salt_and_pepper_has_the_median_as_its_baseline():
    x = bicubic(Packaged(name="astronaut", shrink_to=16).read().x, 4)
    problem = DenoiseImpulse(amount=0.1).problem(x, "clean", rng())
    y = problem.y.numpy()
    assert problem.presentation.baseline is not None
    name, restore = problem.presentation.baseline
    assert name == "switching median"
    assert "nlm" in problem.presentation.rivals
    restored = restore()
    assert np.array_equal(restored, median(y))
    assert psnr(restored, x, RGB) > psnr(nlm(y, None), x, RGB) + 5
