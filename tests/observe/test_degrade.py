import io

import numpy as np
import pytest
from PIL import Image

from dip_exp.observe import degrade
from tests.checked import unchecked


def rng(seed=0):
    return np.random.default_rng(seed)


def picture(shape=(1, 3, 37, 31), seed=7):
    return rng(seed).random(shape, dtype=np.float32)


def flat(value, shape=(1, 3, 149, 151)):
    return np.full(shape, value, np.float32)


RANDOM = {
    "gaussian": lambda x, r: degrade.gaussian(x, 25, r),
    "poisson": lambda x, r: degrade.poisson(x, 30.0, r),
    "impulse": lambda x, r: degrade.impulse(x, 0.2, r),
    "speckle": lambda x, r: degrade.speckle(x, 0.3, r),
    "scramble": degrade.scramble,
    "uniform_noise": lambda x, r: degrade.uniform_noise(x.shape, r),
}


ALL = {
    **RANDOM,
    "jpeg": lambda x, r: degrade.jpeg(x, 50),
    "lanczos_reduce": lambda x, r: degrade.lanczos_reduce(x, 1),
}


@pytest.mark.parametrize("name", RANDOM)
@pytest.mark.parametrize("channels", [1, 3])
def test_random_observations_are_pictures_follow_their_generator_and_leave_x_alone(name, channels):
    x = picture((1, channels, 37, 31))
    kept = x.copy()
    y, again, other = (RANDOM[name](x, rng(seed)) for seed in (1, 1, 2))
    assert y.dtype == np.float32
    assert y.shape == x.shape
    assert y.min() >= 0
    assert y.max() <= 1
    assert np.array_equal(y, again)
    assert not np.array_equal(y, other)
    assert np.array_equal(x, kept)


@pytest.mark.parametrize("name", RANDOM)
def test_no_observation_draws_from_the_global_generator(name):
    np.random.seed(5)  # noqa: NPY002
    expected = np.random.random(3)  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    RANDOM[name](picture(), rng())
    assert np.array_equal(np.random.random(3), expected)  # noqa: NPY002


def test_gaussian_noise_has_mean_0_the_named_deviation_and_is_white():
    x = flat(0.5)
    n = degrade.gaussian(x, 25, rng(), clip=False).astype(np.float64) - 0.5
    sigma, count = 25 / 255, n.size
    assert abs(n.mean()) < 4 * sigma / np.sqrt(count)
    assert n.std() == pytest.approx(sigma, rel=4 / np.sqrt(2 * count))
    neighbours = [n[..., 1:] * n[..., :-1], n[:, :, 1:] * n[:, :, :-1], n[:, 1:] * n[:, :-1]]
    assert all(abs(pairs.mean()) < 4 * sigma**2 / np.sqrt(pairs.size) for pairs in neighbours)


def test_noise_is_what_its_generator_draws_times_its_size():
    x = picture()
    n = rng(3).standard_normal(x.shape)
    assert np.allclose(degrade.gaussian(x, 25, rng(3), clip=False), x + n * 25 / 255, atol=1e-6)
    assert np.allclose(degrade.speckle(x, 0.1, rng(3)), (x * (1 + 0.1 * n)).clip(0, 1), atol=1e-6)


def test_a_draw_decides_between_pepper_salt_and_neither():
    class Drawn(np.random.Generator):
        def random(self, *_, **__):
            return np.array([0, 0.0999, 0.1, 0.1999, 0.2, 0.9])[None, None, None]

    y = degrade.impulse(np.full((1, 1, 1, 6), 0.3, np.float32), 0.2, Drawn(np.random.PCG64()))
    assert np.array_equal(y.ravel(), np.float32([0, 0, 1, 1, 0.3, 0.3]))


def test_gaussian_clips_only_when_asked_and_is_not_quantised():
    x = picture()
    free = degrade.gaussian(x, 50, rng(), clip=False)
    assert free.min() < 0
    assert free.max() > 1
    clipped = degrade.gaussian(x, 50, rng())
    assert np.array_equal(clipped, free.clip(0, 1))
    levels = clipped[(clipped > 0) & (clipped < 1)] * 255
    assert np.abs(levels - levels.round()).max() > 0.4


def test_no_noise_is_the_picture_itself():
    x = picture()
    for y in (degrade.gaussian(x, 0, rng()), degrade.impulse(x, 0, rng()), degrade.speckle(x, 0, rng())):
        assert np.array_equal(y, x)


@pytest.mark.parametrize("name", [*RANDOM, "jpeg", "lanczos_reduce"])
def test_black_and_white_and_a_single_pixel_are_pictures(name):
    for x in (flat(0, (1, 3, 4, 4)), flat(1, (1, 1, 4, 4)), flat(0.5, (1, 1, 1, 1))):
        assert ALL[name](x, rng()).shape == x.shape


def test_less_than_one_photon_a_pixel_is_a_picture():
    assert set(np.unique(degrade.poisson(flat(1), 0.5, rng()))) == {0.0, 1.0}


@pytest.mark.parametrize("value", [0.1, 0.4])
def test_poisson_noise_has_mean_x_and_variance_x_over_peak(value):
    y = degrade.poisson(flat(value), 100.0, rng()).astype(np.float64)
    assert y.mean() == pytest.approx(value, abs=4 * np.sqrt(value / 100 / y.size))
    assert y.var() == pytest.approx(value / 100, rel=0.03)
    assert np.allclose((y * 100).round(), y * 100, atol=1e-4)


def test_impulse_hits_the_named_share_equally_black_and_white_and_nothing_else():
    x = flat(0.3)
    y = degrade.impulse(x, 0.2, rng())
    bound = 4 * np.sqrt(0.1 * 0.9 / y.size)
    assert (y == 0).mean() == pytest.approx(0.1, abs=bound)
    assert (y == 1).mean() == pytest.approx(0.1, abs=bound)
    assert (y[(y != 0) & (y != 1)] == np.float32(0.3)).all()
    assert set(np.unique(degrade.impulse(x, 1, rng()))) == {0.0, 1.0}


@pytest.mark.parametrize("value", [0.2, 0.5])
def test_speckle_has_mean_x_and_a_deviation_proportional_to_x(value):
    y = degrade.speckle(flat(value), 0.1, rng()).astype(np.float64)
    assert y.mean() == pytest.approx(value, abs=4 * 0.1 * value / np.sqrt(y.size))
    assert y.std() == pytest.approx(0.1 * value, rel=0.02)


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_what_a_decoder_reads_from_the_file(channels):
    x = picture((1, channels, 37, 31))
    values = (x[0].transpose(1, 2, 0).astype(np.float64) * 255).round().astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(values[..., 0] if channels == 1 else values).save(file, "JPEG", quality=10)
    expected = np.asarray(Image.open(file)).reshape(37, 31, channels).transpose(2, 0, 1)[None]
    y = degrade.jpeg(x, 10)
    assert y.dtype == np.float32
    assert np.array_equal((y * 255).round(), expected)


def test_jpeg_gets_better_with_quality():
    smooth = np.linspace(0, 1, 37 * 31, dtype=np.float32).reshape(1, 1, 37, 31)
    errors = [float(((degrade.jpeg(smooth, quality) - smooth) ** 2).mean()) for quality in (1, 20, 95)]
    assert errors[0] > errors[1] > errors[2]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("factor", [1, 3, 4])
def test_lanczos_reduce_equals_the_window_written_out(channels, factor):
    height, width = 7 * factor, 5 * factor
    x = picture((1, channels, height, width))
    y = degrade.lanczos_reduce(x, factor)
    assert y.shape == (1, channels, 7, 5)
    assert np.allclose((y * 255).round(), y * 255, atol=1e-4)
    rows, columns = window(height, factor), window(width, factor)
    expected = (rows @ ((x[0].astype(np.float64) * 255).round() / 255) @ columns.T).clip(0, 1)
    # PIL rounds to 8 bits after each of its two passes, with 8-bit-sized coefficients; two levels bound all of it.
    assert np.abs(y[0] - expected).max() <= 2 / 255


def window(size, factor):
    """The matrix of an antialiased Lanczos3 reduction whose window is cut at the border and renormalised."""
    centres = (np.arange(size // factor)[:, None] + 0.5) * factor - 0.5
    t = (np.arange(size)[None] - centres) / factor
    weights = np.where(np.abs(t) < 3, np.sinc(t) * np.sinc(t / 3), 0)
    return weights / weights.sum(axis=1, keepdims=True)


def test_scramble_moves_whole_pixels_and_loses_none():
    x = picture()
    y = degrade.scramble(x, rng())
    before, after = (sorted(map(tuple, v.reshape(3, -1).T)) for v in (x, y))
    assert before == after


def test_uniform_noise_has_the_moments_of_u01():
    y = degrade.uniform_noise((1, 3, 149, 151), rng()).astype(np.float64)
    assert y.mean() == pytest.approx(1 / 2, abs=4 / np.sqrt(12 * y.size))
    assert y.var() == pytest.approx(1 / 12, rel=0.02)


@pytest.mark.parametrize(
    ("x", "error", "text"),
    [
        ([[1.0]], TypeError, "the picture is list; give a numpy array"),
        (np.zeros((1, 3, 4, 4), np.uint8), TypeError, "an array of uint8; give a numpy array of floats"),
        (np.zeros((3, 4, 4), np.float32), ValueError, r"shape \(3, 4, 4\); one picture has shape \(1,C,H,W\)"),
        (np.zeros((1, 3, 0, 4), np.float32), ValueError, r"shape \(1, 3, 0, 4\); one picture"),
        (np.full((1, 3, 4, 4), np.nan, np.float32), ValueError, "48 of the picture's 48 values are NaN or infinite"),
        (np.full((1, 3, 4, 4), 255, np.float32), ValueError, r"runs from 255 to 255; must lie in \[0,1\]; divide"),
        (np.float32([[[[0.5, np.inf]]]]), ValueError, "1 of the picture's 2 values are NaN or infinite"),
        (np.float32([[[[0.5, -0.1]]]]), ValueError, r"runs from -0.1 to 0.5; must lie in \[0,1\]"),
        (np.float32([[[[0.5, 1.1]]]]), ValueError, r"runs from 0.5 to 1.1; must lie in \[0,1\]"),
        (np.zeros((2, 3, 4, 4), np.float32), ValueError, r"shape \(2, 3, 4, 4\); one picture has shape"),
    ],
)
@pytest.mark.parametrize("name", [name for name in ALL if name != "uniform_noise"])
def test_what_is_no_picture_is_refused(name, x, error, text):
    with unchecked(), pytest.raises(error, match=f"{name}: .*{text}"):
        ALL[name](x, rng())


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (lambda x: degrade.gaussian(x, -1, rng()), "gaussian: sigma_255 is -1; must be a finite number from 0"),
        (lambda x: degrade.gaussian(x, np.nan, rng()), "gaussian: sigma_255 is nan; must be a finite number from 0"),
        (lambda x: degrade.poisson(x, 0, rng()), "poisson: peak is 0; must be a finite number above 0"),
        (lambda x: degrade.impulse(x, 1.1, rng()), "impulse: amount is 1.1; must be a finite number from 0 to 1"),
        (lambda x: degrade.speckle(x, np.inf, rng()), "speckle: sigma is inf; must be a finite number from 0"),
        (lambda x: degrade.jpeg(x, 0), "jpeg: quality is 0; must be a whole number from 1 to 95"),
        (lambda x: degrade.jpeg(x, 96), "jpeg: quality is 96; must be a whole number from 1 to 95"),
        (lambda x: degrade.jpeg(x, 50.0), "jpeg: quality is 50.0; must be a whole number"),
        (lambda x: degrade.jpeg(x[:, :2], 50), r"jpeg: the picture has 2 channels; must be 1 \(grey\) or 3"),
        (lambda x: degrade.lanczos_reduce(x, 0), "lanczos_reduce: factor is 0; must be a whole number from 1"),
        (
            lambda x: degrade.lanczos_reduce(x, 4),
            r"lanczos_reduce: the picture is 31x37 \(width x height\), no multiple of factor 4; crop it to 28x36",
        ),
        (lambda x: degrade.lanczos_reduce(x[:, :, 1:], 4), r"31x36 .* no multiple of factor 4; crop it to 28x36"),
        (lambda x: degrade.lanczos_reduce(x[..., 3:], 4), r"28x37 .* no multiple of factor 4; crop it to 28x36"),
        (lambda x: degrade.lanczos_reduce(x, 64), "no multiple of factor 64; choose a factor up to 31"),
        (lambda x: degrade.uniform_noise((3, 4, 4), rng()), r"uniform_noise: shape is \(3, 4, 4\); one picture has"),
        (lambda x: degrade.uniform_noise((2, 3, 4, 4), rng()), r"uniform_noise: shape is \(2, 3, 4, 4\); one picture"),
        (lambda x: degrade.uniform_noise((1, 3, 0, 4), rng()), r"uniform_noise: shape is \(1, 3, 0, 4\); one picture"),
    ],
)
def test_values_out_of_range_are_refused(act, text):
    with unchecked(), pytest.raises(ValueError, match=text):
        act(picture())
