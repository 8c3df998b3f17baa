import numpy as np
import pytest
from PIL import Image

from dip_exp.metrics import PROTOCOLS, psnr, ssim
from dip_exp.observe import degrade
from dip_exp.observe.masks import Bernoulli
from dip_exp.tasks import baselines
from dip_exp.tasks.baselines import (
    TV_FLOOR_255,
    bicubic,
    biharmonic,
    bm3d,
    denoisers,
    lanczos,
    linear,
    median,
    nlm,
    tv,
    wavelets,
)
from dip_exp.tasks.baselines.denoising import has_bm3d
from tests.checked import unchecked

RGB = PROTOCOLS["rgb"]
WITH_BM3D = pytest.mark.skipif(not has_bm3d(), reason="pip install -e '.[bm3d]'")


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def x():
    from skimage import data

    small = Image.fromarray(data.astronaut()).resize((64, 64), Image.Resampling.LANCZOS)
    return np.asarray(small, np.float32).transpose(2, 0, 1)[None] / np.float32(255)


def is_picture(x_hat, shape):
    return x_hat.dtype == np.float32 and x_hat.shape == shape and x_hat.min() >= 0 and x_hat.max() <= 1


METHODS = {
    "nlm": lambda y: nlm(y, 25),
    "tv": lambda y: tv(y, 25),
    "blind tv": lambda y: tv(y, None),
    "biharmonic": lambda y: biharmonic(y, Bernoulli().draw(y.shape[1:], rng())),
    "linear": lambda y: linear(y, Bernoulli().draw(y.shape[1:], rng())),
    "wavelets": lambda y: wavelets(y, 25),
    "blind wavelets": lambda y: wavelets(y, None),
    "median": lambda y: median(np.where(y < 0.1, np.float32(0), y)),
    "BM3D": lambda y: bm3d(y, 25),
}
NAMES = [pytest.param(name, marks=WITH_BM3D if name == "BM3D" else ()) for name in METHODS]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("channels", [1, 3])
def test_any_size_stays_a_picture_and_the_observation_stays_untouched(name, channels):
    y = rng().random((1, channels, 37, 31), dtype=np.float32)
    kept = y.copy()
    assert is_picture(METHODS[name](y), y.shape)
    assert np.array_equal(y, kept)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("colour", [[0.5], [0.5, 0.5, 0.5], [0.3, 0.8, 0.1], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]], ids=str)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # a flat picture's noise is a mean of nothing
def test_a_flat_picture_comes_back(name, colour):
    y = np.array(colour, np.float32).reshape(1, -1, 1, 1) * np.ones((1, 1, 37, 31), np.float32)
    assert np.allclose(METHODS[name](y), y, atol=1e-3)  # a quarter of a grey level


@pytest.mark.parametrize("channels", [1, 3])
def test_wavelets_treat_rows_as_columns_and_take_a_picture_of_a_few_pixels(channels):
    y = rng().random((1, channels, 32, 48), dtype=np.float32)
    x_hat = wavelets(y, 50)
    assert np.abs(x_hat - y).max() > 0.1
    assert np.allclose(wavelets(y.swapaxes(2, 3), 50), x_hat.swapaxes(2, 3), atol=1e-6)
    assert wavelets(y[..., :5, :3], 50).shape == (1, channels, 5, 3)


@pytest.mark.parametrize("method", [nlm, tv])
def test_denoisers_treat_grey_as_equal_channels_and_rows_as_columns(method):
    y = rng().random((1, 1, 37, 31), dtype=np.float32)
    x_hat = method(y, 50)
    assert np.abs(x_hat - y).max() > 0.1
    assert np.allclose(method(y.repeat(3, axis=1), 50), x_hat, atol=1e-6)
    assert np.allclose(method(y.swapaxes(2, 3), 50), x_hat.swapaxes(2, 3), atol=1e-6)


@pytest.mark.parametrize("method", [bicubic, lanczos])
@pytest.mark.parametrize("factor", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_enlarging_has_the_size_keeps_constants_and_at_1_the_picture(method, factor, channels):
    y = rng().random((1, channels, 9, 7), dtype=np.float32)
    kept = y.copy()
    assert is_picture(method(y, factor), (1, channels, 9 * factor, 7 * factor))
    assert np.array_equal(y, kept)
    assert np.allclose(method(np.full_like(y, 0.3), factor), 0.3, atol=1e-6)
    assert np.allclose(method(y, 1), y, atol=1e-7)


def test_bicubic_reproduces_a_parabola_inside():
    """Cubic convolution with a = -0.5 is exact up to degree 2 (Keys 1981), and rounds nothing to 8 bits."""
    factor, size = 4, 12
    centres = (np.arange(size) + 0.5) / size
    fine = (np.arange(size * factor) + 0.5) / (size * factor)
    y = np.broadcast_to(centres**2, (1, 1, size, size)).astype(np.float32)
    inside = slice(2 * factor, -2 * factor)
    assert np.allclose(bicubic(y, factor)[0, 0, 5, inside], fine[inside] ** 2, atol=1e-6)


def test_lanczos_reproduces_a_slow_wave_better_than_bicubic():
    """The longer kernel is the nearer one to the sinc, which reproduces every wave below the sampling limit."""
    factor, size = 4, 60
    centres, fine = ((np.arange(n) + 0.5) / (n // size) for n in (size, size * factor))
    y = np.broadcast_to(0.5 + 0.4 * np.sin(2 * np.pi * centres / 5), (1, 1, size, size)).astype(np.float32)
    wave = 0.5 + 0.4 * np.sin(2 * np.pi * fine / 5)
    inside = slice(4 * factor, -4 * factor)
    off = [np.abs(method(y, factor)[0, 0, 9, inside] - wave[inside]).max() for method in (lanczos, bicubic)]
    assert off[0] < 0.5 * off[1]


@pytest.mark.parametrize("method", [bicubic, lanczos])
def test_enlarging_beats_nearest(method, x):
    y = degrade.lanczos_reduce(x, 4)
    nearest = y.repeat(4, axis=2).repeat(4, axis=3)
    assert psnr(method(y, 4), x, RGB) > psnr(nearest, x, RGB) + 0.5


@pytest.mark.parametrize("sigma", [25, 50])
@pytest.mark.parametrize("method", [nlm, tv, wavelets, pytest.param(bm3d, marks=WITH_BM3D)])
def test_denoisers_beat_the_noisy_picture_and_follow_sigma(method, sigma, x):
    y = degrade.gaussian(x, sigma, rng())
    assert psnr(method(y, sigma), x, RGB) > psnr(y, x, RGB) + 1
    moved = [((method(y, level) - y) ** 2).mean() for level in (sigma / 4, sigma)]
    assert moved[0] < moved[1]


@pytest.mark.parametrize("method", [tv, wavelets])
def test_a_blind_method_is_close_to_one_that_is_told_the_noise(method, x):
    y = degrade.gaussian(x, 25, rng())
    assert psnr(method(y, None), x, RGB) == pytest.approx(psnr(method(y, 25), x, RGB), abs=0.5)


def test_blind_tv_helps_a_jpeg_where_the_estimate_alone_would_not(x):
    big = bicubic(x, 4)
    y = degrade.jpeg(big, 10)
    assert np.array_equal(tv(y, None), tv(y, TV_FLOOR_255))
    assert psnr(tv(y, None), big, RGB) > psnr(y, big, RGB) + 0.3


@pytest.mark.parametrize("method", [nlm, wavelets])
def test_a_jpeg_is_taken_to_be_as_noisy_as_its_least(method, x):
    y = degrade.jpeg(bicubic(x, 4), 10)
    assert np.array_equal(method(y, None, 5.0), method(y, 5.0))
    assert np.abs(method(y, None, 5.0) - y).max() > 10 * np.abs(method(y, None) - y).max()
    assert psnr(method(y, None, 5.0), bicubic(x, 4), RGB) > psnr(y, bicubic(x, 4), RGB)


@WITH_BM3D
def test_bm3d_gives_the_same_bits_again_and_takes_grey_as_colour(x):
    y = degrade.gaussian(x[..., :32, :32], 25, rng())
    assert np.array_equal(bm3d(y, 25), bm3d(y, 25))
    grey = bm3d(y[:, :1], 25)
    assert np.array_equal(bm3d(y[:, :1].repeat(3, axis=1), 25), grey.repeat(3, axis=1))


def test_bm3d_that_is_not_installed_says_so_and_is_no_rival(monkeypatch):
    monkeypatch.setattr("dip_exp.tasks.baselines.denoising.find_spec", lambda _: None)
    with pytest.raises(ImportError, match=r"bm3d: the package bm3d is not installed; .* pip install .*\[bm3d\]"):
        bm3d(Y, 25)
    assert set(denoisers(Y, 25, but="nlm")) == {"tv", "wavelets"}


def test_the_denoisers_but_one_all_denoise_by_the_same_noise(x):
    y = degrade.gaussian(x, 25, rng())
    rivals = denoisers(y, 25, but="tv")
    assert set(rivals) - {"bm3d"} == {"nlm", "wavelets"}
    assert np.array_equal(rivals["nlm"](), nlm(y, 25))
    assert np.array_equal(rivals["wavelets"](), wavelets(y, 25))
    assert np.array_equal(denoisers(y, None, but="nlm", least_255=60.0)["wavelets"](), wavelets(y, 60))
    assert set(baselines.TITLES) >= baselines.SLOW


@pytest.mark.parametrize("method", [biharmonic, linear])
@pytest.mark.parametrize("per_channel", [False, True])
def test_filling_fills_the_missing_and_keeps_the_known(method, per_channel, x):
    known = Bernoulli(per_channel=per_channel).draw((3, 64, 64), rng())
    y = x * known
    x_hat = method(y, known)
    full = np.broadcast_to(known == 1, x.shape)
    assert np.array_equal(x_hat[full], y[full])
    assert psnr(x_hat, x, RGB) > psnr(y, x, RGB) + 10
    filled, masked = ssim(x_hat, x, RGB), ssim(y, x, RGB)
    assert filled is not None
    assert masked is not None
    assert filled > masked
    assert np.array_equal(method(np.where(full, x, np.float32(0.77)), known), x_hat)


@pytest.mark.parametrize("method", [biharmonic, linear])
def test_filling_fills_each_channel_as_if_it_were_alone(method, x):
    known = Bernoulli(per_channel=True).draw((3, 64, 64), rng())
    known[:, 1] = 1
    together = method(x, known)
    for channel in (0, 2):
        plane = slice(channel, channel + 1)
        assert np.array_equal(together[:, plane], method(x[:, plane], known[:, plane]))
    assert np.array_equal(together[:, 1], x[:, 1])


def test_biharmonic_of_a_ramp_is_the_ramp():
    """A linear function solves the biharmonic equation."""
    rows, columns = np.mgrid[:37, :31] / 80
    x = (rows + columns)[None, None].astype(np.float32)
    known = np.ones_like(x)
    known[:, :, 10:20, 12:18] = 0
    assert np.allclose(biharmonic(x * known, known), x, atol=1e-5)


def ramp(height, width):
    rows, columns = np.mgrid[:height, :width] / (height + width)
    return np.stack([rows + columns, 1 - rows])[None].astype(np.float32)


@pytest.mark.parametrize("size", [(37, 31), (8, 8), (5, 40)])
@pytest.mark.parametrize("missing", [0.1, 0.5, 0.9])
def test_linear_interpolation_of_a_ramp_is_the_ramp(size, missing):
    """Exact wherever known pixels lie around the missing one: all their corners being known, everywhere."""
    x = ramp(*size)
    known = Bernoulli(missing=missing).draw(x.shape[1:], rng())
    known[..., 0, [0, -1]] = known[..., -1, [0, -1]] = 1
    assert known.min() == 0
    assert np.allclose(linear(x * known, known), x, atol=1e-6)
    hole = np.ones_like(known)
    hole[..., 2:4, 1:-1] = 0
    assert np.allclose(linear(x * hole, hole), x, atol=1e-6)


def test_linear_interpolation_leaves_no_range_and_outside_takes_the_nearest(x):
    known = Bernoulli(missing=0.95).draw((3, 64, 64), rng())
    x_hat = linear(x, known)
    for plane in range(3):
        seen = x[0, plane][known[0, 0] == 1]
        assert seen.min() <= x_hat[0, plane].min() <= x_hat[0, plane].max() <= seen.max()
    half = np.zeros((1, 1, 64, 64), np.float32)
    half[..., 20:40] = 1
    x_hat = linear(x, half)
    assert np.array_equal(x_hat[..., :20], x[..., 20:21].repeat(20, axis=3))
    assert np.array_equal(x_hat[..., 40:], x[..., 39:40].repeat(24, axis=3))


@pytest.mark.parametrize("points", [[(3, 4)], [(3, 4), (5, 1)], [(0, 0), (1, 1), (5, 5), (7, 7)]], ids=len)
def test_too_few_known_pixels_for_a_triangle_still_fill_the_picture(points, x):
    known = np.zeros((1, 1, 8, 8), np.float32)
    for row, column in points:
        known[..., row, column] = 1
    x_hat = linear(x[..., :8, :8], known)
    seen = {float(x[0, 0, row, column]) for row, column in points}
    assert set(np.unique(x_hat[0, 0]).tolist()) == seen


Y = np.full((1, 3, 8, 8), 0.5, np.float32)


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (lambda: bicubic(Y, 0), "bicubic: factor is 0; must be a whole number from 1"),
        (lambda: bicubic(Y, 2.0), "bicubic: factor is 2.0; must be a whole number"),
        (lambda: bicubic(Y * 255, 2), r"bicubic: the picture runs from 127.5 to 127.5; must lie in \[0,1\]"),
        (lambda: lanczos(Y, -1), "lanczos: factor is -1; must be a whole number from 1"),
        (lambda: wavelets(Y, -3), "wavelets: sigma_255 is -3; must be a finite number above 0"),
        (lambda: wavelets(Y * 3, 25), "wavelets: the picture runs from 1.5"),
        (lambda: linear(Y, np.ones((1, 1, 8, 8))), "linear: all 64 pixels of the mask are known"),
        (lambda: linear(Y, np.eye(8)), r"linear: the mask has shape \(8, 8\)"),
        (lambda: nlm(Y, 0), "nlm: sigma_255 is 0; must be a finite number above 0"),
        (lambda: nlm(Y * 3, 25), "nlm: the picture runs from 1.5"),
        (lambda: tv(Y, np.nan), "tv: sigma_255 is nan; must be a finite number above 0"),
        (lambda: tv(Y[0], 25), r"tv: the picture has shape \(3, 8, 8\)"),
        (lambda: biharmonic(Y * np.nan, Y), "biharmonic: 192 of the picture's 192 values are NaN"),
        (lambda: biharmonic(Y, np.ones((1, 1, 8, 8))), "biharmonic: all 64 pixels of the mask are known"),
        (lambda: biharmonic(Y, np.eye(8)), r"biharmonic: the mask has shape \(8, 8\)"),
        (
            lambda: biharmonic(Y, np.stack([np.eye(8), np.zeros((8, 8)), np.eye(8)])[None]),
            "biharmonic: the mask leaves no known pixel in one channel",
        ),
        (
            lambda: linear(Y, np.stack([np.eye(8), np.zeros((8, 8)), np.eye(8)])[None]),
            "linear: the mask leaves no known pixel in one channel",
        ),
        pytest.param(
            lambda: bm3d(Y, 25), "bm3d: the picture is 8x8; its sides must be at least 16 pixels", marks=WITH_BM3D
        ),
        pytest.param(lambda: bm3d(Y, np.inf), "bm3d: sigma_255 is inf; must be a finite", marks=WITH_BM3D),
    ],
)
def test_what_cannot_work_is_refused(act, text):
    with unchecked(), pytest.raises(ValueError, match=text):
        act()


def test_the_noise_of_the_noisier_parts_is_found_and_even_noise_hardly_overrated():
    rng = np.random.default_rng(0)
    even = np.clip(0.5 + 0.1 * rng.standard_normal((1, 3, 128, 160)), 0, 1)
    assert 25 < baselines.strong_noise(even) < 29
    half = even.copy()
    half[..., :80] = 0.5 + 0.2 * (half[..., :80] - 0.5)
    assert 25 < baselines.strong_noise(half) < 29
    assert baselines.strong_noise(np.full((1, 1, 20, 7), 0.3)) == pytest.approx(baselines.LEAST_SIGMA_255)
    assert baselines.strong_noise(even[..., :9, :50]) > 10
