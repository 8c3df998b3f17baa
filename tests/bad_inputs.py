"""Inputs that are wrong, as a table: a name, what lies in the folder, the words of the command, and what is said.

`tests/test_bad_inputs.py` gives each to the command line. A row's files are written by its maker into an empty folder,
in which the command then runs.
"""

import json
import os
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile
from PIL import Image

Maker = Callable[[Path], object]


class Bad(NamedTuple):
    """A wrong input. said: a regular expression of the message. status: the exit status."""

    name: str
    make: Maker
    words: str
    said: str
    status: int = 2


def nothing(_: Path) -> None:
    """Writes no file."""


def holding(name: str, content: bytes | str) -> Maker:
    """Returns the maker of one file."""
    data = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(data)


def picture(name: str, mode: str = "RGB", size: tuple[int, int] = (40, 32), **options: Any) -> Maker:
    """Returns the maker of a picture that Pillow writes."""
    return lambda folder: Image.effect_noise(size, 60).convert(mode).save(folder / name, **options)


def array(name: str, values: np.ndarray) -> Maker:
    """Returns the maker of an array."""
    return lambda folder: np.save(folder / name, values, allow_pickle=values.dtype == object)


def tiff(name: str, values: np.ndarray, **options: Any) -> Maker:
    """Returns the maker of a TIFF file."""
    return lambda folder: tifffile.imwrite(folder / name, values, **options)


def both(*makers: Maker) -> Maker:
    """Returns the maker of several files."""
    return lambda folder: [make(folder) for make in makers]


def png_of(width: int, height: int, rows: bytes = b"\0\0") -> bytes:
    """Returns a PNG that claims a size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def encoded(kind: str, mode: str = "RGB", size: tuple[int, int] = (40, 32)) -> bytes:
    """Returns the bytes of a picture file."""
    whole = BytesIO()
    Image.effect_noise(size, 60).convert(mode).save(whole, kind)
    return whole.getvalue()


def frames(name: str) -> Maker:
    """Returns the maker of an animation."""
    pictures = [Image.effect_noise((32, 32), 60).convert("RGB") for _ in range(3)]
    return lambda folder: pictures[0].save(folder / name, save_all=True, append_images=pictures[1:])


def loop(folder: Path) -> None:
    """Makes two links that lead to each other."""
    (folder / "a.png").symlink_to("b.png")
    (folder / "b.png").symlink_to("a.png")


def pipe(folder: Path) -> None:
    """Makes a pipe, from which reading never ends."""
    os.mkfifo(folder / "a.png")


def record(content: str) -> Maker:
    """Returns the maker of a record that a plain run of `A` then meets."""

    def make(folder: Path) -> None:
        picture("a.png")(folder)
        from dip_exp import config
        from dip_exp.config import commandline
        from dip_exp.runs.order import identify

        words = commandline.prepare([*f"{A} results={folder}/results".replace("a.png", f"{folder}/a.png").split()])
        named = identify(config.compose(words), {})
        place = folder / "results/runs" / named.run_id
        place.mkdir(parents=True)
        (place / "record.json").write_text(content)

    return make


A = "task=denoise image.path=a.png arch=pixels optim.steps=2 stop=fixed"
INPAINT = "task=inpaint image.path=a.png task.mask.path=m.png arch=pixels optim.steps=2"
PLAIN = "task=denoise arch=pixels image.shrink_to=32 optim.steps=2 stop=fixed"
FLASH = "task=flash image.path=a.png task.flash.path=f.png arch=pixels optim.steps=2"

WEIGHED = "task=invert task.net.path=w.pth image.shrink_to=224 optim.steps=2"

OK = picture("a.png")
COLOURS = np.random.default_rng(0).integers(0, 256, (32, 40, 3), np.uint8)

FILES = [
    Bad("no such file", nothing, A, r"image 'a.png': there is no such file"),
    Bad("an empty file", holding("a.png", b""), A, r"a.png': the file is empty \(0 bytes\)"),
    Bad("text", holding("a.png", "hello"), A, r"this is not a readable PNG, JPEG, TIFF or WebP picture"),
    Bad("a web page", holding("a.png", "<!DOCTYPE html><html>"), A, r"not a readable PNG"),
    Bad("SVG", holding("a.png", "<svg xmlns='http://www.w3.org/2000/svg'/>"), A, r"not a readable PNG"),
    Bad("PDF", holding("a.png", b"%PDF-1.7\n"), A, r"not a readable PNG"),
    Bad("zip", holding("a.png", b"PK\3\4" + bytes(40)), A, r"not a readable PNG"),
    Bad("GIF", frames("a.gif"), "task=denoise image.path=a.gif arch=pixels", r"a.gif': this is not a readable PNG"),
    Bad("BMP", picture("a.bmp"), "task=denoise image.path=a.bmp arch=pixels", r"a.bmp': this is not a readable PNG"),
    Bad("animated PNG", frames("a.png"), A, r"it holds 3 pages or frames, one is needed"),
    Bad("animated WebP", frames("a.webp"), A.replace("png", "webp"), r"it holds 3 pages or frames, one is needed"),
    Bad("TIFF of pages", frames("a.tif"), A.replace("png", "tif"), r"it holds 3 pages .*image.pages"),
    Bad("a page beyond", frames("a.tif"), A.replace("png", "tif") + " image.pages=9", r"holds 3 pages and page 9"),
    Bad("PNG cut off", holding("a.png", encoded("PNG")[:300]), A, r"broken or cut off"),
    Bad("JPEG cut off", holding("a.png", encoded("JPEG")[:300]), A, r"broken or cut off"),
    Bad("TIFF cut off", holding("a.png", encoded("TIFF")[:300]), A, r"broken or cut off"),
    Bad("WebP cut off", holding("a.png", encoded("WEBP")[:60]), A, r"(broken or cut off|not a readable)"),
    Bad("PNG header alone", holding("a.png", b"\x89PNG\r\n\x1a\n"), A, r"(broken or cut off|not a readable)"),
    Bad("bomb of pixels", holding("a.png", png_of(60000, 60000)), A, r"pixels that are accepted"),
    Bad("bomb of width", holding("a.png", png_of(2**31 - 1, 1)), A, r"(pixels that are accepted|broken)"),
    Bad("size 0", holding("a.png", png_of(0, 5)), A, r"(broken or cut off|not a readable|at least)"),
    Bad(
        "60,000 wide",
        picture("a.png", "L", (60000, 1)),
        A.replace("pixels", "skip"),
        r"(sides|too (small|narrow|large))",
    ),
    Bad("1 x 1", picture("a.png", "RGB", (1, 1)), A.replace("arch=pixels", ""), r"."),
    Bad(
        "mode F as TIFF",
        tiff("a.tif", np.full((32, 40), np.inf, np.float32)),
        A.replace("png", "tif"),
        r"(not finite|inf)",
    ),
    Bad("complex TIFF", tiff("a.tif", np.ones((32, 40), np.complex64)), A.replace("png", "tif"), r"complex"),
    Bad("all NaN", array("a.npy", np.full((32, 40), np.nan)), A.replace("png", "npy"), r"NaN"),
    Bad("some NaN", array("a.npy", np.where(np.eye(32, 40), np.nan, 0.5)), A.replace("png", "npy"), r"NaN"),
    Bad("infinite", array("a.npy", np.full((32, 40), np.inf)), A.replace("png", "npy"), r"inf"),
    Bad("objects", array("a.npy", np.array([[object()]])), A.replace("png", "npy"), r"Python objects and no numbers"),
    Bad("text array", array("a.npy", np.array([["a", "b"]])), A.replace("png", "npy"), r"(numbers|dtype|kind)"),
    Bad("1-D array", array("a.npy", np.zeros(9)), A.replace("png", "npy"), r"(axes|shape|dimension)"),
    Bad("5-D array", array("a.npy", np.zeros((2, 2, 2, 2, 2))), A.replace("png", "npy"), r"(axes|shape|dimension)"),
    Bad("empty array", array("a.npy", np.zeros((0, 4))), A.replace("png", "npy"), r"."),
    Bad("channels first", array("a.npy", np.zeros((3, 64, 64))), A.replace("png", "npy"), r"channels"),
    Bad("NumPy cut off", holding("a.npy", b"\x93NUMPY\1\0v\0"), A.replace("png", "npy"), r"broken or cut off"),
    Bad(
        "claims terabytes",
        holding(
            "a.npy",
            b"\x93NUMPY\1\0\x76\0"
            + b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000), }".ljust(117)
            + b"\n",
        ),
        A.replace("png", "npy"),
        r"(broken or cut off|pixels that are accepted)",
    ),
    Bad("a folder", lambda folder: (folder / "a.png").mkdir(), A, r"holds no picture"),
    Bad(
        "an empty folder", lambda folder: (folder / "scans").mkdir(), A.replace("a.png", "scans/"), r"holds no picture"
    ),
    Bad("a glob of nothing", nothing, A.replace("a.png", "*.png"), r"holds no picture"),
    Bad("links in a circle", loop, A, r"(no such file|Too many levels|symbolic)"),
    Bad("a link to nowhere", lambda folder: (folder / "a.png").symlink_to("gone"), A, r"no such file"),
    Bad("a pipe", pipe, A, r"not a regular file"),
    Bad("a device", nothing, A.replace("a.png", "/dev/zero"), r"not a regular file"),
    Bad("a null byte", nothing, A.replace("a.png", "a\0b.png"), r"."),
    Bad(
        "a name of 5,000 letters",
        nothing,
        A.replace("a.png", "a" * 5000),
        r"(File name too long|no such file|cannot be)",
    ),
    Bad("unicode that is not there", nothing, A.replace("a.png", "café.png"), r"café.png': there is no such file"),
    Bad("a leading dash", nothing, A.replace("a.png", "-a.png"), r"-a.png': there is no such file"),
    Bad("a newline", nothing, A.replace("a.png", "a\\nb.png"), r"no such file"),
    Bad("a wrong hash", OK, A + f" +image.sha256={'0' * 64}", r"sha256"),
]

MASKS = [
    Bad("mask that is not there", OK, INPAINT, r"mask 'm.png': there is no such file"),
    Bad("mask of another size", both(OK, picture("m.png", "1", (10, 10))), INPAINT, r"mask .*(10x10|size)"),
    Bad(
        "mask of nothing missing",
        both(OK, lambda f: Image.new("L", (40, 32), 255).save(f / "m.png")),
        INPAINT,
        r"missing",
    ),
    Bad("mask of all missing", both(OK, lambda f: Image.new("L", (40, 32), 0).save(f / "m.png")), INPAINT, r"missing"),
    Bad("mask of colours", both(OK, lambda f: Image.fromarray(COLOURS).save(f / "m.png")), INPAINT, r"mask"),
    Bad("mask that is text", both(OK, holding("m.png", "x")), INPAINT, r"mask 'm.png': this is not a readable"),
    Bad("mask of NaN", both(OK, array("m.npy", np.full((32, 40), np.nan))), INPAINT.replace("m.png", "m.npy"), r"."),
    Bad(
        "mask by a wrong way",
        both(OK, picture("m.png", "L")),
        INPAINT + " task.mask.read=sideways",
        r"task.mask.read: given 'sideways'",
    ),
    Bad("no mask at all", OK, INPAINT.replace("task.mask.path=m.png", ""), r"mask"),
]

PAIRS = [
    Bad("flash that is not there", OK, FLASH, r"f.png': there is no such file"),
    Bad("flash of another size", both(OK, picture("f.png", "RGB", (20, 20))), FLASH, r"(20x20|size)"),
    Bad("flash that is text", both(OK, holding("f.png", "x")), FLASH, r"f.png': this is not a readable"),
    Bad("input that is not there", OK, A + " input.path=z.png", r"z.png': there is no such file"),
    Bad("input of another size", both(OK, picture("z.png", "RGB", (9, 9))), A + " input.path=z.png", r"(9x9|size)"),
]

SETTINGS = [
    Bad("an unknown task", nothing, "task=nonsense", r"task=nonsense: there is no such option; task has"),
    Bad("an unknown key", nothing, PLAIN + " optim.lrr=1", r"optim.lrr"),
    Bad("a file as a word", OK, "a.png", r"for a file of yours write image.path=a.png"),
    Bad("text for a number", nothing, PLAIN + " optim.lr=fast", r"optim.lr: given 'fast'"),
    Bad("NaN for a number", nothing, PLAIN + " optim.lr=nan", r"optim.lr: given nan"),
    Bad("infinity for a number", nothing, PLAIN + " optim.lr=inf", r"optim.lr: given inf"),
    Bad("steps below 1", nothing, PLAIN + " optim.steps=0", r"optim.steps: given 0"),
    Bad("steps of a fraction", nothing, PLAIN + " optim.steps=1.5", r"optim.steps: given 1.5"),
    Bad("a negative seed", nothing, PLAIN + " seed=-1", r"seed: given -1"),
    Bad("a seed of text", nothing, PLAIN + " seed=x", r"seed"),
    Bad("noise below 0", nothing, PLAIN + " task.sigma=-5", r"task.sigma: given -5"),
    Bad("an unknown precision", nothing, PLAIN + " precision=fp8", r"precision"),
    Bad("an unknown scale", nothing, PLAIN + " scale=huge", r"scale"),
    Bad("a box outside", OK, A + " image.box=[90,90,9,9]", r"box"),
    Bad("a box of three", OK, A + " image.box=[1,2,3]", r"image.box"),
    Bad("shrunk to 0", OK, A + " image.shrink_to=0", r"image.shrink_to: given 0"),
    Bad("null bytes of memory", nothing, PLAIN + " memory_limit=0", r"memory_limit: given '0'"),
    Bad("memory of text", nothing, PLAIN + " memory_limit=lots", r"memory_limit: given 'lots'"),
    Bad("too little memory", nothing, PLAIN + " memory_limit=1MB", r"memory: .* needs about"),
    Bad("tiles of 7", OK, A + " tiles=7", r"tiles"),
    Bad("a removed group", nothing, PLAIN + " ~optim", r"~optim: every run has it"),
    Bad("a value that is gone", nothing, PLAIN + " results=", r"results: nothing was given; a folder's name"),
    Bad("results that are a file", holding("r", "x"), PLAIN + " results=r", r"results: .*cannot be written"),
    Bad("out that is there", both(OK, picture("o.png")), A + " out=o.png", r"o.png"),
    Bad("out of an unknown format", OK, A + " out=o.xyz", r"xyz"),
    Bad("out into no folder", OK, A + " out=a.png/o.png", r"a.png"),
    Bad("an unbalanced bracket", nothing, PLAIN + " image.box=[1,2", r"image.box"),
    Bad("an interpolation of nothing", nothing, PLAIN + " seed=${no.such}", r"no.such"),
    Bad("a variable of the environment", nothing, PLAIN + " results=x logger.folder=${oc.env:HOME}", r"."),
    Bad("a class that is none", nothing, PLAIN + " optim._target_=os.system", r"not trusted"),
    Bad(
        "a class of another group", nothing, PLAIN + " optim._target_=dip_exp.archs.skip.Skip", r"does not belong here"
    ),
    Bad("more than is finished", OK, A + " more=0", r"more: given 0"),
    Bad("an option of a sweep", nothing, PLAIN + " experiment=fig2_curves,fig7_text", r"one at a time"),
]

WEIGHTS = [
    Bad("weights that are not there", nothing, WEIGHED, r"w.pth"),
    Bad("weights that are text", holding("w.pth", "x"), WEIGHED, r"w.pth"),
    Bad("weights that are a pickle", holding("w.pth", b"cos\nsystem\n(S'touch ran'\ntR."), WEIGHED, r"w.pth"),
]

RECORDS = [
    Bad("a record that is empty", record(""), A, r"record: .*record.json is damaged"),
    Bad("a record cut off", record('{"run_id": "x", "sco'), A, r"record: .*record.json is damaged"),
    Bad("a record that is a list", record("[1, 2]"), A, r"record.json is damaged \(it is no record"),
    Bad("a record of nothing", record("{}"), A, r"record"),
    Bad("a record of wrong kinds", record(json.dumps({"schema": 3, "scores": 3, "stop": []})), A, r"record"),
]

TABLE = [*FILES, *MASKS, *PAIRS, *SETTINGS, *WEIGHTS, *RECORDS]
