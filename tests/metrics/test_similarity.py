import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dip_exp.metrics import PROTOCOLS, Protocol, decibels, psnr, scores, ssim
from tests.checked import unchecked

RGB = PROTOCOLS["rgb"]


def picture(shape=(1, 3, 37, 31), seed=0):
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def pair(shape=(1, 3, 37, 31)):
    x = picture(shape)
    return (x + 0.1 * (picture(shape, 1) - 0.5)).clip(0, 1).astype(np.float32), x


@given(c=st.floats(0.001, 0.5), channels=st.sampled_from([1, 3]))
def test_a_constant_error_c_is_minus_20_log10_c(c, channels):
    x = np.full((1, channels, 37, 31), 0.25, np.float64)
    assert psnr(x + c, x, RGB) == pytest.approx(-20 * math.log10(c), abs=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_psnr_is_scikit_images(channels):
    from skimage.metrics import peak_signal_noise_ratio

    x_hat, x = pair((1, channels, 37, 31))
    expected = peak_signal_noise_ratio(x.astype(np.float64), x_hat.astype(np.float64), data_range=1)
    assert psnr(x_hat, x, RGB) == pytest.approx(expected, abs=1e-9)


def test_equal_pictures_score_infinite_and_1():
    x = picture()
    for protocol in PROTOCOLS.values():
        assert psnr(x, x.copy(), protocol) == math.inf
        assert ssim(x, x.copy(), protocol) == pytest.approx(1)


def test_an_estimate_outside_the_range_is_clipped():
    x = np.ones((1, 1, 12, 12), np.float32)
    assert psnr(x + 0.7, x, RGB) == math.inf


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("channels", [1, 3])
def test_ssim_is_scikit_images_on_the_same_view(name, channels):
    from skimage.metrics import structural_similarity

    x_hat, x = pair((1, channels, 37, 31))
    u, v = (PROTOCOLS[name].view(picture.astype(np.float64))[0] for picture in (x_hat, x))
    planes = [
        structural_similarity(a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1)
        for a, b in zip(u, v, strict=True)
    ]
    score = ssim(x_hat, x, PROTOCOLS[name])
    assert score == pytest.approx(np.mean(planes), abs=1e-9)
    assert score != ssim(picture((1, channels, 37, 31), 2), x, PROTOCOLS[name])


def test_ssim_of_a_picture_smaller_than_the_window_is_none():
    x_hat, x = pair((1, 3, 11, 20))
    assert ssim(x_hat, x, RGB) is not None
    assert ssim(x_hat, x, Protocol(crop=[1, 0, 0, 0])) is None
    assert ssim(x_hat[..., :10], x[..., :10], RGB) is None


@pytest.mark.parametrize("quantise", ["none", "round", "floor"])
@pytest.mark.parametrize("channels", ["rgb", "y", "grey"])
@pytest.mark.parametrize("planes", [1, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_view_is_the_same_for_numpy_and_torch(quantise, channels, planes, dtype):
    x = (picture((1, planes, 37, 31)) * 1.4 - 0.2).astype(dtype)
    protocol = Protocol(channels=channels, crop=[1, 2, 3, 4], quantise=quantise)
    array, tensor = protocol.view(x), protocol.view(torch.from_numpy(x))
    assert isinstance(tensor, torch.Tensor)
    assert array.dtype == dtype
    assert array.shape == (1, planes if channels == "rgb" else 1, 33, 25)
    assert np.allclose(array, tensor.numpy(), atol=2 * np.finfo(dtype).eps)
    assert array.min() >= 0
    assert array.max() <= 1


def test_y_is_the_luma_of_ycbcr_and_grey_of_pillow():
    from skimage.color import rgb2gray, rgb2ycbcr

    x = picture().astype(np.float64)
    last = x[0].transpose(1, 2, 0)
    # scikit-image has the standard's coefficients to three digits after scaling; the authors' formula agrees to 1e-5.
    assert np.allclose(Protocol(channels="y").view(x)[0, 0] * 255, rgb2ycbcr(last)[..., 0], atol=3e-3)
    weights = np.array([0.299, 0.587, 0.114])
    assert np.allclose(Protocol(channels="grey").view(x)[0, 0], last @ weights)
    assert np.abs(Protocol(channels="grey").view(x)[0, 0] - rgb2gray(last)).max() > 1e-3  # that one has other weights


def test_a_grey_picture_scores_as_rgb_with_equal_channels():
    x_hat, x = pair((1, 1, 37, 31))
    for name in ("rgb", "grey", "sr", "sr_authors"):
        tripled = psnr(x_hat.repeat(3, axis=1), x.repeat(3, axis=1), PROTOCOLS[name])
        assert psnr(x_hat, x, PROTOCOLS[name]) == pytest.approx(tripled, abs=1e-4)


@given(level=st.integers(0, 255), dtype=st.sampled_from([np.float32, np.float64]))
def test_quantising_an_8_bit_picture_changes_nothing(level, dtype):
    x = np.full((1, 1, 2, 2), level, np.uint8).astype(dtype) / dtype(255)
    for quantise in ("round", "floor"):
        assert np.allclose(Protocol(quantise=quantise).view(x) * 255, level, atol=1e-4)


def test_floor_is_what_the_authors_png_holds():
    x = picture()
    expected = (x.astype(np.float64) * 255).astype(np.uint8)
    assert np.array_equal((Protocol(quantise="floor").view(x.astype(np.float64)) * 255).round(), expected)
    lost = Protocol(quantise="round").view(x).mean() - Protocol(quantise="floor").view(x).mean()
    assert lost == pytest.approx(0.5 / 255, rel=0.1)


def test_the_sr_protocol_is_the_authors_script():
    """Their lines, on 8-bit files: rows t0+4 to tlast-4 with an exclusive end, Y in floats, mean squared error."""
    x_hat, x = pair((1, 3, 64, 96))

    def luma(png):
        red, green, blue = png[0].astype(np.float64) / 255
        return ((0.299 * red + 0.587 * green + 0.114 * blue) * 219 + 16)[4 : 63 - 4, 4 : 95 - 4] / 255

    for name, to_8bit in (("sr_authors", np.floor), ("sr", np.round)):
        ours, truth = (luma(to_8bit(picture.astype(np.float64) * 255)) for picture in (x_hat, x))
        assert psnr(x_hat, x, PROTOCOLS[name]) == pytest.approx(-10 * np.log10(((ours - truth) ** 2).mean()), abs=1e-9)


def test_where_splits_the_error_into_its_parts():
    x_hat, x = pair()
    for planes in (1, 3):
        where = picture((1, planes, 37, 31), 5) < 0.3
        full = np.broadcast_to(where, x.shape)
        parts = [10 ** (-psnr(x_hat, x, RGB, where=part) / 10) for part in (where, ~where)]
        mean = parts[0] * full.mean() + parts[1] * (1 - full.mean())
        assert mean == pytest.approx(10 ** (-psnr(x_hat, x, RGB) / 10), rel=1e-9)


def test_where_is_cropped_with_the_picture():
    x_hat, x = pair()
    where = picture((1, 1, 37, 31), 5) < 0.3
    cut = (slice(None), slice(None), slice(2, -1), slice(3, -4))
    inner = psnr(x_hat[cut], x[cut], RGB, where=where[cut])
    assert psnr(x_hat, x, Protocol(crop=[2, 3, 1, 4]), where=where) == pytest.approx(inner, abs=1e-9)


def test_black_and_white_belong_to_a_picture():
    x = np.zeros((1, 3, 12, 12), np.float32)
    x[..., 6:] = 1
    assert psnr(x, x, RGB) == math.inf


def test_a_border_is_cropped_from_anything_that_ends_in_rows_and_columns():
    x = picture((1, 3, 9, 7))
    protocol = Protocol(crop=[1, 2, 3, 4])
    assert np.array_equal(protocol.cropped(x), x[..., 1:6, 2:3])
    assert np.array_equal(protocol.cropped(x[0, 0]), x[0, 0, 1:6, 2:3])
    for crop in ([0, 3, 0, 4], [0, 7, 0, 0], [4, 0, 5, 0]):
        with pytest.raises(ValueError, match="leaves nothing of a 7x9 picture"):
            Protocol(crop=crop).cropped(x)


def test_the_scores_of_a_record_are_finite_or_none():
    x_hat, x = pair()
    missing = picture((1, 1, 37, 31), 5) < 0.3
    whole = {"psnr": psnr(x_hat, x, RGB), "ssim": ssim(x_hat, x, RGB)}
    assert scores(x_hat, x, RGB) == whole
    alone = psnr(x_hat, x, RGB, where=np.broadcast_to(missing, x.shape))
    assert scores(x_hat, x, RGB, missing) == {**whole, "psnr_missing": alone}
    assert scores(x, x, RGB, missing) == {"psnr": None, "ssim": pytest.approx(1), "psnr_missing": None}


def test_decibels_of_a_mean_squared_error():
    assert decibels(0.01) == pytest.approx(20)
    assert decibels(0) == math.inf
    assert decibels(1) == 0
    for wrong in (-1.0, math.nan):
        with pytest.raises(ValueError, match=f"decibels: mse is {wrong}; must be a number from 0"):
            decibels(wrong)


@pytest.mark.parametrize("score", [psnr, ssim])
@pytest.mark.parametrize(
    ("x_hat", "x", "error", "text"),
    [
        (
            picture((1, 1, 37, 31)),
            picture(),
            ValueError,
            r"x_hat has shape \(1, 1, 37, 31\) but x has \(1, 3, 37, 31\)",
        ),
        (picture((1, 3, 1, 31)), picture(), ValueError, r"x_hat has shape \(1, 3, 1, 31\) but x has"),
        (picture((3, 37, 31)), picture(), ValueError, r"x_hat has shape \(3, 37, 31\); must be \(1,C,H,W\)"),
        (picture((2, 3, 37, 31)), picture((2, 3, 37, 31)), ValueError, r"x_hat has shape \(2, 3, 37, 31\); must be"),
        (picture() * np.nan, picture(), ValueError, "3441 of x_hat's 3441 values are NaN or infinite"),
        (picture(), picture() + np.float32(np.inf), ValueError, "3441 of x's 3441 values are NaN or infinite"),
        (picture(), picture() * 255, ValueError, r"the clean picture x runs from .* must lie in \[0,1\]; divide 8-bit"),
        (picture(), picture() - 1, ValueError, "the clean picture x runs from -"),
        (picture(), picture() - 0.5, ValueError, "the clean picture x runs from -"),
        (picture(), picture() * 1.5, ValueError, r"the clean picture x runs from .* must lie in \[0,1\]"),
        (
            (picture() * 255).astype(np.uint8),
            picture(),
            TypeError,
            "x_hat is an array of uint8; must be a numpy array",
        ),
        (torch.from_numpy(picture()), picture(), TypeError, "x_hat is Tensor; must be a numpy array"),
    ],
)
def test_scores_check_their_pictures(score, x_hat, x, error, text):
    with unchecked(), pytest.raises(error, match=f"{score.__name__}: {text}"):
        score(x_hat, x, RGB)


@pytest.mark.parametrize(
    ("where", "protocol", "error", "text"),
    [
        (
            np.ones((1, 1, 37, 31), bool),
            Protocol(channels="y"),
            ValueError,
            "where is given with channels='y'; needs",
        ),
        (np.ones((1, 1, 37, 31)), RGB, TypeError, "where is an array of float64; must be an array of booleans"),
        (torch.ones(1, 1, 37, 31).bool(), RGB, TypeError, "where is Tensor; must be an array of booleans"),
        (np.ones((1, 1, 1, 31), bool), RGB, ValueError, r"where has shape \(1, 1, 1, 31\) but x has \(1, 3, 37, 31\)"),
        (np.zeros((1, 1, 37, 31), bool), RGB, ValueError, "where selects no pixel of the protocol's view"),
    ],
)
def test_psnr_checks_where(where, protocol, error, text):
    with unchecked(), pytest.raises(error, match=f"psnr: {text}"):
        psnr(picture(), picture(seed=1), protocol, where=where)


@pytest.mark.parametrize("like", [np.asarray, torch.from_numpy])
def test_view_refuses_what_it_cannot_compare(like):
    with pytest.raises(ValueError, match=r"crop \[20, 0, 17, 0\] .* leaves nothing of a 31x37 picture"):
        Protocol(crop=[20, 0, 17, 0]).view(like(picture()))
    with pytest.raises(ValueError, match="channels is 'y' but the picture has 2 channels; must be 1 or 3"):
        Protocol(channels="y").view(like(picture((1, 2, 37, 31))))
    with unchecked(), pytest.raises(ValueError, match=r"the picture has shape \(37, 31\); must be \(1,C,H,W\)"):
        RGB.view(like(picture()[0, 0]))


@pytest.mark.parametrize(
    "wrong", [{"crop": [1, 2, 3]}, {"crop": [1, 2, 3, -1]}, {"channels": "ycbcr"}, {"quantize": "round"}]
)
def test_protocols_refuse_wrong_fields(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Protocol(**wrong)
