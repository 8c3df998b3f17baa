import numpy as np
import pytest
from PIL import Image

from dip_exp import degrade
from dip_exp.baselines import TV_FLOOR_255, bicubic, biharmonic, nlm, tv
from dip_exp.masks import Bernoulli
from dip_exp.metrics import PROTOCOLS, psnr, ssim

RGB = PROTOCOLS["rgb"]


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
}


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("channels", [1, 3])
def test_any_size_stays_a_picture_and_the_observation_stays_untouched(name, channels):
    y = rng().random((1, channels, 37, 31), dtype=np.float32)
    kept = y.copy()
    assert is_picture(METHODS[name](y), y.shape)
    assert np.array_equal(y, kept)


@pytest.mark.parametrize("method", [nlm, tv])
def test_denoisers_treat_grey_as_equal_channels_and_rows_as_columns(method):
    y = rng().random((1, 1, 37, 31), dtype=np.float32)
    x_hat = method(y, 50)
    assert np.abs(x_hat - y).max() > 0.1
    assert np.allclose(method(y.repeat(3, axis=1), 50), x_hat, atol=1e-6)
    assert np.allclose(method(y.swapaxes(2, 3), 50), x_hat.swapaxes(2, 3), atol=1e-6)


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_bicubic_has_the_size_keeps_constants_and_at_1_the_picture(factor, channels):
    y = rng().random((1, channels, 9, 7), dtype=np.float32)
    assert is_picture(bicubic(y, factor), (1, channels, 9 * factor, 7 * factor))
    assert np.allclose(bicubic(np.full_like(y, 0.3), factor), 0.3, atol=1e-6)
    assert np.allclose(bicubic(y, 1), y, atol=1e-7)


def test_bicubic_reproduces_a_parabola_inside():
    """Cubic convolution with a = -0.5 is exact up to degree 2 (Keys 1981), and rounds nothing to 8 bits."""
    factor, size = 4, 12
    centres = (np.arange(size) + 0.5) / size
    fine = (np.arange(size * factor) + 0.5) / (size * factor)
    y = np.broadcast_to(centres**2, (1, 1, size, size)).astype(np.float32)
    inside = slice(2 * factor, -2 * factor)
    assert np.allclose(bicubic(y, factor)[0, 0, 5, inside], fine[inside] ** 2, atol=1e-6)


def test_bicubic_beats_nearest(x):
    y = degrade.lanczos_reduce(x, 4)
    nearest = y.repeat(4, axis=2).repeat(4, axis=3)
    assert psnr(bicubic(y, 4), x, RGB) > psnr(nearest, x, RGB) + 0.5


@pytest.mark.parametrize("sigma", [25, 50])
@pytest.mark.parametrize("method", [nlm, tv])
def test_denoisers_beat_the_noisy_picture_and_follow_sigma(method, sigma, x):
    y = degrade.gaussian(x, sigma, rng())
    assert psnr(method(y, sigma), x, RGB) > psnr(y, x, RGB) + 1
    moved = [((method(y, level) - y) ** 2).mean() for level in (sigma / 4, sigma)]
    assert moved[0] < moved[1]


def test_blind_tv_is_close_to_tv_that_is_told_the_noise(x):
    y = degrade.gaussian(x, 25, rng())
    assert psnr(tv(y, None), x, RGB) == pytest.approx(psnr(tv(y, 25), x, RGB), abs=0.5)


def test_blind_tv_helps_a_jpeg_where_the_estimate_alone_would_not(x):
    big = bicubic(x, 4)
    y = degrade.jpeg(big, 10)
    assert np.array_equal(tv(y, None), tv(y, TV_FLOOR_255))
    assert psnr(tv(y, None), big, RGB) > psnr(y, big, RGB) + 0.3


@pytest.mark.parametrize("per_channel", [False, True])
def test_biharmonic_fills_the_missing_and_keeps_the_known(per_channel, x):
    known = Bernoulli(per_channel=per_channel).draw((3, 64, 64), rng())
    y = x * known
    x_hat = biharmonic(y, known)
    full = np.broadcast_to(known == 1, x.shape)
    assert np.array_equal(x_hat[full], y[full])
    assert psnr(x_hat, x, RGB) > psnr(y, x, RGB) + 10
    filled, masked = ssim(x_hat, x, RGB), ssim(y, x, RGB)
    assert filled is not None
    assert masked is not None
    assert filled > masked
    assert np.array_equal(biharmonic(np.where(full, x, np.float32(0.77)), known), x_hat)


def test_biharmonic_fills_each_channel_as_if_it_were_alone(x):
    known = Bernoulli(per_channel=True).draw((3, 64, 64), rng())
    known[:, 1] = 1
    together = biharmonic(x, known)
    for channel in (0, 2):
        plane = slice(channel, channel + 1)
        assert np.array_equal(together[:, plane], biharmonic(x[:, plane], known[:, plane]))
    assert np.array_equal(together[:, 1], x[:, 1])


def test_biharmonic_of_a_ramp_is_the_ramp():
    """A linear function solves the biharmonic equation."""
    rows, columns = np.mgrid[:37, :31] / 80
    x = (rows + columns)[None, None].astype(np.float32)
    known = np.ones_like(x)
    known[:, :, 10:20, 12:18] = 0
    assert np.allclose(biharmonic(x * known, known), x, atol=1e-5)


Y = np.full((1, 3, 8, 8), 0.5, np.float32)


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (lambda: bicubic(Y, 0), "bicubic: factor is 0; allowed are whole numbers from 1"),
        (lambda: bicubic(Y, 2.0), "bicubic: factor is 2.0; allowed are whole numbers"),
        (lambda: bicubic(Y * 255, 2), r"bicubic: the picture runs from 127.5 to 127.5; allowed is \[0,1\]"),
        (lambda: nlm(Y, 0), "nlm: sigma_255 is 0; allowed are finite numbers above 0"),
        (lambda: nlm(Y * 3, 25), "nlm: the picture runs from 1.5"),
        (lambda: tv(Y, np.nan), "tv: sigma_255 is nan; allowed are finite numbers above 0"),
        (lambda: tv(Y[0], 25), r"tv: the picture has shape \(3, 8, 8\)"),
        (lambda: biharmonic(Y * np.nan, Y), "biharmonic: 192 of the picture's 192 values are NaN"),
        (lambda: biharmonic(Y, np.ones((1, 1, 8, 8))), "biharmonic: all 64 pixels of the mask are known"),
        (lambda: biharmonic(Y, np.eye(8)), r"biharmonic: the mask has shape \(8, 8\)"),
        (
            lambda: biharmonic(Y, np.stack([np.eye(8), np.zeros((8, 8)), np.eye(8)])[None]),
            "biharmonic: the mask leaves no known pixel in one channel",
        ),
    ],
)
def test_what_cannot_work_is_refused(act, text):
    with pytest.raises(ValueError, match=text):
        act()
