"""Laws of the picture room: what was written is what is read, and what cannot be read is refused in words."""

import struct
import zlib
from pathlib import Path

import numpy as np
import png
import pytest
import tifffile
from PIL import Image, ImageCms

from dip_exp import images
from tests.conftest import ROOT

CONF = ROOT / "conf" / "image"
RNG = np.random.default_rng(7)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
# What the EXIF standard says of each value: on which side of the scene the stored row 0 and column 0 lie.
ORIENTATIONS = {1: "TL", 2: "TR", 3: "BR", 4: "BL", 5: "LT", 6: "RT", 7: "RB", 8: "LB"}


def levels(*shape: int, white: int = 255) -> np.ndarray:
    return RNG.integers(0, white + 1, shape).astype(np.uint8 if white == 255 else np.uint16)


def as_picture(stored: np.ndarray, white: int) -> np.ndarray:
    """(H,W) or (H,W,C) levels as (1,C,H,W) float32."""
    return (np.atleast_3d(stored).transpose(2, 0, 1)[None] / white).astype(np.float32)


def save(path: Path, stored: np.ndarray, **options: object) -> Path:
    """Writes levels or floats by a library that is not ours."""
    if path.suffix == ".tif":
        tifffile.imwrite(path, stored, **options)  # type: ignore[arg-type]
    elif stored.dtype == np.uint16:
        grey, samples = stored.ndim == 2 or stored.shape[2] == 2, stored.reshape(*stored.shape[:2], -1).shape[2]
        writer = png.Writer(stored.shape[1], stored.shape[0], greyscale=grey, alpha=samples in (2, 4), bitdepth=16)
        with path.open("wb") as file:
            writer.write(file, stored.reshape(stored.shape[0], -1))
    else:
        Image.fromarray(stored).save(path, **options)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("white", [255, 65535])
@pytest.mark.parametrize("samples", [1, 2, 3, 4])
def test_integer_pixels_come_back_exactly(tmp_path: Path, suffix: str, white: int, samples: int) -> None:
    stored = levels(37, 31, samples, white=white)
    options = {}
    if suffix == ".tif":
        options = {"photometric": "rgb" if samples > 2 else "minisblack", "planarconfig": "contig", "metadata": None}
        options |= {"extrasamples": ["unassalpha"]} if samples in (2, 4) else {}
    picture = images.read(save(tmp_path / f"a{suffix}", stored[:, :, 0] if samples == 1 else stored, **options))
    colours = 3 if samples > 2 else 1
    assert picture.depth == ("uint8" if white == 255 else "uint16")
    assert picture.channels == colours
    assert picture.size == (31, 37)
    np.testing.assert_array_equal(np.rint(picture.x.astype(np.float64) * white), as_picture(stored, 1)[:, :colours])
    np.testing.assert_array_equal(picture.x, as_picture(stored[:, :, :colours], white))
    if samples == colours:
        assert picture.alpha is None
    else:
        np.testing.assert_array_equal(picture.alpha, (stored[:, :, -1] / white).astype(np.float32))


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("samples", [1, 3, 4])
@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"byteorder": ">"}])
def test_float_tiffs_come_back_exactly(tmp_path: Path, kind: type, samples: int, options: dict) -> None:
    stored = RNG.random((37, 31, samples)).astype(kind).squeeze()
    photometric = "minisblack" if samples == 1 else "rgb"
    picture = images.read(save(tmp_path / "a.tif", stored, photometric=photometric, **options))
    assert picture.depth == "float"
    np.testing.assert_array_equal(picture.x, as_picture(stored, 1)[:, :3])
    if samples == 4:
        np.testing.assert_array_equal(picture.alpha, stored[:, :, 3].astype(np.float32))


@pytest.mark.parametrize("white", [255, 65535])
def test_an_alpha_that_hides_nothing_is_dropped(tmp_path: Path, white: int) -> None:
    stored = levels(37, 31, 4, white=white)
    stored[:, :, 3] = white
    assert images.read(save(tmp_path / "a.png", stored)).alpha is None


def test_tiffs_stored_otherwise_read_the_same(tmp_path: Path) -> None:
    stored = levels(37, 31, 3, white=65535)
    planar = save(tmp_path / "p.tif", stored.transpose(2, 0, 1), photometric="rgb", planarconfig="separate")
    packed = save(tmp_path / "z.tif", stored, photometric="rgb", compression="zlib", predictor=True)
    for path in (planar, packed):
        np.testing.assert_array_equal(images.read(path).x, as_picture(stored, 65535))
    inverted = save(tmp_path / "i.tif", 65535 - stored[:, :, 0], photometric="miniswhite")
    np.testing.assert_array_equal(images.read(inverted).x, as_picture(stored[:, :, 0], 65535))
    # An associated alpha is divided out; where it is 0 no colour is left.
    alpha = np.array([[1.0, 0.5, 0.0]], np.float32)
    colours = np.array([[[0.5, 0.25, 1.0], [0.5, 0.25, 1.0], [0.0, 0.0, 0.0]]], np.float32)
    stored = np.dstack([colours * alpha[:, :, None], alpha])
    path = save(tmp_path / "a.tif", stored, photometric="rgb", extrasamples=["assocalpha"])
    np.testing.assert_array_equal(images.read(path).x, as_picture(colours, 1))


def test_a_thumbnail_page_is_no_second_picture(tmp_path: Path) -> None:
    stored = levels(37, 31, 3)
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(levels(5, 4, 3), photometric="rgb", subfiletype=1)
        tiff.write(stored, photometric="rgb")
    np.testing.assert_array_equal(images.read(tmp_path / "a.tif").x, as_picture(stored, 255))


def test_a_phones_jpeg_with_a_preview_behind_it_is_the_photo(tmp_path: Path) -> None:
    photo, preview = (Image.fromarray(levels(n, n, 3)) for n in (37, 9))
    photo.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[preview])
    assert images.read(tmp_path / "a.jpg").size == (37, 37)


@pytest.mark.parametrize("format", ["JPEG", "WEBP"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_lossy_formats_are_near(tmp_path: Path, format: str, mode: str) -> None:
    ramp = np.linspace(20, 230, 37 * 31).reshape(37, 31).astype(np.uint8)
    image = Image.fromarray(ramp).convert(mode)
    image.save(tmp_path / "a", format=format, quality=95)
    assert np.abs(images.read(tmp_path / "a").x - as_picture(np.asarray(image), 255)).max() < 0.03


def test_one_bit_palette_and_see_through_colours(tmp_path: Path) -> None:
    bits = levels(37, 31) > 127
    Image.fromarray(bits).save(tmp_path / "1.png")
    np.testing.assert_array_equal(images.read(tmp_path / "1.png").x, as_picture(bits, 1))

    colours, index = levels(5, 3), RNG.integers(0, 5, (37, 31)).astype(np.uint8)
    palette = Image.fromarray(index)
    palette.putpalette(colours.tobytes())
    palette.save(tmp_path / "p.png")
    np.testing.assert_array_equal(images.read(tmp_path / "p.png").x, as_picture(colours[index], 255))
    palette.save(tmp_path / "t.png", transparency=3)
    picture = images.read(tmp_path / "t.png")
    np.testing.assert_array_equal(picture.x, as_picture(colours[index], 255))
    np.testing.assert_array_equal(picture.alpha, (index != 3).astype(np.float32))

    for mode, key, white in (("L", 2, 255), ("RGB", (2, 2, 2), 255)):
        stored = np.asarray(Image.fromarray(index).convert(mode))
        Image.fromarray(stored).save(tmp_path / "k.png", transparency=key)
        picture = images.read(tmp_path / "k.png")
        np.testing.assert_array_equal(picture.x, as_picture(stored, white))
        np.testing.assert_array_equal(picture.alpha, (index != 2).astype(np.float32))
    deep = index.astype(np.uint16) * 1000
    with (tmp_path / "k16.png").open("wb") as file:
        png.Writer(31, 37, greyscale=True, bitdepth=16, transparent=2000).write(file, deep)
    np.testing.assert_array_equal(images.read(tmp_path / "k16.png").alpha, (index != 2).astype(np.float32))


def cmyk_profile() -> bytes:
    """A CMYK profile by hand: bare paper is Lab white, and lightness falls to 0 with the square of any ink."""
    squares = bytes(round(i * i / 255) for i in range(256))
    table = struct.pack(">4sIBBBB", b"mft1", 0, 4, 3, 2, 0)
    table += struct.pack(">9i", *(65536 if i % 4 == 0 else 0 for i in range(9)))
    table += squares * 4 + bytes([255, 128, 128]) + bytes([0, 128, 128]) * 15 + bytes(range(256)) * 3
    header = struct.pack(">I4xI4s4s4s", 144 + len(table), 0x02400000, b"prtr", b"CMYK", b"Lab ")
    header = (header + bytes(12) + b"acsp").ljust(68, b"\0") + struct.pack(">3i", 0xF6D6, 0x10000, 0xD32D)
    return header.ljust(128, b"\0") + struct.pack(">I4sII", 1, b"A2B0", 144, len(table)) + table


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_cmyk_goes_through_its_profile_and_leaves_it_behind(tmp_path: Path, suffix: str) -> None:
    inks = Image.fromarray(levels(37, 31, 4), mode="CMYK")
    inks.save(tmp_path / f"plain.{suffix}")
    with Image.open(tmp_path / f"plain.{suffix}") as stored:
        plain = as_picture(np.asarray(stored.convert("RGB")), 255)
    np.testing.assert_array_equal(images.read(tmp_path / f"plain.{suffix}").x, plain)

    black = np.zeros((37, 31, 4), np.uint8)
    black[:, :, 3] = np.linspace(0, 200, 31)
    options = {"quality": 100, "subsampling": 0} if suffix == "jpg" else {}
    Image.fromarray(black, mode="CMYK").save(tmp_path / f"k.{suffix}", icc_profile=cmyk_profile(), **options)
    picture = images.read(tmp_path / f"k.{suffix}")
    assert picture.icc is None
    # L* is Y = ((L* + 16) / 116)^3, then sRGB's curve of it.
    lightness = 100 * (1 - (black[:, :, 3] / 255.0) ** 2)
    grey = 1.055 * ((lightness + 16) / 116) ** (3 / 2.4) - 0.055
    assert np.abs(picture.x - grey).max() < 0.015

    inks.save(tmp_path / f"bad.{suffix}", icc_profile=SRGB)
    with pytest.raises(ValueError, match=r"CMYK colour profile is unusable \(.*\); save it as RGB"):
        images.read(tmp_path / f"bad.{suffix}")


def seen(stored: np.ndarray, orientation: int) -> np.ndarray:
    """The scene, built pixel by pixel from where the standard says row 0 and column 0 lie."""
    row_side, column_side = ORIENTATIONS[orientation]
    height, width = stored.shape[:2]
    scene = np.empty_like(stored if row_side in "TB" else stored.swapaxes(0, 1))
    for r in range(height):
        for c in range(width):
            along = {row_side: r, column_side: c}
            down = along["T"] if "T" in along else scene.shape[0] - 1 - along["B"]
            right = along["L"] if "L" in along else scene.shape[1] - 1 - along["R"]
            scene[down, right] = stored[r, c]
    return scene


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("kind", ["png", "png16", "tif", "tif16", "webp", "jpg"])
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int, kind: str) -> None:
    white = 65535 if kind.endswith("16") else 255
    path = tmp_path / f"a.{kind.removesuffix('16')}"
    stored = levels(7, 5, 3, white=white)
    exif = Image.Exif()
    exif[274] = orientation
    if path.suffix == ".tif":
        save(path, stored, photometric="rgb", extratags=[(274, "H", 1, orientation, True)])
    elif kind == "png16":
        chunks = list(png.Reader(bytes=save(path, stored).read_bytes()).chunks())
        with path.open("wb") as file:
            png.write_chunks(file, [chunks[0], (b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")), *chunks[1:]])
    elif kind == "jpg":
        stored = np.repeat(np.repeat(stored, 8, 0), 8, 1)
        save(path, stored, exif=exif, quality=100, subsampling=0)
    else:
        save(path, stored, exif=exif, lossless=True)
    error = np.abs(images.read(path).x - as_picture(seen(stored, orientation), white)).max()
    assert error <= (0.02 if kind == "jpg" else 0)


@pytest.mark.parametrize("kind", ["png", "png16", "tif", "tif16", "float"])
def test_restored_keeps_depth_profile_and_alpha(tmp_path: Path, kind: str) -> None:
    white = 65535 if kind.endswith("16") else 255
    stored = levels(37, 31, 4, white=white)
    if kind == "float":
        stored, white = RNG.random((37, 31, 4)).astype(np.float32), 1
    if kind in ("png", "png16"):
        path = save(tmp_path / "a.png", stored)
        chunks = list(png.Reader(bytes=path.read_bytes()).chunks())
        with path.open("wb") as file:
            png.write_chunks(file, [chunks[0], (b"iCCP", b"x\0\0" + zlib.compress(SRGB)), *chunks[1:]])
    else:
        path = save(tmp_path / "a.tif", stored, photometric="rgb", iccprofile=SRGB)
    source = images.read(path)
    assert source.icc == SRGB
    (folder := tmp_path / "run").mkdir()
    written = images.write_restored(folder, source.x, source)
    assert sorted(written) == sorted(folder.iterdir())
    again = images.read(written[-1])
    assert (again.depth, again.icc) == (source.depth, SRGB)
    np.testing.assert_array_equal(again.x, source.x)
    np.testing.assert_array_equal(again.alpha, source.alpha)
    assert [file.name for file in written] == ["restored.png", "restored.tif"][: 2 if kind == "float" else 1]
    with Image.open(written[0]) as shown:
        assert shown.info["icc_profile"] == SRGB


@pytest.mark.parametrize("white", [255, 65535])
@pytest.mark.parametrize("samples", [1, 2])
def test_grey_sources_give_grey_outputs_and_drop_a_profile_of_colours(tmp_path: Path, white: int, samples: int) -> None:
    source = images.read(save(tmp_path / "a.png", levels(37, 31, samples, white=white).squeeze()))
    source = images.Picture(source.x, source.alpha, SRGB, source.depth, source.name, source.sha256)
    (path,) = images.write_restored(tmp_path, source.x, source)
    again = images.read(path)
    assert (again.channels, again.icc, again.depth) == (1, None, source.depth)
    np.testing.assert_array_equal(again.x, source.x)
    assert (again.alpha is None) == (samples == 1)
