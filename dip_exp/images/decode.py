"""Decodes the bytes of a picture file at the stored bit depth. The public interface is `images`."""

import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

import numpy as np
import png
from PIL import Image, ImageCms, ImageOps, PngImagePlugin, UnidentifiedImageError

from dip_exp.images import tiff
from dip_exp.images.arrays import as_rows
from dip_exp.images.pixels import BROKEN, MAX_PIXELS, Pixels, check_pages, check_size, refuse_broken, upright

FORMATS = ("PNG", "JPEG", "TIFF", "WEBP")
NPY = b"\x93NUMPY"
FITS = b"SIMPLE  ="
MAX_METADATA = 64 * 2**20
"""In bytes. A PNG's text, XMP and profile may be this large when unpacked; Pillow's own limit is 1 MB, less than what
some editors write."""


def decode(data: bytes, who: str, pages: tiff.Pages = None) -> Pixels:
    """Returns the pixels in a picture file's bytes, upright. pages: see `tiff.decode`. Raises ValueError, naming `who`,
    as `images.read` does."""
    with _quietly():
        try:
            return _decoded(data, who, pages)
        except Exception as error:  # what the decoders of a damaged file can raise has no end
            if isinstance(error, ValueError) and str(error).startswith(who):
                raise
            refuse_broken(who, error)


@contextmanager
def _quietly() -> Iterator[None]:
    """Silences what the decoders remark on while they read a file: it is read, or refused in our own words."""
    log = logging.getLogger("tifffile")
    before, log.disabled = log.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.disabled = before


def _decoded(data: bytes, who: str, pages: tiff.Pages) -> Pixels:
    if data.startswith(tiff.MAGIC):
        found = tiff.decode(data, who, pages)
        return found if isinstance(found, Pixels) else _decode_pil(data, who, found)
    if data.startswith(NPY):
        return _decode_npy(data, who)
    with _long_texts(who):
        if data.startswith(b"\x89PNG\r\n\x1a\n") and data[24:25] == b"\x10":  # PIL reads 16-bit colour as 8 bit
            return _decode_png16(data, who)
        return _decode_pil(data, who)


def _decode_npy(data: bytes, who: str) -> Pixels:
    try:
        _check_claim(data, who)
        values = np.load(BytesIO(data), allow_pickle=False)
    except BROKEN as error:
        if "allow_pickle" in str(error):
            raise ValueError(f"{who}: it holds Python objects and no numbers; save a plain array") from None
        refuse_broken(who, error)
    values = as_rows(values, who)
    check_size(values.shape[1], values.shape[0], who)
    return Pixels(values, plain=True)


def _check_claim(data: bytes, who: str) -> None:
    """Raises ValueError if an array's header claims more numbers than the file holds, before room is made for them."""
    file = BytesIO(data)
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, kind = read(file)
    claimed, held = math.prod(shape) * kind.itemsize, len(data) - file.tell()
    if claimed > held and not kind.hasobject:
        raise ValueError(f"it claims {claimed:,} bytes and holds {held:,}")


@contextmanager
def _long_texts(who: str) -> Iterator[None]:
    """Lets Pillow read a PNG's text and profile up to MAX_METADATA; what is larger is refused in true words."""
    before = PngImagePlugin.MAX_TEXT_CHUNK
    PngImagePlugin.MAX_TEXT_CHUNK = MAX_METADATA
    try:
        yield
    except ValueError as error:
        if "MAX_TEXT" not in str(error):
            raise
        raise ValueError(
            f"{who}: its text or colour profile has more than {MAX_METADATA >> 20} MB; save it without metadata"
        ) from None
    finally:
        PngImagePlugin.MAX_TEXT_CHUNK = before


def _open(data: bytes, who: str) -> Image.Image:
    too_large = f"{who}: it has more than the {MAX_PIXELS} pixels that are accepted; crop or shrink it first"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise ValueError(too_large) from None
    except UnidentifiedImageError:
        if data.startswith(FITS):
            raise ValueError(f"{who}: this is a FITS file; save its array with numpy.save (.npy)") from None
        raise ValueError(
            f"{who}: this is not a readable PNG, JPEG, TIFF or WebP picture; save it as one (or an array as .npy)"
        ) from None
    except BROKEN as error:
        refuse_broken(who, error)
    check_size(*image.size, who)
    return image


def _decode_pil(data: bytes, who: str, page: int = 0) -> Pixels:
    image = _open(data, who)
    if image.format not in ("TIFF", "MPO"):  # TIFF pages are already counted; MPO is a phone's JPEG plus previews
        check_pages(getattr(image, "n_frames", 1), who)
    try:
        if page:
            image.seek(page)
        image.load()
        image = ImageOps.exif_transpose(image)
    except BROKEN as error:
        refuse_broken(who, error)
    icc = image.info.get("icc_profile") or None
    if image.mode == "CMYK":
        return Pixels(np.asarray(_cmyk_to_rgb(image, icc, who)))
    if image.mode not in ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "YCbCr"):
        raise ValueError(f"{who}: its pixels are of the kind {image.mode}; save it as grey or RGB")
    grey = image.mode in ("1", "L", "LA", "La")
    wanted = ("L" if grey else "RGB") + ("A" if image.has_transparency_data else "")
    values = np.asarray(image.convert(wanted))
    entries = np.asarray(image) if image.mode == "P" else None
    return Pixels(values.reshape(*values.shape[:2], -1), icc, alpha=wanted.endswith("A"), entries=entries)


def _cmyk_to_rgb(image: Image.Image, icc: bytes | None, who: str) -> Image.Image:
    if icc is None:
        return image.convert("RGB")
    try:
        converted = ImageCms.profileToProfile(
            image, ImageCms.ImageCmsProfile(BytesIO(icc)), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        raise ValueError(f"{who}: its CMYK colour profile is unusable ({error}); save it as RGB") from error
    assert converted is not None  # only an in-place conversion returns nothing
    return converted


def _decode_png16(data: bytes, who: str) -> Pixels:
    image = _open(data, who)
    check_pages(getattr(image, "n_frames", 1), who)
    try:
        orientation = image.getexif().get(tiff.ORIENTATION_TAG, 1)
        reader = png.Reader(bytes=data)
        width, height, rows, info = reader.read()
        values = np.vstack([np.asarray(row, dtype=np.uint16) for row in rows]).reshape(height, width, info["planes"])
    except BROKEN as error:
        refuse_broken(who, error)
    if reader.transparent is not None:  # one colour is declared transparent
        opaque = (values != np.array(reader.transparent)).any(axis=2, keepdims=True)
        values = np.concatenate([values, np.where(opaque, 65535, 0).astype(np.uint16)], axis=2)
    icc = image.info.get("icc_profile") or None
    return Pixels(upright(values, orientation), icc, alpha=values.shape[2] in (2, 4))
