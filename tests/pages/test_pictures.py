"""Laws of embedded pictures: exact where asked and possible, never above the budget where a level fits."""

import base64
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dip_exp.pages.one_run import error_map, thinned
from dip_exp.pages.pictures import BUDGET, Wanted, drawn, embedded, spaced, thumbnail
from tests.pages.conftest import RNG, picture


def decoded(uri: str) -> np.ndarray:
    head, _, data = uri.partition(",")
    assert head == "data:image/webp;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))


@pytest.mark.parametrize("channels", [1, 3])
def test_an_exact_picture_has_every_pixel(channels: int):
    x = picture(17, 31, channels)
    found = embedded({"a": Wanted(drawn(x), exact=True)})["a"]
    levels = np.round(np.broadcast_to(x, (1, 3, 17, 31))[0].transpose(1, 2, 0) * 255).astype(np.uint8)
    assert (decoded(found.uri) == levels).all()
    assert found.exact
    assert (found.width, found.height) == (31, 17)


def test_other_pictures_are_smaller_and_say_so():
    x = picture(64, 64)
    found = embedded({"exact": Wanted(drawn(x), exact=True), "other": Wanted(drawn(x))})
    assert len(found["other"].uri) < len(found["exact"].uri) / 2
    assert not found["other"].exact


@pytest.mark.parametrize("budget", [400_000, 150_000, 60_000])
def test_the_budget_is_kept_whatever_the_pictures(budget: int):
    """Noise is the worst that can be embedded."""
    noise = {f"{number}": Wanted(drawn(picture(192, 192)), exact=number < 4) for number in range(8)}
    found = embedded(noise, budget)
    assert sum(len(one.uri) * 3 / 4 for one in found.values()) <= budget + 8 * 32
    assert all((one.width, one.height) == (192, 192) for one in found.values())


def test_a_large_picture_is_reduced_and_is_not_called_exact():
    found = embedded({"a": Wanted(Image.new("RGB", (3000, 1500), "red"), exact=True)})["a"]
    assert (found.width, found.height) == (3000, 1500)
    assert 500 < max(decoded(found.uri).shape) < 3000
    assert not found.exact


def test_a_512_page_of_noise_stays_below_five_megabytes():
    sides = {f"side {n}": Wanted(drawn(picture(512, 512)), exact=n < 4) for n in range(9)}
    iterates = {f"step {n}": Wanted(drawn(picture(512, 512))) for n in range(12)}
    assert sum(len(one.uri) for one in embedded(sides | iterates, effort=0).values()) < BUDGET * 4 / 3 + 1000 < 4.9e6


def test_a_thumbnail_fits():
    with Image.open(io.BytesIO(thumbnail(drawn(picture(50, 200)), 96))) as image:
        assert image.size == (96, 24)


@given(st.integers(0, 50_000), st.integers(2, 900))
def test_kept_places_are_few_in_order_and_hold_both_ends(count: int, most: int):
    places = list(spaced(count, most))
    assert len(places) <= most
    assert places == sorted(set(places))
    assert not count or (places[0], places[-1]) == (0, count - 1)


def test_a_curve_keeps_the_steps_that_are_marked():
    steps = list(range(1, 40_001))
    found = thinned({"step": steps, "loss": [float("nan"), *map(float, steps[1:])]}, wanted=[12_345, 39_999])
    assert {1, 12_345, 39_999, 40_000} <= set(found["step"])
    assert len(found["step"]) < 1000
    assert found["loss"][0] is None
    assert all(
        loss == pytest.approx(step, rel=1e-4) for step, loss in zip(found["step"][1:], found["loss"][1:], strict=True)
    )


def test_an_error_map_is_white_at_its_99th_percentile_and_black_without_error():
    truth = picture(64, 64)
    assert not np.asarray(error_map(truth, truth, "a").image).any()
    x = np.clip(truth + 0.1 * RNG.random(truth.shape).astype(np.float32), 0, None)
    side = error_map(x, truth, "a")
    levels = np.asarray(side.image)
    assert (levels == 255).mean() == pytest.approx(0.01, abs=0.005)
    error = np.abs(x - truth).mean(axis=1)[0]
    white = float(side.note.split()[1])
    assert levels[5, 7] == pytest.approx(min(error[5, 7] / white, 1) * 255, abs=3)
