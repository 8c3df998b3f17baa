"""Laws of the picture room's door: writing, names, masks, crops and pads, and the sources of `image=`."""

import os
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from omegaconf import OmegaConf
from PIL import Image
from pydantic import ValidationError

from dip_exp import images
from dip_exp.images import sets, source
from tests.checked import unchecked
from tests.conftest import ROOT

CONF = ROOT / "conf" / "image"
RNG = np.random.default_rng(11)
SIZES = [(1, 1), (1, 9), (9, 2), (31, 37), (37, 31), (64, 96)]  # (H, W)


def picture_file(path: Path, *shape: int) -> Path:
    Image.fromarray(RNG.integers(0, 256, shape or (37, 31, 3)).astype(np.uint8)).save(path)
    return path


def random_x(channels: int, height: int, width: int) -> np.ndarray:
    return RNG.random((1, channels, height, width), dtype=np.float32)


def test_written_levels_are_rounded_and_clipped(tmp_path: Path) -> None:
    x = np.array([-0.2, 0.4 / 255, 0.6 / 255, 254.4 / 255, 254.6 / 255, 1.3], np.float32).reshape(1, 1, 2, 3)
    images.write(tmp_path / "a.png", x)
    with Image.open(tmp_path / "a.png") as image:
        np.testing.assert_array_equal(np.asarray(image), [[0, 0, 1], [254, 255, 255]])
    deep = images.Picture(np.clip(x, 0, 1), None, None, "uint16", "a", "")
    (path,) = images.write_restored(tmp_path, x, deep)
    np.testing.assert_array_equal(images.read(path).x * 65535, [[[[0, 103, 154], [65381, 65432, 65535]]]])


def test_alpha_follows_the_size_of_the_output(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 1, 31, dtype=np.float32), (37, 1))
    source = images.Picture(np.zeros((1, 3, 37, 31), np.float32), ramp, None, "uint8", "a", "")
    images.write(tmp_path / "a.png", np.zeros((1, 3, 148, 124), np.float32), like=source)
    alpha = images.read(tmp_path / "a.png").alpha
    assert alpha is not None
    centres = (np.arange(124) + 0.5) / 4 - 0.5  # the new pixels' places among the old
    np.testing.assert_allclose(alpha[:, 8:-8], np.tile(centres / 30, (148, 1))[:, 8:-8], atol=0.01)
    images.write(tmp_path / "b.png", source.x, alpha=ramp)
    np.testing.assert_allclose(images.read(tmp_path / "b.png").alpha, ramp, atol=0.5 / 255 + 1e-6)
    with unchecked(), pytest.raises(ValueError, match=r"alpha is \(37, 31\), the picture \(5, 4\)"):
        images.write(tmp_path / "c.png", np.zeros((1, 1, 5, 4), np.float32), alpha=ramp)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.full((1, 3, 5, 4), 0.5, np.float32)
    path = images.write(tmp_path / "a.png", x)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="1 of 60 values are NaN or infinite; nothing is written"):
        images.write(path, np.where(np.arange(60).reshape(x.shape) == 7, np.float32("nan"), x))

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        images.write(path, x * 0)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


NAMES = [
    "a b.png",
    "a,b=c.png",
    "'\".png",
    "é—✓.png",
    "two\nlines.png",
    "~draft.png",
    "-x",
    "$HOME",
    "x" * 251 + ".png",
]


@pytest.mark.parametrize("name", [*NAMES, os.fsdecode(b"\xff\xfe.png")])
def test_any_file_name_works(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = RNG.integers(0, 256, (5, 4, 3)).astype(np.uint8)
    Image.fromarray(stored).save(tmp_path / "plain.png")
    (tmp_path / "plain.png").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    picture = images.read(name)
    np.testing.assert_array_equal(picture.x, (stored.transpose(2, 0, 1)[None] / 255).astype(np.float32))
    picture.name.encode()
    assert picture.sha256 == images.file_sha256(name)
    if name in NAMES:
        assert images.File(path=name).content() == picture.sha256
        assert images.File(path=name).read().sha256 == picture.sha256
    if name.endswith(".png"):
        images.write(name, picture.x)
        np.testing.assert_array_equal(images.read(name).x, picture.x)


def test_a_mask_is_white_where_the_picture_is_known(tmp_path: Path) -> None:
    grey = np.array([[0, 127, 128, 255]], np.uint8)
    Image.fromarray(grey).save(tmp_path / "m.png")
    known = images.read_mask(tmp_path / "m.png")
    assert known.dtype == np.float32
    np.testing.assert_array_equal(known, [[[[0, 0, 1, 1]]]])
    np.testing.assert_array_equal(images.read_mask(tmp_path / "m.png", flip=True), 1 - known)
    tifffile.imwrite(tmp_path / "m.tif", np.array([[0, 0.499, 0.5, 1]], np.float32))
    np.testing.assert_array_equal(images.read_mask(tmp_path / "m.tif"), known)
    # Red is dark (0.299); the transparent yellow is not drawn.
    colours = np.array([[[255, 0, 0, 255], [255, 255, 0, 0]]], np.uint8)
    Image.fromarray(colours).save(tmp_path / "c.png")
    np.testing.assert_array_equal(images.read_mask(tmp_path / "c.png"), [[[[0, 1]]]])
    for level in (0, 255):  # what is drawn in black is missing, what is drawn in white is known
        drawn = np.dstack([np.full((1, 4, 3), level, np.uint8), grey])
        Image.fromarray(drawn).save(tmp_path / "a.png")
        np.testing.assert_array_equal(images.read_mask(tmp_path / "a.png"), known if level else 1 - known)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("multiple", [1, 2, 7, 18, 32])
def test_crop_keeps_the_centre(size: tuple[int, int], multiple: int) -> None:
    height, width = size
    x = random_x(3, height, width)
    if min(size) < multiple:
        with pytest.raises(ValueError, match=f"{width}x{height}; nothing would be left; .* up to {min(size)} "):
            images.centre_crop(x, multiple)
        return
    cropped = images.centre_crop(x, multiple)
    rows, columns = cropped.shape[2:]
    assert rows % multiple == columns % multiple == 0
    assert height - rows < multiple
    assert width - columns < multiple
    top, left = int((height - rows) / 2), int((width - columns) / 2)
    np.testing.assert_array_equal(cropped, x[..., top : int((height + rows) / 2), left : int((width + columns) / 2)])


def test_geometry_refuses_what_has_no_meaning() -> None:
    x = random_x(1, 5, 4)
    with pytest.raises(ValueError, match="multiple is 0; choose 1 or more"):
        images.centre_crop(x, 0)
    with pytest.raises(ValueError, match=r"longest side is 0; choose 1 or more \(shrink_to\)"):
        images.shrink(x, 0)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("longest", [1, 5, 16, 36, 37, 200])
def test_shrink_averages_areas(size: tuple[int, int], longest: int) -> None:
    x = random_x(3, *size)
    small = images.shrink(x, longest)
    assert small.dtype == np.float32
    if longest >= max(size):
        np.testing.assert_array_equal(small, x)
        return
    assert max(small.shape[2:]) == longest
    np.testing.assert_allclose(small.mean((2, 3)), x.mean((2, 3)), atol=1e-5)
    np.testing.assert_allclose(images.shrink(np.full_like(x, 0.7), longest), np.float32(0.7), atol=1e-6)
    # The same by brute force: every pixel split so finely that areas are whole, then plain means.
    fine = x.repeat(small.shape[2], 2).repeat(small.shape[3], 3) if max(size) < 40 and longest < 20 else None
    if fine is not None:
        blocks = fine.reshape(1, 3, small.shape[2], size[0], small.shape[3], size[1])
        np.testing.assert_allclose(small, blocks.mean((3, 5), dtype=np.float64), atol=1e-6)


def test_grey_is_luma() -> None:
    x = random_x(3, 31, 37)
    expected = x[:, :1] * 0.299 + x[:, 1:2] * 0.587 + x[:, 2:] * 0.114
    np.testing.assert_allclose(images.to_grey(x), expected, atol=1e-6)
    grey = random_x(1, 31, 37)
    np.testing.assert_array_equal(images.to_grey(grey), grey)
    np.testing.assert_array_equal(images.to_grey(grey.repeat(3, 1)), grey)


@pytest.mark.parametrize(("name", "shape"), [("astronaut", (3, 512, 512)), ("camera", (1, 512, 512))])
def test_a_packaged_picture_is_the_one_a_file_of_it_gives(tmp_path: Path, name: str, shape: tuple[int, ...]) -> None:
    picture = images.packaged(name)
    assert picture.x.shape[1:] == shape
    images.write(tmp_path / "a.png", picture.x)
    np.testing.assert_array_equal(images.read(tmp_path / "a.png").x, picture.x)
    assert picture.sha256 == images.Packaged(name=name).content()  # type: ignore[arg-type]


def test_packaged_pictures_are_five_and_differ() -> None:
    names = ["astronaut", "chelsea", "coffee", "camera", "rocket"]
    assert len({images.packaged(name).sha256 for name in names}) == 5
    with pytest.raises(ValueError, match="no packaged picture is called 'lena'; choose one of astronaut, chelsea,"):
        images.packaged("lena")
    with pytest.raises(ValidationError, match="'astronaut', 'chelsea', 'coffee', 'camera' or 'rocket'"):
        images.Packaged(name="lena")  # type: ignore[arg-type]


def test_content_follows_the_bytes_and_not_the_name(tmp_path: Path) -> None:
    path = picture_file(tmp_path / "a.png")
    other = tmp_path / "b.png"
    other.write_bytes(path.read_bytes())
    assert images.File(path=str(path)).content() == images.File(path=str(other)).content()
    pixels = np.array(Image.open(path))
    pixels[3, 5, 1] ^= 1
    Image.fromarray(pixels).save(other)
    assert images.File(path=str(path)).content() != images.File(path=str(other)).content()


def test_a_source_cuts_greys_shrinks_and_crops_in_that_order(tmp_path: Path) -> None:
    path = picture_file(tmp_path / "a.png", 37, 31, 4)
    whole = images.read(path)
    source = images.File(path=str(path), box=[3, 2, 20, 30], grey=True, shrink_to=17, crop_multiple=4)
    picture = source.read()
    assert whole.alpha is not None
    seen = images.uncovered(whole.x, whole.alpha)
    x = images.shrink(images.to_grey(seen[..., 2:32, 3:23]), 17)
    np.testing.assert_array_equal(picture.x, images.centre_crop(x, 4))
    assert picture.x.shape == (1, 1, 16, 8)
    np.testing.assert_array_equal(picture.alpha, images.centre_crop(images.shrink(whole.alpha[2:32, 3:23], 17), 4))
    assert (picture.sha256, picture.depth) == (whole.sha256, "uint8")
    for box in ([0, 0, 32, 5], [0, 0, 5, 38], [-1, 0, 5, 5], [0, 0, 0, 5]):
        with pytest.raises(ValueError, match=r"image: box \[.*\] .* does not lie in the 31x37 picture; choose left"):
            images.File(path=str(path), box=box).read()


def test_a_home_path_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    picture_file(tmp_path / "a.png")
    assert images.File(path="~/a.png").read().size == (31, 37)


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "camera", "file"])
def test_a_yaml_mirrors_its_class(name: str) -> None:
    config = OmegaConf.to_container(OmegaConf.load(CONF / f"{name}.yaml"), resolve=False)
    assert isinstance(config, dict)
    assert next(iter(config)) == "_target_"
    room, _, kind = str(config.pop("_target_")).rpartition(".")
    assert room == source.__name__
    assert set(config) == {field.name for field in fields(getattr(images, kind))}
    shrink_to = config.pop("shrink_to")
    assert shrink_to == (None if name == "file" else "${scaled:null,128}")
    made = getattr(images, kind)(**{str(key): value for key, value in config.items()})
    assert made.role == ("observed" if name == "file" else "clean")


def test_the_room_needs_no_torch() -> None:
    code = "import sys, dip_exp.images; sys.exit('torch' in sys.modules or 'skimage' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_square_is_central_and_of_the_side_asked_for():
    x = np.zeros((1, 3, 40, 60), np.float32)
    x[..., 10:50] = 0.7
    same = images.square(x, 40)
    assert np.array_equal(same, x[..., 10:50])
    for side in (16, 40, 90):
        square = images.square(x, side)
        assert square.shape == (1, 3, side, side)
        assert square == pytest.approx(0.7, abs=1e-5)


def test_a_blank_picture_is_its_size():
    blank = images.Blank(size=[7, 5])
    assert blank.read().size == (7, 5)
    assert not blank.read().x.any()
    assert blank.content() == images.Blank(size=[7, 5]).content() != images.Blank(size=[5, 7]).content()


@pytest.mark.parametrize(
    ("option", "free"),
    [
        ("astronaut", True),
        ("blank", True),
        ("file", False),
        ("?", False),
        ("set5/baby", False),
        ("nowhere/at_all", False),
    ],
)
def test_pictures_may_be_committed_by_their_licence_alone(option, free, monkeypatch):
    assert images.may_be_committed(option) is free
    given = [replace(entry, licence="free") for entry in sets.manifest()]
    monkeypatch.setattr("dip_exp.images.source.manifest", lambda: given)
    assert images.may_be_committed(option) is (free or option == "set5/baby")
