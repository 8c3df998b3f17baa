"""Laws of salt-and-pepper noise: how it is found, the problem it poses, and the switching median."""

import numpy as np
import pytest
import torch

from dip_exp.images import Packaged
from dip_exp.metrics import PROTOCOLS, psnr
from dip_exp.observe.degrade import impulse
from dip_exp.observe.impulses import replaced
from dip_exp.tasks.baselines import bicubic, median, nlm
from dip_exp.tasks.baselines.impulses import FURTHEST
from dip_exp.tasks.denoise_impulse import DenoiseImpulse
from dip_exp.tasks.impulse import Impulse
from dip_exp.tasks.scores import paste
from dip_exp.tasks.task import tensor

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


@pytest.mark.parametrize(
    ("amount", "kinds"),
    [*((a, "both") for a in (0.02, 0.1, 0.3, 0.5, 0.7, 0.9)), *((a, "salt") for a in (0.02, 0.1, 0.3))],
)
def test_impulses_are_found_where_they_are_scattered(amount, kinds):
    x = rng().uniform(0.1, 0.9, (1, 3, 60, 50)).astype(np.float32)
    y = impulse(x, amount, rng(1))
    if kinds == "salt":
        y[y == 0] = 1
    assert not (replaced(y) & (y == x)).any()
    assert (replaced(y) != (y != x)).mean() < 0.002


def test_broad_strokes_on_white_paper_are_none():
    x = np.ones((1, 1, 80, 90), np.float32)
    for row in range(10, 70, 20):
        x[..., row : row + 3, 8:80] = 0
    assert replaced(x).mean() < 0.01  # the ends of the strokes


def test_an_empty_area_is_none_either():
    x = rng().uniform(0.1, 0.9, (1, 3, 60, 50)).astype(np.float32)
    x[..., 20:45, 10:40] = 0
    x[..., :12, :] = 1
    assert replaced(x).mean() < 0.01  # corners of the area
    for amount in (0.1, 0.5):
        y = impulse(x, amount, rng(1))
        kept = ~replaced(y) & ((x == 0) | (x == 1)) & (y == x)
        assert kept.sum() > 0.8 * (((x == 0) | (x == 1)) & (y == x)).sum()


@pytest.mark.parametrize("extreme", [0.0, 1.0])
def test_a_picture_of_one_extreme_has_no_impulses(extreme):
    assert not replaced(np.full((1, 1, 9, 9), extreme, np.float32)).any()


def test_what_was_not_replaced_is_put_back_and_what_was_is_missing():
    x = rng().uniform(0.1, 0.9, (1, 3, 24, 20)).astype(np.float32)
    problem = Impulse(amount=0.4).problem(x, "clean", rng(1))
    hit = problem.y.numpy() != x
    assert problem.weight is not None
    assert np.array_equal(problem.weight.numpy() == 0, hit)
    assert float(problem.energy(tensor(x))) == 0
    told = problem.presentation
    assert told.paste is not None
    assert told.missing is not None
    assert np.array_equal(told.missing.numpy(), hit)
    assert np.array_equal(paste(problem, x), x)
    assert f"{hit.mean():.1%} of the values" in told.notes[0]


def test_absolute_error_yields_to_values_that_are_wrong_without_being_0_or_1():
    x = np.full((1, 1, 16, 16), 0.5, np.float32)
    x[0, 0, 3, 3] = 0.9
    problem = Impulse(amount=0.0, rest="absolute").problem(x, "clean", rng())
    level = torch.full((1, 1, 16, 16), 0.5, requires_grad=True)
    (gradient,) = torch.autograd.grad(problem.energy(level + 0.01), level)
    assert float(gradient[0, 0, 3, 3]) == pytest.approx(-float(gradient[0, 0, 0, 0]))
    assert problem.presentation.paste is None


def test_other_noise_is_remarked_on_and_nothing_but_impulses_is_refused():
    x = rng().uniform(0.1, 0.9, (1, 1, 16, 16)).astype(np.float32)
    assert "does not look like salt-and-pepper" in Impulse().problem(x, "observed", rng()).presentation.notes[0]
    with pytest.raises(ValueError, match="every value is 0 or 1"):
        Impulse().problem((rng().random((1, 1, 16, 16)) > 0.5).astype(np.float32), "observed", rng())
