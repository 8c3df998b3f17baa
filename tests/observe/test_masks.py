import dataclasses
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image, ImageFont

from dip_exp.images.frame import Frame
from dip_exp.observe import masks
from dip_exp.observe.masks import Bernoulli, Boxes, File, Mask, Text, check_mask
from tests.conftest import ROOT

CONF = ROOT / "conf" / "task" / "mask"
SIZES = [(3, 37, 31), (1, 31, 37), (3, 128, 96)]


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("mask", [Bernoulli(), Bernoulli(per_channel=True), Text(), Text(size=8), Boxes()])
def test_every_mask_fits_its_picture_is_binary_and_follows_its_generator(mask, shape):
    known = mask.draw(shape, rng(1))
    assert known.dtype == np.float32
    assert known.ndim == 4
    assert np.broadcast_shapes(known.shape, (1, *shape)) == (1, *shape)
    assert set(np.unique(known)) == {0.0, 1.0}
    assert np.array_equal(known, mask.draw(shape, rng(1)))
    changed = not np.array_equal(known, mask.draw(shape, rng(2)))
    assert changed == isinstance(mask, Bernoulli)


@pytest.mark.parametrize("missing", [0.02, 0.5, 0.98])
def test_bernoulli_misses_the_named_share(missing):
    known = Bernoulli(missing=missing).draw((3, 199, 211), rng())
    assert (known == 0).mean() == pytest.approx(missing, abs=4 * np.sqrt(missing * (1 - missing) / known.size))


def test_bernoulli_draws_channels_apart_only_when_asked():
    shape = (3, 199, 211)
    assert Bernoulli().draw(shape, rng()).shape == (1, 1, 199, 211)
    apart = Bernoulli(per_channel=True).draw(shape, rng())
    assert apart.shape == (1, 3, 199, 211)
    assert (apart[0, 0] == apart[0, 1]).mean() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(199 * 211))


@pytest.mark.parametrize("shape", [(3, 512, 512), (3, 256, 384), (1, 100, 400), (3, 704, 448)])
def test_text_misses_a_few_per_cent_at_any_size_and_reaches_both_borders(shape):
    known = Text().draw(shape, rng())
    assert 0.03 < (known == 0).mean() < 0.07
    columns = np.flatnonzero((known[0, 0] == 0).any(axis=0))
    assert columns[0] < 20
    assert columns[-1] > shape[2] - 21


def test_text_lines_are_spacing_times_size_apart():
    known = Text(size=20, spacing=4.0, text="l").draw((3, 480, 100), rng())[0, 0]
    inked = (known == 0).any(axis=1).astype(int)
    starts = np.flatnonzero(np.diff(inked) == 1)
    assert len(starts) == 6
    assert (np.abs(np.diff(starts) - 80) <= 1).all()


def test_a_box_is_its_rectangle_at_every_size():
    box = Boxes(boxes=[[0.25, 0.5, 0.5, 0.25]])
    for height, width in [(4, 8), (40, 80)]:
        expected = np.ones((height, width))
        expected[height // 2 : 3 * height // 4, width // 4 : 3 * width // 4] = 0
        assert np.array_equal(box.draw((3, height, width), rng())[0, 0], expected)


def test_boxes_join_reach_the_border_and_never_vanish():
    both = Boxes(boxes=[[0, 0, 0.1, 1], [0.7, 0, 0.3, 1]]).draw((1, 31, 37), rng())[0, 0]
    assert (both[:, [0, 36]] == 0).all()
    assert (both[:, 18] == 1).all()
    for corner in ([0, 0], [1, 1], [0.5, 0.999]):
        left, top = (min(value, 0.9999) for value in corner)
        assert (Boxes(boxes=[[left, top, 0.0001, 0.0001]]).draw((1, 31, 37), rng()) == 0).sum() == 1


def both_ways(start: float, length: float) -> list[list[float]]:
    """A box at the top that goes so far across, and one at the left that goes so far down."""
    return [[start, 0, length, 0.5], [0, start, 0.5, length]]


def test_a_box_that_rounding_puts_just_beyond_the_border_reaches_it():
    for start, length in ((0.7 + 0.2, 0.1), (0.9, 0.1 + 5e-10), (0.0, 1.0), (1e-9, 1.0)):
        across, down = (Boxes(boxes=[box]).draw((1, 40, 40), rng())[0, 0] for box in both_ways(start, length))
        assert across[0, -1] == down[-1, 0] == 0
    for box in both_ways(1.1e-9, 1.0):
        with pytest.raises(ValueError, match="leaves the picture"):
            Boxes(boxes=[box])


def test_a_draw_at_the_missing_share_is_known():
    class Drawn(np.random.Generator):
        def random(self, *_, **__):
            return np.array([0.0, 0.2999, 0.3, 0.9]).reshape(1, 1, 2, 2)

    known = Bernoulli(missing=0.3).draw((1, 2, 2), Drawn(np.random.PCG64()))
    assert known.ravel().tolist() == [0, 0, 1, 1]


def test_masks_made_for_experiments_say_so_and_real_damage_is_not_made_up():
    assert [mask.made_up for mask in (Mask, Bernoulli, Text, Boxes, File)] == [True, True, True, False, False]


def test_every_line_of_text_starts_elsewhere_and_is_repeated_to_the_border():
    """A third of the text's length further left than the line above; the fourth line is the first again."""
    text = "ii          "
    known = Text(text=text, size=20, spacing=4.0).draw((3, 320, 400), rng())[0, 0]
    font = ImageFont.load_default(20)
    letters, length = font.getlength("ii"), font.getlength(text)
    assert letters + 4 < length / 3
    for n in range(4):
        ink = known[80 * n : 80 * (n + 1)] == 0
        columns = np.flatnonzero(ink.any(axis=0))
        assert ((columns + n * length / 3 + 2) % length < letters + 4).all()  # where the letters are, to two pixels
        assert columns[-1] > 400 - length
        assert columns[0] < length
        assert abs(np.flatnonzero(ink.any(axis=1)).mean() - 40) < 12  # in the middle of its share of the height


def test_a_low_picture_has_one_line_of_text():
    known = Text(size=20, spacing=4.0, text="l").draw((3, 30, 100), rng())[0, 0]
    rows = np.flatnonzero((known == 0).any(axis=1))
    assert abs(rows.mean() - 15) < 6
    assert np.array_equal(rows, np.arange(rows[0], rows[-1] + 1))


def test_a_file_mask_is_the_files_white(tmp_path):
    values = np.where(rng().random((37, 31)) < 0.3, 0, 255).astype(np.uint8)
    path = tmp_path / "mask.png"
    Image.fromarray(values).save(path)
    known = File(path=str(path)).draw((3, 37, 31), rng())
    assert np.array_equal(known[0, 0], values / 255)
    assert np.array_equal(File(path=str(path), flip=True).draw((3, 37, 31), rng()), 1 - known)


def test_a_file_mask_of_another_size_is_refused(monkeypatch):
    reader = types.ModuleType("dip_exp.images")
    monkeypatch.setattr(reader, "read_mask", lambda *_: np.eye(37, 31, dtype=np.float32)[None, None], raising=False)
    monkeypatch.setitem(sys.modules, "dip_exp.images", reader)
    with pytest.raises(
        ValueError, match=r"mask file m.png: the mask is 31x37 but the picture is 37x31 \(width x height\)"
    ):
        File(path="m.png").draw((3, 31, 37), rng())


@pytest.mark.parametrize(
    ("mask", "text"),
    [
        (np.ones((1, 1, 4, 5)), "all 20 pixels of the mask are known, there is nothing to restore"),
        (np.zeros((1, 1, 4, 5)), "all 20 pixels of the mask are missing, nothing is left to fit"),
        (np.ones((1, 1, 4, 5)), "white is known, black is missing; task.mask.flip=true flips"),
        (np.full((1, 1, 4, 5), 0.5), r"20 of the mask's 20 values are neither 0 nor 1 \(they run from 0.5 to 0.5\)"),
        (np.full((1, 1, 4, 5), np.nan), "20 of the mask's 20 values are neither 0 nor 1"),
        (
            np.eye(4, 5)[None, None] + 0.5 * np.eye(4, 5, 1),
            r"4 of the mask's 20 values are .* \(they run from 0 to 1\)",
        ),
        (np.full((1, 1, 4, 5), 2.0), "20 of the mask's 20 values are neither 0 nor 1"),
        (np.eye(4, 5), r"shape \(4, 5\) but the picture is 3x4x5 .* must be \(1, 1 or 3, 4, 5\)"),
        (np.ones((1, 2, 4, 5)), r"shape \(1, 2, 4, 5\) but the picture is 3x4x5"),
        (np.ones((1, 1, 5, 4)), r"shape \(1, 1, 5, 4\) but the picture is 3x4x5"),
        (np.ones((1, 1, 1, 1)), r"shape \(1, 1, 1, 1\) but the picture is 3x4x5"),
    ],
)
def test_check_mask_refuses(mask, text):
    with pytest.raises(ValueError, match=f"inpaint: .*{text}"):
        check_mask(mask, (3, 4, 5), "inpaint")


def test_check_mask_names_one_kind_for_grey_and_returns_what_fits():
    fits = np.eye(4, 5, dtype=np.float32)[None, None]
    assert check_mask(fits, (1, 4, 5), "inpaint") is fits
    with pytest.raises(ValueError, match=r"must be \(1, 1, 4, 5\)"):
        check_mask(np.ones((1, 3, 4, 5)), (1, 4, 5), "inpaint")


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Bernoulli(missing=0.0), "greater than 0"),
        (lambda: Bernoulli(missing=1.0), "less than 1"),
        (lambda: Text(text=""), "at least 1 character"),
        (lambda: Text(text="two\nlines"), "has more than one line; must be one; set task.mask.text"),
        (lambda: Text(size=0), "greater than or equal to 1"),
        (lambda: Boxes(boxes=[]), "at least 1 item"),
        (lambda: Boxes(boxes=[[0.1, 0.1, 0.5]]), "at least 4 items"),
        (lambda: Boxes(boxes=[[10, 10, 50, 50]]), "less than or equal to 1"),
        (lambda: Boxes(boxes=[[0.5, 0.5, 0.6, 0.1]]), "leaves the picture; .* at most 1 .* set task.mask.boxes"),
        (lambda: Boxes(boxes=[[0.5, 0.5, 0.1, 0.6]]), "leaves the picture; .* at most 1 .* set task.mask.boxes"),
        (lambda: Boxes(boxes=[[0.5, 0.5, 0.1, 0]]), "is empty; width and height are above 0; set task.mask.boxes"),
        (lambda: Boxes(boxes=[[0.1, 0.1, 0.5, 0.5, 0.5]]), "at most 4 items"),
        (lambda: Boxes(boxes=[[0.5, 0.5, 0, 0.1]]), "is empty; width and height are above 0; set task.mask.boxes"),
        (lambda: File(path=""), "a file's name is needed"),
    ],
)
def test_impossible_masks_are_refused_when_made(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_text_without_ink_is_refused():
    with pytest.raises(ValueError, match=r"mask text: all .* are known"):
        Text(text=" ").draw((3, 37, 31), rng())


@pytest.mark.parametrize("name", ["bernoulli", "text", "boxes", "file"])
def test_each_yaml_holds_every_key_at_its_default(name):
    keys = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    module, _, cls = keys.pop("_target_").rpartition(".")
    assert module == masks.__name__
    if name == "file":
        assert keys.pop("path") == "???"
        keys["path"] = "mask.png"
        default: Mask = File(path="mask.png")
    else:
        default = getattr(masks, cls)()
    assert set(keys) == {field.name for field in dataclasses.fields(default)}  # type: ignore[arg-type]
    assert getattr(masks, cls)(**keys) == default


@pytest.mark.parametrize("mask", [Bernoulli(), Text(), Boxes()])
def test_a_mask_that_is_no_file_has_nothing_to_say_of_how_it_was_read(mask: Mask):
    assert mask.notes() == ()


def test_a_file_of_the_sources_size_or_of_the_pictures_is_taken_at_any_proportions(tmp_path: Path):
    """The picture is a part of its source; its mask is a file of the source's size, or already of the part's."""
    known = np.full((30, 40), 255, np.uint8)
    known[5:9, 12:20] = 0
    left, top, width, height = box = [10, 4, 25, 12]
    part = known[top : top + height, left : left + width]
    for name, drawn in (("source.png", known), ("part.png", part)):
        Image.fromarray(drawn).save(tmp_path / name)
        mask = File(path=str(tmp_path / name)).along(Frame((40, 30), box))
        assert np.array_equal(mask.draw((3, height, width), rng())[0, 0], part / 255)
