"""Reads picture files as float32 pictures, and writes pictures at the bit depth of their source."""

import difflib
import hashlib
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, BytesIO
from pathlib import Path

import numpy as np
import png
import tifffile
from PIL import Image

from dip_exp.atomic import write_bytes
from dip_exp.images import sets
from dip_exp.images.decode import decode
from dip_exp.images.picture import Picture, _check_layout, to_grey
from dip_exp.shapes import Float, Float32, Num

WHITE = {"uint8": 255, "uint16": 65535, "float": 1}


def read(path: str | os.PathLike[str], sha256: str | None = None) -> Picture:
    """Returns the picture in a PNG, JPEG, TIFF or WebP file. The content decides the format, not the name.

    Grey stays one channel; 16-bit and float files keep their depth. Palettes and CMYK become RGB (CMYK through its
    profile, which is then dropped). The EXIF orientation is applied. Alpha is returned separately, and dropped if it is
    1 everywhere. A 16-bit PNG takes up to two seconds per megapixel. `sha256`: the hash that the file must have; None:
    not checked. Raises FileNotFoundError, IsADirectoryError or PermissionError; ValueError if the file is not one
    complete picture of at most MAX_PIXELS, or does not have the declared hash.
    """
    path = Path(path)
    who = f"image {str(path)!r}"
    if sha256 is not None and not path.exists():
        raise FileNotFoundError(f"image: {sets.missing(str(path), sha256)}")
    with _opened(path) as file:
        data = file.read()
    content = hashlib.sha256(data).hexdigest()
    if sha256 not in (None, content):
        raise ValueError(f"{who}: its sha256 is {content}, but {sha256} was declared; get the declared file")
    if not data:
        raise ValueError(f"{who}: the file is empty (0 bytes); was it saved or copied to the end?")
    pixels = decode(data, who)
    x, alpha = _planes(pixels.values, WHITE[pixels.depth])
    # A name that is not UTF-8 would break every table it is written to.
    name = os.fsencode(path.stem).decode("utf-8", "replace")
    return Picture(x, alpha, pixels.icc, pixels.depth, name, content)


def file_sha256(path: str | os.PathLike[str]) -> str:
    """Returns the sha256 (hex) of a file's bytes, without decoding. Raises as `read` if it is not a readable file."""
    with _opened(Path(path)) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_mask(
    path: str | os.PathLike[str], flip: bool = False, threshold: float = 0.5, sha256: str | None = None
) -> Float32[np.ndarray, "1 1 H W"]:
    """Returns a mask file as (1,1,H,W) float32 of 0 and 1: luma from `threshold` up is 1, known; below it 0, missing.

    If all pixels have one colour and the alpha varies, the alpha is used instead (opaque is known). `flip` swaps known
    and missing. Raises as `read`.
    """
    picture = read(path, sha256)
    brightness = to_grey(picture.x)
    if picture.alpha is not None and (picture.x == picture.x[:, :, :1, :1]).all():
        brightness = picture.alpha[None, None]
    return ((brightness >= threshold) != flip).astype(np.float32)


def _planes(
    values: Num[np.ndarray, "H W S"], white: int
) -> tuple[Float32[np.ndarray, "1 C H W"], Float32[np.ndarray, "H W"] | None]:
    """Returns x (1,C,H,W) and alpha (H,W) or None, both float32 in [0,1]."""
    scaled = (values.astype(np.float64) / white).astype(np.float32)
    has_alpha = scaled.shape[2] in (2, 4)
    alpha = np.ascontiguousarray(scaled[:, :, -1]) if has_alpha else None
    colours = scaled[:, :, :-1] if has_alpha else scaled
    x = np.ascontiguousarray(colours.transpose(2, 0, 1)[None])
    return x, None if alpha is None or (alpha == 1).all() else alpha


@contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
    who = f"image {str(path)!r}"
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(f"{who}: this is a folder; name one picture file in it")
        if not stat.S_ISREG(mode):
            raise ValueError(f"{who}: this is not a regular file (a pipe or a device); save the picture to a file")
        file = path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"{who}: there is no such file; {_neighbours(path)}") from None
    except PermissionError:
        raise PermissionError(f"{who}: no permission to read it; change the file's or the folder's rights") from None
    with file:
        yield file


def _neighbours(path: Path) -> str:
    folder = path.absolute().parent
    if not folder.is_dir():
        return f"nor is there a folder {str(folder)!r}; correct the path"
    try:
        names = {entry.name.lower(): entry.name for entry in folder.iterdir() if entry != path.absolute()}
    except OSError:
        names = {}
    near = [repr(names[name]) for name in difflib.get_close_matches(path.name.lower(), names, n=3)]
    return f"nearest names in its folder: {', '.join(near)}" if near else f"no name in {str(folder)!r} is like it"


def write(
    path: str | os.PathLike[str],
    x: Float32[np.ndarray, "1 C H W"],
    like: Picture | None = None,
    alpha: Float[np.ndarray, "H W"] | None = None,
) -> Path:
    """Writes x (1,C,H,W), float32, clipped to [0,1], as an 8-bit PNG, rounded to the nearest level; returns the path.

    The colour profile of `like` is kept if it fits the channels, and so is its alpha, resized bicubically to x; `alpha`
    (H,W) replaces that alpha. An existing file is replaced atomically. Raises TypeError or ValueError if x is not a
    picture, OSError if the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f"write {str(path)!r}: pictures are written as PNG; let the name end in .png")
    values = _with_alpha(_clipped(x, f"write {str(path)!r}"), like, alpha)
    write_bytes(path, _png8(values, _profile(x, like)))
    return path


def write_restored(folder: str | os.PathLike[str], x: Float32[np.ndarray, "1 C H W"], like: Picture) -> list[Path]:
    """Writes the restored x (1,C,H,W) into an existing folder at the bit depth of its source; returns the files' paths.

    restored.png has 8 bits, or 16 if `like` has 16; for a float source, restored.tif holds float32 as well. Clipping,
    profile, alpha and errors are as for `write`.
    """
    target = Path(folder) / "restored.png"
    values = _with_alpha(_clipped(x, f"write {str(target)!r}"), like, None)
    icc = _profile(x, like)
    write_bytes(target, _png16(values, icc) if like.depth == "uint16" else _png8(values, icc))
    if like.depth != "float":
        return [target]
    floats = target.with_suffix(".tif")
    write_bytes(floats, _tiff_float(values, icc))
    return [target, floats]


def _clipped(x: Float32[np.ndarray, "1 C H W"], who: str) -> Float32[np.ndarray, "1 C H W"]:
    """Returns x clipped to [0,1], as networks and filters overshoot a little. Raises ValueError for NaN or infinity."""
    _check_layout(x, who)
    bad = x.size - int(np.isfinite(x).sum())
    if bad:
        raise ValueError(f"{who}: {bad} of {x.size} values are NaN or infinite; nothing is written")
    return np.clip(x, 0, 1)


def _with_alpha(
    x: Float32[np.ndarray, "1 C H W"], like: Picture | None, alpha: Float[np.ndarray, "_ _"] | None
) -> Float[np.ndarray, "H W S"]:
    """Returns (H,W,S) in [0,1]; the last channel is the alpha, if there is one."""
    values = x[0].transpose(1, 2, 0)
    height, width = values.shape[:2]
    if alpha is None and like is not None and like.alpha is not None:
        alpha = np.asarray(Image.fromarray(like.alpha).resize((width, height), Image.Resampling.BICUBIC))
    if alpha is None:
        return values
    if alpha.shape != (height, width):
        raise ValueError(f"write: alpha is {alpha.shape}, the picture {(height, width)}; give it at the picture's size")
    return np.concatenate([values, np.clip(alpha, 0, 1)[:, :, None]], axis=2)


def _profile(x: Float32[np.ndarray, "1 C H W"], like: Picture | None) -> bytes | None:
    # A profile of another colour space (an RGB profile on a picture made grey) makes viewers reject the file.
    space = b"GRAY" if x.shape[1] == 1 else b"RGB "
    return like.icc if like is not None and like.icc is not None and like.icc[16:20] == space else None


def _png8(values: Float[np.ndarray, "H W S"], icc: bytes | None) -> bytes:
    levels = np.rint(values * 255).astype(np.uint8)
    file = BytesIO()
    Image.fromarray(levels[:, :, 0] if levels.shape[2] == 1 else levels).save(file, "PNG", icc_profile=icc)
    return file.getvalue()


def _png16(values: Float[np.ndarray, "H W S"], icc: bytes | None) -> bytes:
    height, width, samples = values.shape
    rows = np.rint(values.astype(np.float64) * 65535).astype(">u2").reshape(height, -1)
    writer = png.Writer(width, height, greyscale=samples < 3, alpha=samples in (2, 4), bitdepth=16)
    file = BytesIO()
    writer.write_packed(file, (row.tobytes() for row in rows))
    if icc is None:
        return file.getvalue()
    chunks = list(png.Reader(bytes=file.getvalue()).chunks())
    chunks.insert(1, (b"iCCP", b"ICC profile\0\0" + zlib.compress(icc)))  # after the header, before the pixels
    file = BytesIO()
    png.write_chunks(file, chunks)
    return file.getvalue()


def _tiff_float(values: Float[np.ndarray, "H W S"], icc: bytes | None) -> bytes:
    samples = values.shape[2]
    file = BytesIO()
    tifffile.imwrite(
        file,
        values[:, :, 0] if samples == 1 else values.astype(np.float32),
        photometric="rgb" if samples > 2 else "minisblack",
        planarconfig=None if samples == 1 else "contig",
        extrasamples=["unassalpha"] if samples in (2, 4) else None,
        iccprofile=icc,
        metadata=None,
    )
    return file.getvalue()
