"""Laws of a map of standard deviations: against errors drawn from it, from something else, and as a picture."""

from dataclasses import asdict

import numpy as np
import pytest

from dip_exp.metrics.calibration import BINS, calibrate, facts, measured, shown
from tests.checked import unchecked

RNG = np.random.default_rng(0)
STD = RNG.uniform(0.01, 0.3, 40_000)
NORMAL = RNG.standard_normal(STD.size)


def test_errors_drawn_with_the_predicted_size_lie_on_the_diagonal():
    found = calibrate(STD, STD * NORMAL)
    assert found.ratio == pytest.approx(1, abs=0.02)
    assert len(found.std) == BINS
    assert found.std == sorted(found.std)
    np.testing.assert_allclose(found.error, found.std, rtol=0.08)
    assert found.rank_correlation is not None
    assert (
        0.3 < found.rank_correlation < 0.7
    )  # a standard deviation says how large an error may be, not how large it is


@pytest.mark.parametrize("factor", [0.25, 3.0])
def test_a_map_too_sure_by_a_factor_says_so_and_ranks_the_same(factor: float):
    one, other = calibrate(STD, STD * NORMAL), calibrate(STD / factor, STD * NORMAL)
    assert one.ratio is not None
    assert other.ratio == pytest.approx(factor * one.ratio)
    assert other.rank_correlation == pytest.approx(one.rank_correlation)
    assert other.ause == pytest.approx(one.ause)
    assert other.error == pytest.approx(one.error)


def test_a_map_that_says_nothing_of_the_error():
    found = calibrate(STD, 0.1 * NORMAL)
    assert found.rank_correlation == pytest.approx(0, abs=0.02)
    np.testing.assert_allclose(found.error, 0.1, rtol=0.08)
    # nothing is gained by taking away what it is least sure of: the area is what the worst ones alone would gain
    share = np.sqrt(np.cumsum(np.sort(NORMAL**2)) / np.arange(1, NORMAL.size + 1))
    assert found.ause == pytest.approx(1 - np.mean(share / share[-1]), abs=0.02)


def test_the_error_itself_is_the_best_map_and_its_reverse_the_worst():
    error = STD * NORMAL
    best, worst = calibrate(np.abs(error), error), calibrate(np.abs(error).max() - np.abs(error), error)
    assert best.ratio == pytest.approx(1)
    assert best.rank_correlation == pytest.approx(1)
    assert best.ause == pytest.approx(0, abs=1e-9)
    assert worst.rank_correlation == pytest.approx(-1)
    for other in (calibrate(STD, error), calibrate(NORMAL**2, error)):
        assert best.ause < other.ause < worst.ause  # type: ignore[operator]


def test_bins_hold_every_value_once():
    found = calibrate(STD, STD * NORMAL)  # of equal count, so that means of bins are the mean of all
    assert np.mean(found.std) == pytest.approx(STD.mean())
    assert np.mean(np.square(found.error)) == pytest.approx(np.mean((STD * NORMAL) ** 2))


def test_order_sign_and_shape_do_not_matter():
    error = STD * NORMAL
    order = RNG.permutation(STD.size)
    again = calibrate(STD[order].reshape(200, 200), -error[order].reshape(200, 200))
    one = calibrate(STD, error)
    assert again.ratio == pytest.approx(one.ratio)
    assert again.error == pytest.approx(one.error)
    assert again.ause == pytest.approx(one.ause)


def test_certainty_and_perfection_have_no_ratio_and_no_rank():
    flat = calibrate(np.zeros(BINS), np.ones(BINS))
    assert (flat.ratio, flat.rank_correlation) == (None, None)
    perfect = calibrate(STD, np.zeros_like(STD))
    assert (perfect.ratio, perfect.rank_correlation, perfect.ause) == (0, None, None)


@pytest.mark.parametrize(
    ("std", "error", "text"),
    [
        (np.ones(30), np.ones(31), r"std is \(30,\) and error \(31,\); the shapes must be equal"),
        (np.ones(19), np.ones(19), "of 20 values or more"),
        (-np.ones(30), np.ones(30), "std from 0"),
        (np.ones(30), np.full(30, np.nan), "look for NaN"),
        (np.ones(30), np.r_[np.ones(29), np.inf], "look for NaN"),
        (np.r_[np.ones(29), np.nan], np.ones(30), "look for NaN"),
        (np.r_[np.ones(29), -0.1], np.ones(30), "std from 0"),
        (np.ones((2, 15)), np.ones((15, 2)), "the shapes must be equal"),
    ],
)
def test_what_cannot_be_compared_is_refused(std: np.ndarray, error: np.ndarray, text: str):
    with unchecked(), pytest.raises(ValueError, match=text):
        calibrate(std, error)


def test_only_missing_values_count_where_known_ones_are_put_back():
    x = RNG.random((1, 3, 20, 20))
    missing = RNG.random((1, 1, 20, 20)) < 0.5
    std = np.where(missing, RNG.random((1, 3, 20, 20)), 0)
    x_hat = np.clip(x + 0.1 * std, 0, 1)
    found = measured(std, x_hat, x, missing.astype(np.float32))
    where = np.broadcast_to(missing, x.shape)
    assert found == calibrate(std[where], (x_hat - x)[where])
    assert measured(std, x_hat, None) is None
    assert measured(std, x_hat, x, np.zeros_like(missing)) is None
    few = np.zeros((1, 3, 20, 20))
    few.flat[:BINS] = 1
    assert measured(std + 0.1, x_hat, x, few) is not None
    few.flat[0] = 0
    assert measured(std + 0.1, x_hat, x, few) is None


def test_a_restored_picture_is_clipped_before_it_is_compared_and_has_the_shape_of_its_truth():
    x, std = RNG.random((1, 3, 20, 20)), RNG.random((1, 3, 20, 20))
    for far in (-3.0, 3.0):
        assert measured(std, x + far, x) == calibrate(std, np.clip(x + far, 0, 1) - x)
    assert measured(std, x, x[..., :10]) is None


def test_a_record_says_the_size_of_a_map_and_how_it_compares():
    x = RNG.random((1, 3, 20, 20))
    std = RNG.uniform(0.01, 0.1, x.shape)
    x_hat = x + std * RNG.standard_normal(x.shape)
    found = facts("std", std, x_hat, x, None, of=5)
    rms = float(np.sqrt((std**2).mean()))
    assert found["spread"] == {"kind": "std", "of": 5, "rms": pytest.approx(rms), "white": shown(std)[1]}
    compared = measured(std, x_hat, x)
    assert compared is not None
    assert found["calibration"] == {"kind": "std", **asdict(compared)}
    assert facts("std", std, x_hat, None, None, of=5)["calibration"] is None


def test_the_picture_of_a_map_is_linear_up_to_its_white():
    std = RNG.random((1, 3, 30, 30)).astype(np.float32)
    std[..., :10] = 0
    picture, white = shown(std)
    joined = np.sqrt((std**2).mean(axis=1, keepdims=True))
    assert picture.shape == (1, 1, 30, 30)
    np.testing.assert_allclose(picture, np.minimum(joined / white, 1), rtol=1e-5)
    assert np.mean(joined[joined > 0] <= white) == pytest.approx(0.99, abs=0.002)
    twice, white_of_twice = shown(2 * std)
    np.testing.assert_allclose(twice, picture, rtol=1e-5)
    assert white_of_twice == pytest.approx(2 * white, rel=1e-5)
    black, none = shown(np.zeros((1, 3, 4, 4)))
    assert not black.any()
    assert none == 0
