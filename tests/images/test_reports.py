"""What people reported of inputs: each report is one test, which makes the input and says what is right."""

import unicodedata
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import png
import pytest
import tifffile
import torch
from PIL import Image, PngImagePlugin

import dip_exp
from dip_exp import images
from dip_exp.config import commandline
from dip_exp.errors import Refused
from dip_exp.images import known_pixels
from dip_exp.inputs.picture import GivenPicture
from dip_exp.observe.flash import FlashFile, Synthetic
from dip_exp.observe.masks import File as MaskFile
from dip_exp.tasks.denoise import Denoise
from dip_exp.tasks.inpaint import Inpaint
from tests.checked import unchecked
from tests.conftest import Runner

HEIGHT, WIDTH = 48, 64
RNG = np.random.default_rng(3)
HOLE = np.zeros((HEIGHT, WIDTH), bool)
HOLE[10:20, 12:30] = True
KNOWN = (~HOLE).astype(np.float32)[None, None]


def photo(side: int = WIDTH, name: str = "chelsea") -> np.ndarray:
    """(H, W, 3) levels of 8 bits."""
    x = images.square(images.packaged(name).x, side)[..., : side * HEIGHT // WIDTH, :]
    return np.rint(x[0].transpose(1, 2, 0) * 255).astype(np.uint8)


def layer(drawn: tuple[int, int, int], hidden: tuple[int, int, int], where: np.ndarray = HOLE) -> np.ndarray:
    """Strokes of one colour on a transparent layer of another."""
    rgba = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    rgba[..., :3] = np.where(where[:, :, None], drawn, hidden)
    rgba[..., 3] = np.where(where, 255, 0)
    return rgba


def mask_file(folder: Path, stored: np.ndarray | Image.Image, name: str = "m.png") -> Path:
    image = stored if isinstance(stored, Image.Image) else Image.fromarray(stored)
    image.save(folder / name)
    return folder / name


def small_object() -> Image.Image:
    """A palette picture of a background, 4 pixels of an object and 4 of its outline."""
    image = voc(0)
    image.paste(15, (10, 10, 12, 12))
    image.paste(255, (12, 10, 14, 12))
    return image


def voc(*labels: int) -> Image.Image:
    """A palette picture: label 0, and in the hole the given labels, row by row."""
    entries = np.zeros((HEIGHT, WIDTH), np.uint8)
    for number, label in enumerate(labels):
        entries[HOLE & (np.arange(HEIGHT)[:, None] % len(labels) == number)] = label
    image = Image.fromarray(entries)
    palette = np.zeros((256, 3), np.uint8)
    palette[1], palette[15], palette[255] = (128, 0, 0), (192, 128, 128), (224, 224, 192)
    image.putpalette(palette.tobytes())
    return image


# -- what a mask means -------------------------------------------------------------------------------------------------

READ: dict[str, tuple[Any, dict[str, Any], str]] = {
    "black strokes, hidden black": (layer((0, 0, 0), (0, 0, 0)), {}, "drawn in black is missing, the rest is known"),
    "black strokes, hidden white": (layer((0, 0, 0), (255, 255, 255)), {}, "drawn in black is missing"),
    "red strokes": (layer((255, 0, 0), (0, 0, 0)), {}, "drawn in black is missing"),
    "white paint on what is known": (layer((255,) * 3, (0, 0, 0), ~HOLE), {}, "drawn in white is known, the rest"),
    "a photo's transparent hole": (np.dstack([photo(), np.where(HOLE, 0, 255)]).astype(np.uint8), {"by": "alpha"}, ""),
    "0 and 1 in 8 bits": ((~HOLE).astype(np.uint8), {}, "just two values: 0 is read as missing and 1 as known"),
    "labels 0 and 3": (np.where(HOLE, 0, 3).astype(np.uint8), {}, "0 is read as missing and 3 as known"),
    "labels 0 and 3, flipped": (np.where(HOLE, 3, 0).astype(np.uint8), {"flip": True}, "flip swaps them"),
    "a palette of two": (voc(15), {"flip": True}, "just two values: 0 is read as missing and 15 as known"),
    "a palette of three": (voc(15, 255), {"missing": [15, 255]}, ""),
    "three grey labels": (np.where(HOLE, 2, np.arange(WIDTH) % 2).astype(np.uint8), {"missing": [2]}, ""),
    "soft edges": (np.where(HOLE, 90, 255 - np.arange(WIDTH) % 60).astype(np.uint8), {}, r"8% of the mask is far from"),
    "a few greys": (np.where(HOLE, 0, 180 + np.arange(WIDTH) % 2).astype(np.uint8), {}, "values are 0, 180, 181: from"),
    "black and white": (np.where(HOLE, 0, 255).astype(np.uint8), {}, ""),
}


@pytest.mark.parametrize("name", READ)
def test_a_mask_is_read_as_it_is_meant(name: str, tmp_path: Path):
    stored, options, note = READ[name]
    found = known_pixels(mask_file(tmp_path, stored), **options)
    np.testing.assert_array_equal(found.known, KNOWN)
    assert (note in " ".join(found.notes)) if note else found.notes == ()


UNTOLD: dict[str, tuple[Any, dict[str, Any], str]] = {
    "a photo with a hole": (
        np.dstack([photo(), np.where(HOLE, 0, 255)]).astype(np.uint8),
        {},
        r"read=alpha .*read=luma",
    ),
    "yellow strokes": (layer((255, 255, 0), (0, 0, 0)), {}, "neither black nor white"),
    "a colour photo": (photo(), {}, r"coloured, so it looks like a photograph and no mask; .*task\.mask\.read=luma"),
    "VOC labels": (voc(1, 15), {}, r"the palette entries 0, 1, 15, more than two.*task\.mask\.missing_values=\[15\]"),
    "a small object's label": (small_object(), {}, r"palette entries 0, 15, 255.*missing_values="),
    "grey labels": (
        np.where(HOLE, 3, np.arange(WIDTH) % 2).astype(np.uint8),
        {},
        r"0, 1, 3.*missing_values=\[0\].*threshold=",
    ),
    "one value": (np.full((HEIGHT, WIDTH), 7, np.uint8), {}, "all of its pixels have the value 7"),
    "no such label": (
        np.where(HOLE, 3, 0).astype(np.uint8),
        {"missing": [5]},
        r"none of its.*missing_values=\[5\]; it has 0, 3",
    ),
    "labels in colours": (
        photo(),
        {"missing": [5]},
        "names grey levels or a palette's entries; this mask is in colours",
    ),
    "no alpha": (np.where(HOLE, 3, 0).astype(np.uint8), {"by": "alpha"}, "nothing in it is transparent"),
    "equally bright": (np.where(HOLE[..., None], (9, 9, 9), (9, 9, 9)).astype(np.uint8), {}, "all of its pixels"),
}


@pytest.mark.parametrize("name", UNTOLD)
def test_a_mask_that_does_not_tell_is_refused_with_what_to_do(name: str, tmp_path: Path):
    stored, options, text = UNTOLD[name]
    with pytest.raises(ValueError, match=rf"^mask '.*m\.png': .*{text}"):
        known_pixels(mask_file(tmp_path, stored), **options)


@pytest.mark.parametrize(
    "values", [~HOLE, (~HOLE).astype(np.int64), (~HOLE) * 3, KNOWN[0, 0], (~HOLE).astype(np.uint8)]
)
def test_an_array_is_a_mask(values: np.ndarray, tmp_path: Path):
    np.save(tmp_path / "m.npy", values)
    np.testing.assert_array_equal(known_pixels(tmp_path / "m.npy").known, KNOWN)


def test_the_opening_says_what_share_is_missing(run: Runner, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    picture = mask_file(tmp_path, photo(), "p.png")
    mask = mask_file(tmp_path, (~HOLE).astype(np.uint8))
    words = ("image=file", f"image.path={picture}", "task=inpaint", "task/mask=file", f"task.mask.path={mask}")
    done = run(*words, "optim.steps=2", "image.shrink_to=null", "arch=skip_tiny")
    told = capsys.readouterr().out
    assert f"note: {HOLE.mean():.1%} of the picture is missing" in told
    assert "note: the mask has just two values" in told
    assert done["notes"][0] == f"{HOLE.mean():.1%} of the picture is missing"


def test_a_masks_error_says_mask(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"^mask '.*gone\.png': there is no such file"):
        MaskFile(path=str(tmp_path / "gone.png")).draw((3, HEIGHT, WIDTH), RNG)
    with pytest.raises(FileNotFoundError, match=r"^flash '.*gone\.png': there is no such file"):
        FlashFile(path=str(tmp_path / "gone.png")).pair(images.packaged("chelsea").x, RNG)


# -- alpha -------------------------------------------------------------------------------------------------------------


def test_a_restored_hole_is_opaque(run: Runner, tmp_path: Path):
    alpha = np.where(HOLE, 0, 255).astype(np.uint8)
    alpha[40:, 50:] = 0  # transparent and not missing: it stays so
    picture = mask_file(tmp_path, np.dstack([photo(), alpha]), "p.png")
    mask = mask_file(tmp_path, np.where(HOLE, 0, 255).astype(np.uint8))
    words = ("image=file", f"image.path={picture}", "task=inpaint", "task/mask=file", f"task.mask.path={mask}")
    done = run(*words, "optim.steps=2", "image.shrink_to=null")
    restored = images.read(tmp_path / "results" / "runs" / done["run_id"] / "restored.png")
    expected = np.where(alpha > 0, 1, 0)
    expected[HOLE] = 1
    np.testing.assert_array_equal(restored.alpha, expected)


def sprite(folder: Path) -> Path:
    """A white disc whose hidden surroundings are black."""
    rows, columns = np.mgrid[:40, :40] - 19.5
    disc = rows**2 + columns**2 < 14**2
    rgba = np.where(disc[:, :, None], 255, 0) * np.ones(4)
    return mask_file(folder, rgba.astype(np.uint8), "sprite.png")


def test_hidden_colours_do_not_bleed(tmp_path: Path):
    path = sprite(tmp_path)
    assert images.read(path).x.min() == 0  # reading a file changes nothing in it
    assert images.File(path=str(path)).read().x.min() == 1
    assert images.File(path=str(path), shrink_to=13).read().x.min() == pytest.approx(1, abs=1e-6)


def test_an_enlarged_sprite_has_no_dark_fringe(run: Runner, tmp_path: Path):
    done = run(
        "image=file",
        f"image.path={sprite(tmp_path)}",
        "task=superres",
        "task.factor=2",
        "optim.steps=2",
        "image.shrink_to=null",
    )
    folder = tmp_path / "results" / "runs" / done["run_id"]
    source = images.File(path=str(tmp_path / "sprite.png")).read()
    enlarged = images.read(folder / "baseline.png").x
    alpha = images.read(folder / "restored.png").alpha
    assert alpha is not None
    assert alpha.shape == (80, 80)
    on_white = enlarged * alpha + 1 - alpha
    assert on_white.min() > 0.99
    assert source.alpha is not None


def test_colours_nearest_to_a_hidden_pixel_fill_it():
    x = RNG.random((1, 3, 5, 6), dtype=np.float32)
    alpha = np.ones((5, 6), np.float32)
    alpha[:, 4:] = 0
    filled = images.uncovered(x, alpha)
    np.testing.assert_array_equal(filled[..., :4], x[..., :4])
    np.testing.assert_array_equal(filled[..., 4:], x[..., 3:4].repeat(2, axis=3))
    np.testing.assert_array_equal(images.uncovered(x, alpha * 0), x)


# -- layout and units of arrays ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        (
            (3, 48, 64),
            r"looks channels-first: 3 channels of 48 rows and 64 columns.* numpy\.moveaxis\(y, 0, 2\), or y\[None\]",
        ),
        ((16, 48, 64), "looks channels-first"),
        ((1, 48, 64), "looks channels-first"),
        ((1, 48, 64, 3), None),
        ((1, 48, 64, 2), r"looks channels-last: 2 channels of 48 rows and 64 columns.* y\[0\], which is \(H, W, C\)"),
        ((1, 48, 64, 16), "looks channels-last"),
        ((5, 48, 64, 3), "has shape"),
    ],
)
def test_an_array_with_its_channels_elsewhere_is_refused(shape: tuple[int, ...], text: str | None, tmp_path: Path):
    y = np.zeros(shape, np.float32)
    with unchecked(), pytest.raises(Refused, match=text or "looks channels-last"):
        dip_exp.restore(y, "denoise")
    np.save(tmp_path / "y.npy", y)
    with pytest.raises(ValueError, match=text or "looks channels-last"):
        images.read(tmp_path / "y.npy")


def test_an_api_arrays_units_come_back(run: Runner):
    counts = (50 + 100 * images.packaged("camera").x[0, 0, ::16, ::16]).astype(np.float32)
    small = {"arch": "skip_tiny", "overrides": ["optim.steps=3"]}
    with pytest.raises(
        Refused, match=r"y lies in \[.*values=\(0, 1\) keeps what lies beyond them, values='auto' finds"
    ):
        dip_exp.restore(counts, "denoise", **small)
    x_hat, record = dip_exp.restore(counts, "denoise", values=(0.0, 400.0), **small)
    assert x_hat == pytest.approx(400 * record["pictures"]["stopped"][0, 0])
    auto, _ = dip_exp.restore(counts.astype(np.int32), "denoise", values="auto", **small)
    assert counts.min() - 1 <= auto.min() <= auto.max() <= counts.max()
    mean, record = dip_exp.restore(counts, "denoise", values=(-100.0, 300.0), runs=2, **small)
    singles = [-100 + 400 * one["pictures"]["stopped"] for one in record["members"]]
    assert mean == pytest.approx(np.mean(singles, axis=0)[0, 0], abs=1e-3)
    assert record["std"] == pytest.approx(np.std(singles, axis=0, ddof=1)[0, 0], abs=1e-3)


# -- files of today and of science -------------------------------------------------------------------------------------


def lzw_of_16_bits(folder: Path, levels: np.ndarray, rows: int) -> Path:
    """A 16-bit TIFF packed by LZW with a predictor, as scanners write: Pillow packs its bytes."""
    height, width, samples = levels.shape
    steps = np.diff(levels.astype(np.int64), axis=1, prepend=0).astype("<u2")
    strips = []
    for top in range(0, height, rows):
        part = np.ascontiguousarray(steps[top : top + rows]).view(np.uint8).reshape(-1, width * samples * 2)
        Image.fromarray(part).save(folder / "strip.tif", compression="tiff_lzw")
        with tifffile.TiffFile(folder / "strip.tif") as tiff:
            page = tiff.pages.first
            assert len(page.dataoffsets) == 1
            strips.append((folder / "strip.tif").read_bytes()[page.dataoffsets[0] :][: page.databytecounts[0]])
    path = folder / "scan.tif"
    tifffile.imwrite(path, levels, photometric="rgb", rowsperstrip=rows, compression="zlib", predictor=True)
    data = bytearray(path.read_bytes())
    places = []
    for strip in strips:
        places.append(len(data))
        data += strip
    path.write_bytes(data)
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tags = tiff.pages.first.tags
        tags["Compression"].overwrite(5)
        tags["StripOffsets"].overwrite(places, dtype="I")
        tags["StripByteCounts"].overwrite([len(strip) for strip in strips], dtype="I")
    return path


def test_16_bit_lzw_tiff_is_read(tmp_path: Path):
    levels = RNG.integers(0, 65536, (31, 37, 3)).astype(np.uint16)
    picture = images.read(lzw_of_16_bits(tmp_path, levels, rows=8))
    assert picture.depth == "uint16"
    np.testing.assert_array_equal(np.rint(picture.x[0].transpose(1, 2, 0).astype(np.float64) * 65535), levels)


def repack_by_lzw(path: Path) -> None:
    """Packs the strips or tiles of a deflated TIFF by LZW instead: Pillow packs their bytes."""
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        data, segments = bytearray(path.read_bytes()), list(zip(page.dataoffsets, page.databytecounts, strict=True))
    packed, places = [], []
    for offset, count in segments:
        row = np.frombuffer(zlib.decompress(data[offset : offset + count]), np.uint8)[None]
        Image.fromarray(row).save(path.with_name("segment.tif"), compression="tiff_lzw")
        with tifffile.TiffFile(path.with_name("segment.tif")) as tiff:
            one = tiff.pages.first
            (start,), (length,) = one.dataoffsets, one.databytecounts
        packed.append(path.with_name("segment.tif").read_bytes()[start : start + length])
    for segment in packed:
        places.append(len(data))
        data += segment
    path.write_bytes(data)
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tags, kind = tiff.pages.first.tags, "Tile" if tiff.pages.first.is_tiled else "Strip"
        tags["Compression"].overwrite(5)
        tags[f"{kind}Offsets"].overwrite(places, dtype="I")
        tags[f"{kind}ByteCounts"].overwrite([len(segment) for segment in packed], dtype="I")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("layout", [{"rowsperstrip": 8}, {"tile": (16, 32)}], ids=["strips", "tiles"])
@pytest.mark.parametrize("predictor", [True, False])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_an_lzw_tiff_of_either_byte_order_in_strips_or_tiles_is_read(
    order: str, layout: dict, predictor: bool, kind: type, tmp_path: Path
):
    white = np.iinfo(kind).max
    levels = RNG.integers(0, white + 1, (31, 70, 3)).astype(kind)
    path = tmp_path / "scan.tif"
    settings: dict = {"photometric": "rgb", "compression": "zlib", "predictor": predictor, "byteorder": order, **layout}
    tifffile.imwrite(path, levels, **settings)
    repack_by_lzw(path)
    found = images.read(path).x[0].transpose(1, 2, 0).astype(np.float64) * white
    np.testing.assert_array_equal(np.rint(found), levels)


@pytest.mark.parametrize("compression", ["tiff_lzw", "zstd"])
@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_a_packed_grey_tiff_is_read(compression: str, kind: type, tmp_path: Path):
    values = (RNG.random((31, 37)) * (65535 if kind == np.uint16 else 1)).astype(kind)
    Image.fromarray(values).save(tmp_path / "a.tif", compression=compression, strip_size=300)
    white = 65535 if kind == np.uint16 else 1
    np.testing.assert_allclose(images.read(tmp_path / "a.tif").x[0, 0] * white, values, rtol=1e-6)


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("what", ["xmp", "icc"])
def test_a_png_with_long_metadata_is_read(depth: type, what: str, tmp_path: Path):
    levels = photo().astype(depth)
    long = bytes(RNG.integers(32, 127, 1_500_000).astype(np.uint8))
    if depth == np.uint8:
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", long.decode(), zip=True)
        options: dict[str, Any] = {"pnginfo": text} if what == "xmp" else {"icc_profile": long}
        Image.fromarray(levels).save(tmp_path / "a.png", **options)
    else:
        with (tmp_path / "a.png").open("wb") as file:
            png.Writer(WIDTH, HEIGHT, greyscale=False, bitdepth=16).write(file, levels.reshape(HEIGHT, -1))
        chunks = list(png.Reader(bytes=(tmp_path / "a.png").read_bytes()).chunks())
        packed = zlib.compress(long)
        chunk = (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + packed) if what == "xmp" else (b"iCCP", b"a\0\0" + packed)
        with (tmp_path / "a.png").open("wb") as file:
            png.write_chunks(file, [chunks[0], chunk, *chunks[1:]])
    before = PngImagePlugin.MAX_TEXT_CHUNK
    picture = images.read(tmp_path / "a.png")
    assert before == PngImagePlugin.MAX_TEXT_CHUNK
    white = 255 if depth == np.uint8 else 65535
    np.testing.assert_array_equal(np.rint(picture.x[0].transpose(1, 2, 0) * white), levels)
    assert picture.icc == (long if what == "icc" else None)


def test_endless_metadata_is_refused_and_not_called_broken(tmp_path: Path):
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", "x" * (65 * 2**20), zip=True)
    Image.fromarray(photo()).save(tmp_path / "a.png", pnginfo=text)
    with pytest.raises(ValueError, match="its text or colour profile has more than 64 MB; save it without metadata"):
        images.read(tmp_path / "a.png")


@pytest.mark.parametrize("bands", [2, 3, 5, 16])
@pytest.mark.parametrize("way", ["contig", "separate", "default", "pages", "npy"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_bands_are_read(bands: int, way: str, kind: type, tmp_path: Path):
    values = (RNG.random((HEIGHT, WIDTH, bands)) * (1 if kind == np.float32 else np.iinfo(kind).max)).astype(kind)
    path, pages = tmp_path / "a.tif", None
    planes = np.ascontiguousarray(values.transpose(2, 0, 1))
    if way == "npy":
        np.save(path := tmp_path / "a.npy", values)
    elif way == "default" and (kind == np.uint8 and bands == 3):
        tifffile.imwrite(path, values, photometric="rgb")
    elif way == "default":  # an array as tifffile saves it: one page for each row
        tifffile.imwrite(path, values, photometric="minisblack")
    elif way == "pages":
        tifffile.imwrite(path, planes, photometric="minisblack")
        with pytest.raises(ValueError, match=rf"holds {bands} pages .*image\.pages=1 .*image\.pages=bands"):
            images.read(path)
        first = images.read(path, pages=1).x
        np.testing.assert_array_equal(first[0, 0], images.read(path, pages="bands").x[0, 0])
        pages = "bands"
    else:
        stored = values if way == "contig" else planes
        tifffile.imwrite(path, stored, photometric="minisblack", planarconfig=way)
    picture = images.read(path, pages=pages)
    assert picture.channels == bands
    white = 1 if kind == np.float32 else np.iinfo(kind).max
    np.testing.assert_allclose(picture.x[0].transpose(1, 2, 0) * white, values, rtol=1e-5)


def test_16_bands_are_restored_and_shown_by_their_mean(run: Runner, tmp_path: Path):
    values = RNG.random((32, 40, 16)).astype(np.float32)
    np.save(tmp_path / "bands.npy", values)
    done = run(
        "image=file", f"image.path={tmp_path / 'bands.npy'}", "optim.steps=2", "image.shrink_to=null", "rivals=all"
    )
    folder = tmp_path / "results" / "runs" / done["run_id"]
    assert done["picture"]["channels"] == 16
    restored = np.load(folder / "restored.npy", allow_pickle=False)
    with np.load(folder / "outputs.npz") as outputs:
        np.testing.assert_array_equal(restored, outputs["stopped"][0].transpose(1, 2, 0))
    shown = images.read(folder / "restored.png")
    assert shown.channels == 1
    assert shown.x[0, 0] == pytest.approx(restored.mean(axis=2), abs=0.51 / 255)
    assert {"baseline.png", "comparison.png", "observation.png"} <= {path.name for path in folder.iterdir()}


SCIENCE = {
    "counts": (40 * RNG.random((32, 40)).astype(np.float32) + 7, "auto"),
    "negative floats": (RNG.standard_normal((32, 40)).astype(np.float32), "auto"),
    "int16": (RNG.integers(-900, 2000, (32, 40)).astype(np.int16), "auto"),
    "uint32": (RNG.integers(0, 2**30, (32, 40)).astype(np.uint32), "auto"),
    "int64": (RNG.integers(0, 9, (32, 40)), "auto"),
    "float64": (1e-6 * RNG.random((32, 40)) - 1e-6, "auto"),
    "12 of 16 bits": (RNG.integers(0, 4096, (32, 40)).astype(np.uint16), [0, 4095]),
    "RGB counts": (40 * RNG.random((32, 40, 3)).astype(np.float32), [0.0, 50.0]),
}


@pytest.mark.parametrize("suffix", ["npy", "tif"])
@pytest.mark.parametrize("name", SCIENCE)
def test_numbers_in_any_units_come_back_in_them(name: str, suffix: str, tmp_path: Path):
    values, scale = SCIENCE[name]
    path = tmp_path / f"a.{suffix}"
    if suffix == "npy":
        np.save(path, values)
    else:
        tifffile.imwrite(path, values, photometric="minisblack" if values.ndim == 2 else "rgb")
    picture = images.File(path=str(path), scale=scale).read()  # type: ignore[arg-type]
    assert picture.x.min() >= 0
    assert picture.x.max() <= 1
    assert picture.depth == "float"
    assert (scale == "auto") == any(text.startswith("the picture's values lie in [") for text in picture.notes)
    written = images.write_restored(tmp_path, picture.x, picture)
    assert [one.name for one in written] == ["restored.png", f"restored.{suffix}"]
    back = np.load(written[1], allow_pickle=False) if suffix == "npy" else tifffile.imread(written[1])
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, values, rtol=1e-5, atol=1e-6 * np.ptp(values.astype(float)))
    if scale == "auto":
        assert (picture.x.min(), picture.x.max()) == (0, 1)
        with pytest.raises(ValueError, match="values lie in"):
            images.read(path)  # what is beside a picture has no units of its own


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_arrays_of_8_and_16_bits_keep_their_type(kind: type, tmp_path: Path):
    values = RNG.integers(0, np.iinfo(kind).max, (9, 7, 4)).astype(kind)
    np.save(tmp_path / "a.npy", values)
    picture = images.File(path=str(tmp_path / "a.npy")).read()
    written = images.write_restored(tmp_path, picture.x, picture)
    back = np.load(written[1], allow_pickle=False)
    assert back.dtype == kind
    np.testing.assert_array_equal(back, values)


@pytest.mark.parametrize("scale", [[1, 1], [2.0, 1.0], [0.0], [0.0, float("inf")], "white"])
def test_impossible_scales_are_refused(scale: Any):
    with pytest.raises(ValueError, match=r"scale"):
        images.File(path="a.png", scale=scale)


def test_noise_that_was_not_clipped_stays(run: Runner, tmp_path: Path):
    clean = images.square(images.packaged("chelsea").x, 32)
    noisy = clean + 0.15 * RNG.standard_normal(clean.shape).astype(np.float32)
    np.save(tmp_path / "y.npy", noisy[0].transpose(1, 2, 0))
    done = run("image=file", f"image.path={tmp_path / 'y.npy'}", "optim.steps=2", "image.shrink_to=null")
    with np.load(tmp_path / "results" / "runs" / done["run_id"] / "outputs.npz") as outputs:
        np.testing.assert_array_equal(outputs["observation"], noisy)
    assert "noise that was not clipped" in done["notes"][0]
    small = images.File(path=str(tmp_path / "y.npy"), shrink_to=31).read()
    assert small.x.min() < 0


def test_nan_is_a_missing_pixel(run: Runner, tmp_path: Path):
    values = images.square(images.packaged("chelsea").x, 32)[0].transpose(1, 2, 0).copy()
    values[5:9, 10:20] = np.nan
    values[0, 0, 1] = np.nan
    np.save(tmp_path / "y.npy", values)
    words = ("image=file", f"image.path={tmp_path / 'y.npy'}", "optim.steps=2", "image.shrink_to=null")
    done = run("task=inpaint", *words)
    folder = tmp_path / "results" / "runs" / done["run_id"]
    restored = np.load(folder / "restored.npy", allow_pickle=False)
    known = np.isfinite(values)
    assert np.isfinite(restored).all()
    np.testing.assert_array_equal(restored[known], values[known])
    assert done["notes"][:2] == ["41 of 1024 pixels have NaN values and are missing", "3.9% of the picture is missing"]
    with pytest.raises(Refused, match=r"Denoise: 41 of 1024 pixels .* NaN, that is, missing; task=inpaint fills them"):
        run("task=denoise", *words)
    with pytest.raises(Refused, match=r"a clean picture has a value everywhere; image\.role=observed fills them in"):
        run("task=inpaint", *words, "image.role=clean")
    small = images.File(path=str(tmp_path / "y.npy"), shrink_to=16).read().x
    assert np.isnan(small[0, :, 2:5, 5:10]).all()
    assert np.isnan(small).sum() == 3 * 3 * 5 + 1  # wherever one of the four sources is missing


def test_nan_joins_a_mask():
    y = RNG.random((1, 3, HEIGHT, WIDTH), dtype=np.float32)
    y[:, :, 0] = np.nan
    Inpaint().check(y, "observed")
    with pytest.raises(ValueError, match="NaN"):
        Denoise().check(y, "observed")
    problem = Inpaint().problem(y, "observed", RNG)
    assert problem.weight is not None
    np.testing.assert_array_equal(problem.weight.numpy(), np.isfinite(y))
    assert bool(problem.y.isfinite().all())


def test_what_is_no_array_of_numbers_is_refused(tmp_path: Path):
    for values, text in (
        (np.array([[{}]], dtype=object), "it holds Python objects and no numbers; save a plain array"),
        (np.zeros((4, 5), np.complex64), "its values are complex64; save it as real numbers"),
        (np.array([["a"]]), "its values are <U1; save it as real numbers"),
        (np.full((4, 5), np.nan), "all 20 values are NaN"),
        (np.full((4, 5), np.inf), "20 of 20 values are infinite"),
        (np.zeros((2, 3, 4, 5)), r"has shape \(2, 3, 4, 5\); give \(H, W\)"),
    ):
        np.save(tmp_path / "a.npy", values, allow_pickle=True)
        with pytest.raises(ValueError, match=text):
            images.File(path=str(tmp_path / "a.npy")).read()
    (tmp_path / "a.fits").write_bytes(b"SIMPLE  =                    T" + bytes(2850))
    with pytest.raises(ValueError, match=r"this is a FITS file; save its array with numpy\.save"):
        images.read(tmp_path / "a.fits")


# -- pairs, names, parts, folders --------------------------------------------------------------------------------------


def test_pictures_of_two_views_get_no_shift(tmp_path: Path):
    """Two pictures of 64 pixels were said to lie 32 apart, where correlation has a peak for any two."""
    said = FlashFile(path=str(images.write(tmp_path / "f.png", images.square(images.packaged("coffee").x, 64))))
    pair = said.pair(images.square(images.packaged("rocket").x, 64), RNG)
    assert pair.notes == ("no shift brings the edges of the two pictures together: do they show the same view?",)
    flat = FlashFile(
        path=str(images.write(tmp_path / "g.png", np.full((1, 3, 64, 64), 0.5, np.float32))), register=True
    )
    assert "no shift" in flat.pair(pair.y, RNG).notes[0]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_name_is_found_in_either_form(form: str, tmp_path: Path):
    other = {"NFC": "NFD", "NFD": "NFC"}[form]
    folder = tmp_path / unicodedata.normalize(form, "Fotos für Müller")
    folder.mkdir()
    mask_file(folder, photo(), unicodedata.normalize(form, "Müller é.png"))
    typed = f"{tmp_path}/{unicodedata.normalize(other, 'Fotos für Müller')}"
    name = unicodedata.normalize(other, "Müller é.png")
    assert images.File(path=f"{typed}/{name}").read().size == (WIDTH, HEIGHT)
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        images.File(path=f"{typed}/ö.png").read()
    words = commandline.prepare([f"image.path={typed}/{unicodedata.normalize(other, 'Mü')}*"])
    assert unicodedata.normalize(form, "Müller é.png") in words[-1]


def test_a_box_and_a_smaller_size_carry_the_mask_along(run: Runner, tmp_path: Path):
    picture = mask_file(tmp_path, photo(), "p.png")
    mask = mask_file(tmp_path, np.where(HOLE, 0, 255).astype(np.uint8))
    words = ("image=file", f"image.path={picture}", "task=inpaint", "task/mask=file", f"task.mask.path={mask}")
    done = run(*words, "optim.steps=2", "image.box=[9,7,44,40]", "image.shrink_to=22")
    folder = tmp_path / "results" / "runs" / done["run_id"]
    with np.load(folder / "outputs.npz") as outputs:
        missing = outputs["missing"][0, 0] > 0
    part = HOLE[7:47, 9:53]  # halved: a pixel is known if all four of its sources are
    np.testing.assert_array_equal(missing, part.reshape(20, 2, 22, 2).any(axis=(1, 3)))
    same = mask_file(tmp_path, np.where(missing, 0, 255).astype(np.uint8), "small.png")
    again = run(*words[:-1], f"task.mask.path={same}", "optim.steps=2", "image.box=[9,7,44,40]", "image.shrink_to=22")
    again_folder = tmp_path / "results" / "runs" / again["run_id"]
    assert (again_folder / "restored.png").read_bytes() == (folder / "restored.png").read_bytes()
    other = mask_file(tmp_path, np.where(HOLE[:30, :30], 0, 255).astype(np.uint8), "other.png")
    with pytest.raises(Refused, match=r"the mask is 30x30 but the picture is 22x20 .* and the picture's file 64x48"):
        run(*words[:-1], f"task.mask.path={other}", "image.box=[9,7,44,40]", "image.shrink_to=22")


def test_a_smaller_size_carries_flash_and_input_along(run: Runner, tmp_path: Path):
    pair = Synthetic(sigma=5.0).pair(images.square(images.packaged("chelsea").x, 64), RNG)
    dark, flash = (images.write(tmp_path / f"{name}.png", x) for name, x in (("dark", pair.y), ("flash", pair.flash)))
    files = ("image=file", f"image.path={dark}", "optim.steps=2", "image.shrink_to=32")
    done = run("task=flash", *files, "task/flash=file", f"task.flash.path={flash}")
    with np.load(tmp_path / "results" / "runs" / done["run_id"] / "outputs.npz") as outputs:
        np.testing.assert_allclose(outputs["guide"], images.shrink(images.read(flash).x, 32), atol=1e-6)
    assert not done["notes"]
    done = run("task=denoise", *files, "input=picture", f"input.path={flash}")
    assert done["picture"]["size"] == [32, 32]


def test_system_files_are_passed_by(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    mask_file(tmp_path, photo(), "a.png")
    mask_file(tmp_path, photo(), "b.PNG")
    (tmp_path / "a.png").rename(tmp_path / "a")
    mask_file(tmp_path, photo(), "c.png")
    np.save(tmp_path / "d.npy", photo())
    for name in ("._c.png", ".DS_Store", "Thumbs.db", "desktop.ini", "notes.txt"):
        (tmp_path / name).write_bytes(b"\0\5\26\7 not a picture")
    (line,) = (word for word in commandline.prepare([f"image.path={tmp_path}"]) if word.startswith("image.path"))
    assert [Path(word.strip("'")).name for word in line.split(",")] == ["b.PNG", "c.png", "d.npy"]
    told = capsys.readouterr().err
    assert told.startswith(f"{tmp_path}: passed by, as no pictures: '.DS_Store', '._c.png', 'Thumbs.db', 'a', 'desktop")
    assert told.endswith("and 1 more\n")
    (line,) = (word for word in commandline.prepare([f"image.path={tmp_path}/*"]) if word.startswith("image.path"))
    assert [Path(word.strip("'")).name for word in line.split(",")] == ["a", "b.PNG", "c.png", "d.npy"]
    assert capsys.readouterr().err.count("Thumbs.db") == 1
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "notes.txt").write_text("no")
    with pytest.raises(Refused, match=r"holds no picture; .*; passed by, as no pictures: 'notes\.txt'"):
        commandline.prepare([f"image.path={tmp_path / 'only'}"])


def test_a_masks_settings_reach_its_reader(tmp_path: Path):
    labels = MaskFile(path=str(mask_file(tmp_path, voc(15, 255))), missing_values=[15, 255])
    holed = np.dstack([photo(), np.where(HOLE, 0, 255)]).astype(np.uint8)
    alpha = MaskFile(path=str(mask_file(tmp_path, holed, "p.png")), read="alpha")
    for mask in (labels, alpha):
        np.testing.assert_array_equal(mask.draw((3, HEIGHT, WIDTH), RNG), KNOWN)


def test_hidden_colours_of_a_flash_or_an_input_picture_do_not_bleed_either(tmp_path: Path):
    path, frame = str(sprite(tmp_path)), images.Frame((40, 40), shrink_to=20)
    dark = np.full((1, 3, 20, 20), 0.5, np.float32)
    assert FlashFile(path=path).along(frame).pair(dark, RNG).flash.min() > 0.99
    z = GivenPicture(path=path).along(frame).draw((20, 20), torch.from_numpy(dark), torch.Generator())
    assert z.min() > 0.99


def test_bands_are_counted_aloud_for_a_volume_looks_the_same(tmp_path: Path):
    np.save(tmp_path / "v.npy", np.zeros((20, 16, 16), np.float32))
    assert "read as 16x20 pixels with 16 bands each" in images.read(tmp_path / "v.npy").notes
