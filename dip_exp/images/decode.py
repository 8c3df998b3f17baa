"""Decodes the bytes of a picture file at the stored bit depth. The public interface is `images`."""

import struct
import warnings
import zlib
from io import BytesIO
from typing import Literal, NamedTuple, NoReturn

import numpy as np
import png
import tifffile
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from dip_exp.shapes import Num

Depth = Literal["uint8", "uint16", "float"]

MAX_PIXELS = 2**26  # 8192 x 8192: below PIL's own warning, far more than a network can fit
FORMATS = ("PNG", "JPEG", "TIFF", "WEBP")
ICC_TAG, ORIENTATION_TAG = 34675, 274
# What decoders raise for broken files. MemoryError is deliberately not listed, so it propagates.
BROKEN = (OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, struct.error, zlib.error, png.Error)
BROKEN += (tifffile.TiffFileError, ArithmeticError)


class Pixels(NamedTuple):
    values: Num[np.ndarray, "H W S"]  # as stored, S = 1 grey, 2 grey + alpha, 3 RGB, 4 RGB + alpha
    depth: Depth
    icc: bytes | None


def check_range(values: np.ndarray, who: str) -> None:
    """Raises ValueError, naming `who`, if a value is NaN, infinite or outside [0, 1]."""
    bad = values.size - int(np.isfinite(values).sum())
    if bad:
        raise ValueError(f"{who}: {bad} of {values.size} values are NaN or infinite; replace them first")
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 1:
        raise ValueError(
            f"{who}: values lie in [{low:g}, {high:g}], a float picture lies in [0, 1]; "
            "divide by the value of white (255 for 8-bit data), or clip, and save it again"
        )


def _refuse_broken(who: str, error: Exception) -> NoReturn:
    raise ValueError(f"{who}: the picture is broken or cut off ({error}); save or copy it again") from error


def decode(data: bytes, who: str) -> Pixels:
    """Returns the pixels in a picture file's bytes, upright. Raises ValueError, naming `who`, as `images.read` does."""
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return _decode_tiff(data, who)
    if data.startswith(b"\x89PNG\r\n\x1a\n") and data[24:25] == b"\x10":  # PIL reads 16-bit colour as 8 bit
        return _decode_png16(data, who)
    return _decode_pil(data, who)


def _open(data: bytes, who: str) -> Image.Image:
    too_large = f"{who}: it has more than the {MAX_PIXELS} pixels that are accepted; crop or shrink it first"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise ValueError(too_large) from None
    except UnidentifiedImageError:
        raise ValueError(f"{who}: this is not a readable PNG, JPEG, TIFF or WebP picture; save it as one") from None
    except BROKEN as error:
        _refuse_broken(who, error)
    _check_size(*image.size, who)
    return image


def _check_size(width: int, height: int, who: str) -> None:
    if not width or not height:
        raise ValueError(f"{who}: it is {width}x{height}, a picture has at least one pixel; save it again")
    if width * height > MAX_PIXELS:
        raise ValueError(
            f"{who}: it is {width}x{height}, more than the {MAX_PIXELS} pixels that are accepted; "
            "crop or shrink it first"
        )


def _check_pages(pages: int, who: str) -> None:
    if pages != 1:
        raise ValueError(f"{who}: it holds {pages} pages or frames, one is needed; save the one you mean on its own")


def _decode_pil(data: bytes, who: str, page: int = 0) -> Pixels:
    image = _open(data, who)
    if image.format not in ("TIFF", "MPO"):  # TIFF pages are already counted; MPO is a phone's JPEG plus previews
        _check_pages(getattr(image, "n_frames", 1), who)
    try:
        if page:
            image.seek(page)
        image.load()
        image = ImageOps.exif_transpose(image)
    except BROKEN as error:
        _refuse_broken(who, error)
    icc = image.info.get("icc_profile") or None
    if image.mode == "CMYK":
        return Pixels(np.asarray(_cmyk_to_rgb(image, icc, who)), "uint8", None)
    if image.mode not in ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "YCbCr"):
        raise ValueError(f"{who}: its pixels are of the kind {image.mode}; save it as grey or RGB")
    grey = image.mode in ("1", "L", "LA", "La")
    wanted = ("L" if grey else "RGB") + ("A" if image.has_transparency_data else "")
    values = np.asarray(image.convert(wanted))
    return Pixels(values.reshape(*values.shape[:2], -1), "uint8", icc)


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
    _check_pages(getattr(image, "n_frames", 1), who)
    try:
        orientation = image.getexif().get(ORIENTATION_TAG, 1)
        reader = png.Reader(bytes=data)
        width, height, rows, info = reader.read()
        values = np.vstack([np.asarray(row, dtype=np.uint16) for row in rows]).reshape(height, width, info["planes"])
    except BROKEN as error:
        _refuse_broken(who, error)
    if reader.transparent is not None:  # one colour is declared transparent
        opaque = (values != np.array(reader.transparent)).any(axis=2, keepdims=True)
        values = np.concatenate([values, np.where(opaque, 65535, 0).astype(np.uint16)], axis=2)
    return Pixels(_upright(values, orientation), "uint16", image.info.get("icc_profile") or None)


def _decode_tiff(data: bytes, who: str) -> Pixels:
    try:
        tiff = tifffile.TiffFile(BytesIO(data))
        pages = [page for page in tiff.pages if isinstance(page, tifffile.TiffPage)]
    except BROKEN as error:
        _refuse_broken(who, error)
    # Thumbnails and masks may follow the picture as separate pages.
    main = [page for page in pages if not (page.is_reduced or page.is_mask)]
    _check_pages(len(main), who)
    page = main[0]
    _check_size(page.imagewidth, page.imagelength, who)
    if page.bitspersample <= 8:
        return _decode_pil(data, who, page.index)
    kind = str(page.dtype) if page.bitspersample in (16, 32, 64) else f"{page.bitspersample}-bit integer"
    if kind not in ("uint16", "float16", "float32", "float64"):
        raise ValueError(f"{who}: its values are {kind}; save it with 8 or 16 bits, or as float with white at 1")
    if page.photometric not in (0, 1, 2) or page.axes not in ("YX", "YXS", "SYX"):
        raise ValueError(
            f"{who}: a {kind} TIFF with colours {page.photometric} and axes {page.axes} is not understood; "
            "save it as one grey or RGB picture"
        )
    try:
        values = np.asarray(page.asarray())
    except BROKEN as error:
        if "imagecodecs" in str(error):
            raise ValueError(
                f"{who}: a {kind} TIFF compressed with {tifffile.COMPRESSION(page.compression).name} is not supported; "
                "save it without compression or with deflate"
            ) from error
        _refuse_broken(who, error)
    return _tiff_pixels(values, page, who)


def _tiff_pixels(values: np.ndarray, page: tifffile.TiffPage, who: str) -> Pixels:
    depth: Depth = "uint16" if values.dtype.kind == "u" else "float"
    if page.axes == "SYX":
        values = values.transpose(1, 2, 0)
    values = values.reshape(*values.shape[:2], -1)
    if depth == "float":
        check_range(values, who)
    colours = 3 if page.photometric == 2 else 1
    if values.shape[2] not in (colours, colours + 1):
        raise ValueError(f"{who}: it has {values.shape[2]} samples a pixel, grey has 1 and RGB 3 (and alpha 1 more)")
    extra = int(page.extrasamples[0]) if page.extrasamples else None
    if extra == 0:  # declared as neither alpha nor colour
        values = values[:, :, :colours]
    if page.photometric == 0:  # zero is stored as white
        white = 65535 if depth == "uint16" else 1
        values = np.concatenate([white - values[:, :, :1], values[:, :, 1:]], axis=2)
    if extra == 1:
        values = _unassociated(values, depth)
    orientation = page.tags.valueof(ORIENTATION_TAG, default=1)
    return Pixels(_upright(values, orientation), depth, page.tags.valueof(ICC_TAG) or None)


def _unassociated(values: Num[np.ndarray, "H W S"], depth: Depth) -> Num[np.ndarray, "H W S"]:
    """Returns values (H,W,S) with premultiplied colours divided by their alpha."""
    white = 65535 if depth == "uint16" else 1
    alpha = values[:, :, -1:].astype(np.float64) / white
    colours = np.where(alpha > 0, values[:, :, :-1] / np.maximum(alpha, 1e-12), 0).clip(0, white)
    colours = np.rint(colours) if depth == "uint16" else colours
    return np.concatenate([colours.astype(values.dtype), values[:, :, -1:]], axis=2)


def _upright(values: Num[np.ndarray, "H W S"], orientation: int) -> Num[np.ndarray, "h w S"]:
    """Returns values (H,W,S) with an EXIF orientation (1 to 8) applied; any other number changes nothing."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    return values[:, ::-1] if orientation in (2, 3, 6, 7) else values
