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
from dip_exp.images.arrays import Values, scaled, unscaled
from dip_exp.images.decode import decode
from dip_exp.images.picture import Picture, check_layout, shown
from dip_exp.images.pixels import SPAN_OF_BITS, Pixels, span
from dip_exp.images.tiff import Pages
from dip_exp.shapes import Float, Float32


def read(
    path: str | os.PathLike[str],
    sha256: str | None = None,
    *,
    values: Values = None,
    pages: Pages = None,
    what: str = "image",
) -> Picture:
    """Returns the picture in a PNG, JPEG, TIFF, WebP or NumPy (.npy) file. The content decides the format, not the
    name.

    Grey stays one channel; 16-bit and float files keep their depth; a TIFF or an array may have any number of bands.
    Palettes and CMYK become RGB (CMYK through its profile, which is then dropped). The EXIF orientation is applied.
    Alpha is returned separately, and dropped if it is 1 everywhere. A 16-bit PNG takes up to two seconds per megapixel.

    sha256: the hash that the file must have; None: not checked. values: the stored values of black and white, or
    `auto`, which finds them; NaN then stays NaN, a value that is missing. None: those of the type; others are refused.
    pages: see `tiff.decode`. what: what the file is, for errors. Raises FileNotFoundError, IsADirectoryError or
    PermissionError; ValueError if the file is not one complete picture of at most MAX_PIXELS, or does not have the
    declared hash.
    """
    path = Path(path)
    who = f"{what} {str(path)!r}"
    pixels, content = pixels_of(path, sha256, what=what, pages=pages)
    ends = span(pixels.colours, values, who)
    x = scaled(pixels.colours, ends)
    alpha = alpha_of(pixels)
    usual = SPAN_OF_BITS.get(str(pixels.values.dtype), (0.0, 1.0))
    beyond = values is not None and (ends != usual or not (np.nanmin(x) >= 0 and np.nanmax(x) <= 1))
    special = beyond or bool(np.isnan(x).any())
    # A name that is not UTF-8 would break every table it is written to.
    name = os.fsencode(path.stem).decode("utf-8", "replace")
    return Picture(
        x,
        alpha,
        pixels.icc,
        pixels.depth if ends == usual else "float",
        name,
        content,
        ends=ends if special else None,
        plain=pixels.plain,
        notes=(*_bands(x), *(_notes(x, ends, usual, values) if special else ())),
    )


def _bands(x: np.ndarray) -> tuple[str, ...]:
    """Returns how an array with more bands than colours was read: nothing in it tells bands from the slices of a
    volume."""
    _, bands, height, width = x.shape
    return (f"read as {width}x{height} pixels with {bands} bands each",) if bands > 4 else ()


def _notes(x: np.ndarray, ends: tuple[float, float], usual: tuple[float, float], values: Values) -> tuple[str, ...]:
    """Returns what the user should know of how the stored values were read."""
    notes = []
    if ends != usual and values == "auto":
        notes.append(
            f"the picture's values lie in [{ends[0]:g}, {ends[1]:g}], and these two are read as black and white "
            "(image.scale=[lo,hi] sets others); the result has the picture's units"
        )
    elif np.nanmin(x) < 0 or np.nanmax(x) > 1:
        low, high = (float(end) for end in unscaled(np.array([np.nanmin(x), np.nanmax(x)], np.float32), ends))
        notes.append(
            f"the picture's values lie in [{low:g}, {high:g}]; what lies beyond black, {ends[0]:g}, and white, "
            f"{ends[1]:g}, is read as noise that was not clipped (image.scale=[lo,hi] sets other values)"
        )
    missing = int(np.isnan(x).any(axis=1).sum())
    if missing:
        notes.append(f"{missing} of {x[0, 0].size} pixels have NaN values and are missing")
    return tuple(notes)


def pixels_of(path: Path, sha256: str | None = None, *, what: str = "image", pages: Pages = None) -> tuple[Pixels, str]:
    """Returns a file's pixels as they are stored, and its sha256. Raises as `read`."""
    who = f"{what} {str(path)!r}"
    if sha256 is not None and not path.exists():
        raise FileNotFoundError(f"{what}: {sets.missing(str(path), sha256)}")
    with _opened(path, what) as file:
        data = file.read()
    content = hashlib.sha256(data).hexdigest()
    if sha256 not in (None, content):
        raise ValueError(f"{who}: its sha256 is {content}, but {sha256} was declared; get the declared file")
    if not data:
        raise ValueError(f"{who}: the file is empty (0 bytes); was it saved or copied to the end?")
    return decode(data, who, pages), content


def file_sha256(path: str | os.PathLike[str], what: str = "image") -> str:
    """Returns the sha256 (hex) of a file's bytes, without decoding. Raises as `read` if it is not a readable file."""
    with _opened(Path(path), what) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def alpha_of(pixels: Pixels) -> Float32[np.ndarray, "H W"] | None:
    """Returns alpha (H,W), float32 in [0,1], or None if nothing is transparent."""
    if not pixels.alpha:
        return None
    low, high = SPAN_OF_BITS.get(str(pixels.values.dtype), (0.0, 1.0))
    alpha = scaled(pixels.values[:, :, -1:], (low, high))[0, 0].clip(0, 1)
    return None if (alpha == 1).all() else alpha


@contextmanager
def _opened(path: Path, what: str) -> Iterator[BufferedReader]:
    who = f"{what} {str(path)!r}"
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
    alpha: Float[np.ndarray, "_ _"] | None = None,
) -> Path:
    """Writes x (1,C,H,W), float32, clipped to [0,1], as an 8-bit PNG, rounded to the nearest level; returns the path.

    Bands that are neither grey nor RGB are shown by their mean. The colour profile of `like` is kept if it fits the
    channels, and so is its alpha, resized bicubically to x; `alpha` (H,W) replaces that alpha. An existing file is
    replaced atomically. Raises TypeError or ValueError if x is not a picture, OSError if the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f"write {str(path)!r}: pictures are written as PNG; let the name end in .png")
    x = shown(_finite(x, f"write {str(path)!r}"))
    write_bytes(path, _png8(_with_alpha(x, like, alpha), _profile(x, like)))
    return path


def write_restored(folder: str | os.PathLike[str], x: Float32[np.ndarray, "1 C H W"], like: Picture) -> list[Path]:
    """Writes the restored x (1,C,H,W) into an existing folder at the bit depth of its source; returns the files' paths.

    restored.png has 8 bits, or 16 if `like` has 16. For a float source, restored.tif holds float32 as well; for an
    array (.npy) or bands that are neither grey nor RGB, restored.npy holds (H, W) or (H, W, C): in the type of the
    source if that has 8 or 16 unsigned bits, else float32. Both have the units of the source (`like.ends`) and are not
    clipped if those are not [0, 1]. Clipping of the PNG, profile, alpha and errors are as for `write`.
    """
    target = Path(folder) / "restored.png"
    x = _finite(x, f"write {str(target)!r}")
    picture = shown(x)
    values, icc = _with_alpha(picture, like, None), _profile(picture, like)
    write_bytes(target, _png16(values, icc) if like.depth == "uint16" else _png8(values, icc))
    written = [target]
    if like.plain or x.shape[1] not in (1, 3):
        written.append(target.with_suffix(".npy"))
        write_bytes(written[-1], _npy(x, like))
    elif like.depth == "float":
        written.append(target.with_suffix(".tif"))
        own = values if like.ends is None else _with_alpha(unscaled(x, like.ends), like, None)
        write_bytes(written[-1], _tiff_float(own, icc))
    return written


def _npy(x: Float32[np.ndarray, "1 C H W"], like: Picture) -> bytes:
    low, high = SPAN_OF_BITS.get(like.depth, (0.0, 1.0)) if like.ends is None else like.ends
    x = np.clip(x, 0, 1) if like.ends is None else x
    values = unscaled(x, (low, high))[0].transpose(1, 2, 0)
    if like.depth != "float":
        values = np.rint(values).clip(low, high).astype(like.depth)
    file = BytesIO()
    np.save(file, np.ascontiguousarray(values[:, :, 0] if values.shape[2] == 1 else values), allow_pickle=False)
    return file.getvalue()


def _finite(x: Float32[np.ndarray, "1 C H W"], who: str) -> Float32[np.ndarray, "1 C H W"]:
    """Returns x. Raises ValueError for NaN or infinity, or if x is not laid out as a picture."""
    check_layout(x, who)
    bad = x.size - int(np.isfinite(x).sum())
    if bad:
        raise ValueError(f"{who}: {bad} of {x.size} values are NaN or infinite; nothing is written")
    return x


def _with_alpha(
    x: Float32[np.ndarray, "1 C H W"], like: Picture | None, alpha: Float[np.ndarray, "_ _"] | None
) -> Float[np.ndarray, "H W S"]:
    """Returns (H,W,S); the last channel is the alpha, if there is one."""
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
