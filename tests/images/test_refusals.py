"""What is no whole single picture is refused before anything else, in words that say what to do."""

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dip_exp import images
from tests.bad_inputs import png_of

RNG = np.random.default_rng(13)


def picture_file(path: Path) -> Path:
    Image.fromarray(RNG.integers(0, 256, (37, 31, 3)).astype(np.uint8)).save(path)
    return path


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", r"the file is empty \(0 bytes\)"),
        (b"GIF89a, or so it says", "not a readable PNG, JPEG, TIFF or WebP picture; save it as one"),
        (b"II*\0" + bytes(40), "broken|holds 0 pages"),
        (png_of(1, 1)[:40], "broken or cut off|not a readable"),
        (png_of(0, 5), "0x5|not a readable"),
        (png_of(9000, 9000), "9000x9000, more than the 67108864 pixels that are accepted; crop or shrink"),
        (png_of(10000, 10000), "more than the 67108864 pixels that are accepted"),
        (png_of(60000, 60000), "more than the 67108864 pixels that are accepted"),
    ],
)
def test_files_that_are_no_picture_are_refused(tmp_path: Path, data: bytes, text: str) -> None:
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(ValueError, match=rf"^image '.*a\.png': .*({text})"):
        images.read(tmp_path / "a.png")


@settings(max_examples=60, deadline=None)
@given(kept=st.floats(0, 1, exclude_max=True), kind=st.sampled_from(["png", "jpg", "tif", "webp", "float.tif"]))
def test_a_cut_off_file_is_refused_or_whole(kept: float, kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / f"whole.{kind}"
    if not path.exists():
        if kind == "float.tif":
            tifffile.imwrite(path, RNG.random((37, 31), dtype=np.float32))
        else:
            picture_file(path)
    whole, data = images.read(path), path.read_bytes()
    cut = path.with_name("cut")
    cut.write_bytes(data[: int(len(data) * kept)])
    try:
        picture = images.read(cut)
    except ValueError:
        return
    np.testing.assert_array_equal(picture.x, whole.x)


def test_a_png_whose_bits_have_rotted_is_refused(tmp_path: Path) -> None:
    # Stored, not compressed: the change is another pixel, which only a checksum tells from the one that was meant.
    Image.fromarray(RNG.integers(0, 256, (37, 31)).astype(np.uint8)).save(tmp_path / "a.png", compress_level=0)
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[data.index(b"IDAT") + 500] ^= 1
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(ValueError, match=r"the picture is broken or cut off \(.*\); save or copy it again"):
        images.read(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", ["tif", "png", "webp"])
def test_several_pages_are_refused(tmp_path: Path, suffix: str) -> None:
    pages = [Image.fromarray(RNG.integers(0, 256, (9, 7, 3)).astype(np.uint8)) for _ in range(3)]
    pages[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=pages[1:])
    with pytest.raises(ValueError, match="it holds 3 pages or frames, one is needed"):
        images.read(tmp_path / f"a.{suffix}")


@pytest.mark.parametrize(
    ("values", "options", "text"),
    [
        (np.array([[0.5, 255.0]]), {}, r"values lie in \[0.5, 255\].*divide by the value of white"),
        (np.array([[-0.25, 0.5]], np.float32), {}, r"values lie in \[-0.25, 0.5\]"),
        (np.array([[np.nan, np.inf, 0.5]]), {}, "2 of 3 values are NaN or infinite"),
        (np.zeros((3, 4), np.int32), {}, r"values lie in \[0, 0\] and are int32; .* save it with 8 or 16 bits"),
        (np.zeros((3, 4, 4), np.uint16), {"photometric": "separated"}, "not understood; save it as one grey or RGB"),
    ],
)
def test_tiffs_of_other_meaning_are_refused(tmp_path: Path, values: np.ndarray, options: dict, text: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", values, **options)
    with pytest.raises(ValueError, match=rf"^image '.*a\.tif': .*{text}"):
        images.read(tmp_path / "a.tif")


def test_a_compression_we_cannot_read_is_named(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((9, 7), np.float32), compression="zlib")
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as tiff:
        tiff.pages.first.tags["Compression"].overwrite(34712)
    with pytest.raises(
        ValueError, match=r"float32 TIFF compressed with JPEG2000 needs imagecodecs \(pip install .*tiff"
    ):
        images.read(tmp_path / "a.tif")


def test_what_is_no_file_is_refused_with_its_neighbours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture_file(tmp_path / "kitten.PNG")
    with pytest.raises(FileNotFoundError, match=r"there is no such file; nearest names in its folder: 'kitten\.PNG'"):
        images.read(tmp_path / "kiten.png")
    with pytest.raises(FileNotFoundError, match=r"no name in .* is like it"):
        images.read(tmp_path / "zzzzzzzzz")
    with pytest.raises(FileNotFoundError, match=r"nor is there a folder '.*gone'; correct the path"):
        images.read(tmp_path / "gone" / "a.png")
    with pytest.raises(FileNotFoundError, match="nor is there a folder"):
        images.file_sha256(tmp_path / "kitten.PNG" / "a.png")
    with pytest.raises(IsADirectoryError, match="this is a folder; name one picture file in it"):
        images.read(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="not a regular file"):
        images.read(tmp_path / "pipe")

    def locked(self: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", locked)
    with pytest.raises(PermissionError, match=r"kitten\.PNG': no permission to read it; change"):
        images.read(tmp_path / "kitten.PNG")


@pytest.mark.parametrize(
    ("x", "error", "text"),
    [
        (np.zeros((1, 3, 5, 4)), TypeError, "values are float64; a picture is a float32 array"),
        ([[1]], TypeError, "values are list"),
        (np.zeros((3, 5, 4), np.float32), ValueError, r"shape is \(3, 5, 4\); a picture is \(1,C,H,W\)"),
        (np.full((1, 1, 5, 4), 2, np.float32), ValueError, r"values lie in \[2, 2\], a float picture lies in \[0, 1\]"),
    ],
)
def test_what_is_no_picture_is_refused(x: np.ndarray, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^mine: .*{text}"):
        images.check(x, "mine")
