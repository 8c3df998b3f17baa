"""Decodes TIFF files of more than 8 bits or of several bands. The public interface is `images`."""

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import Literal, NoReturn

import numpy as np
import tifffile
from PIL import Image

from dip_exp.images.pixels import BROKEN, Pixels, check_pages, check_size, refuse_broken, upright
from dip_exp.shapes import Shaped

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
ICC_TAG, ORIENTATION_TAG = 34675, 274
DEFLATE = 8
BY_PILLOW = (5, 50000)
"""Compressions of bytes, LZW and ZSTD, that tifffile leaves to imagecodecs and Pillow can undo."""

NARROW = 32
"""Pages at most this wide, and at most half as wide as high, are an array (H, W, C) that was saved as H pages."""

Pages = Literal["bands"] | int | None


def decode(data: bytes, who: str, wanted: Pages = None) -> Pixels | int:
    """Returns the pixels of a TIFF file, upright; or, for 8-bit grey and colour, the page that Pillow is to read.

    wanted: `bands`: its pages are the bands of one picture; a number: that page, counted from 1; None: there must be
    one. Raises ValueError, naming `who`, as `images.read` does.
    """
    try:
        tiff = tifffile.TiffFile(BytesIO(data))
        pages = [page for page in tiff.pages if isinstance(page, tifffile.TiffPage)]
    except BROKEN as error:
        refuse_broken(who, error)
    # Thumbnails and masks may follow the picture as separate pages.
    main = [page for page in pages if not (page.is_reduced or page.is_mask)]
    if isinstance(wanted, int):
        if wanted > len(main):
            raise ValueError(f"{who}: it holds {len(main)} pages and page {wanted} is asked for  [image.pages=...]")
        main = [main[wanted - 1]]
    if len(main) > 1:
        return _stacked(main, who, wanted)
    check_pages(len(main), who)
    page = main[0]
    check_size(page.imagewidth, page.imagelength, who)
    return page.index if page.bitspersample <= 8 and not _is_bands(page) else _of_page(data, page, who)


def _is_bands(page: tifffile.TiffPage) -> bool:
    """Returns whether the samples of a pixel are bands, and not the colours of a picture (and its alpha)."""
    samples = page.samplesperpixel
    if page.photometric == 2:
        return samples > 4
    return page.photometric in (0, 1) and samples > 1 and (samples > 2 or _extra(page) not in (1, 2))


def _extra(page: tifffile.TiffPage) -> int | None:
    """Returns what the first extra sample is: 0 unspecified, 1 premultiplied alpha, 2 alpha; None without one."""
    return int(page.extrasamples[0]) if page.extrasamples else None


def _stacked(pages: list[tifffile.TiffPage], who: str, wanted: Pages) -> Pixels:
    """Returns the pages of a file as the bands of a picture, or as the rows of an array that was saved so."""
    first = pages[0]
    alike = all(page.shape == first.shape and page.axes == "YX" and page.dtype == first.dtype for page in pages)
    height, width = len(pages), first.imagewidth
    is_array = alike and width <= NARROW and 2 * width <= min(height, first.imagelength)
    if not is_array and not (alike and wanted == "bands"):
        check_pages(
            len(pages),
            who,
            "save the one you mean on its own, or give its number, image.pages=1 (TIFF); if the pages are the bands of "
            "one picture, image.pages=bands",
        )
    check_size(*((first.imagelength, height) if is_array else (width, first.imagelength)), who)
    try:
        values = np.stack([page.asarray() for page in pages])
    except (*BROKEN, ImportError) as error:
        _refuse(first, who, error)
    return Pixels(values if is_array else values.transpose(1, 2, 0))


def _of_page(data: bytes, page: tifffile.TiffPage, who: str) -> Pixels:
    kind = str(page.dtype) if page.bitspersample in (8, 16, 32, 64) else f"{page.bitspersample}-bit integer"
    if page.dtype is None or page.bitspersample not in (8, 16, 32, 64):
        raise ValueError(f"{who}: its values are {kind}; save it with 8 or 16 bits, or as float with white at 1")
    if page.photometric not in (0, 1, 2) or page.axes not in ("YX", "YXS", "SYX"):
        raise ValueError(
            f"{who}: a {kind} TIFF with colours {page.photometric} and axes {page.axes} is not understood; "
            "save it as one grey or RGB picture"
        )
    try:
        if page.compression in BY_PILLOW and page.predictor in (1, 2):
            page = _unpacked(data, page)
        values = np.asarray(page.asarray())
    except (*BROKEN, ImportError) as error:
        _refuse(page, who, error)
    return _meaning(values, page)


def _refuse(page: tifffile.TiffPage, who: str, error: Exception) -> NoReturn:
    if "imagecodecs" in str(error) or isinstance(error, ImportError):
        raise ValueError(
            f"{who}: a {page.dtype} TIFF compressed with {tifffile.COMPRESSION(page.compression).name} needs "
            "imagecodecs (pip install -e '.[tiff]'); or save it without compression or with deflate"
        ) from error
    refuse_broken(who, error)


def _meaning(values: np.ndarray, page: tifffile.TiffPage) -> Pixels:
    if page.axes == "SYX":
        values = values.transpose(1, 2, 0)
    values = values.reshape(*values.shape[:2], -1)
    icc = page.tags.valueof(ICC_TAG) or None
    orientation = page.tags.valueof(ORIENTATION_TAG, default=1)
    if _is_bands(page):
        return Pixels(upright(values, orientation), icc)
    colours = 3 if page.photometric == 2 else 1
    extra = _extra(page)
    if extra == 0:  # declared as neither alpha nor colour
        values = values[:, :, :colours]
    white = float(np.iinfo(values.dtype).max) if values.dtype.kind in "iu" else 1.0
    if page.photometric == 0:  # zero is stored as white
        inverted = (white - values[:, :, :1]).astype(values.dtype)
        values = np.concatenate([inverted, values[:, :, 1:]], axis=2)
    if extra == 1:
        values = _unassociated(values, white)
    return Pixels(upright(values, orientation), icc, alpha=values.shape[2] > colours)


def _unassociated(values: Shaped[np.ndarray, "H W S"], white: float) -> Shaped[np.ndarray, "H W S"]:
    """Returns values (H,W,S) with premultiplied colours divided by their alpha."""
    alpha = values[:, :, -1:].astype(np.float64) / white
    colours = np.where(alpha > 0, values[:, :, :-1] / np.maximum(alpha, 1e-12), 0).clip(0, white)
    colours = np.rint(colours) if values.dtype.kind in "iu" else colours
    return np.concatenate([colours.astype(values.dtype), values[:, :, -1:]], axis=2)


# -- LZW and ZSTD: Pillow's decoder of 8-bit rows unpacks the bytes, tifffile reads what they mean ---------------------


def _unpacked(data: bytes, page: tifffile.TiffPage) -> tifffile.TiffPage:
    """Returns the page of a copy of the file whose segments are packed by deflate instead, which tifffile can undo
    (together with a predictor, which it cannot for segments that are not packed at all)."""
    copy = BytesIO(data)
    copy.seek(0, 2)
    offsets, counts = [], []
    for segment, size in zip(_segments(data, page), _sizes(page), strict=True):
        packed = zlib.compress(_bytes_of(segment, int(page.compression), size), level=1) if segment else b""
        offsets.append(copy.tell() if packed else 0)
        counts.append(len(packed))
        copy.write(packed)
    copy.seek(0)
    with tifffile.TiffFile(copy, mode="r+") as tiff:
        tags = tiff.pages[page.index].aspage().tags
        place = "Tile" if page.is_tiled else "Strip"
        tags["Compression"].overwrite(DEFLATE)
        tags[f"{place}Offsets"].overwrite(offsets, dtype="Q" if tiff.is_bigtiff else "I")
        tags[f"{place}ByteCounts"].overwrite(counts, dtype="Q" if tiff.is_bigtiff else "I")
    return tifffile.TiffFile(BytesIO(copy.getvalue())).pages[page.index].aspage()


def _segments(data: bytes, page: tifffile.TiffPage) -> Iterator[bytes]:
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        yield data[offset : offset + count]


def _sizes(page: tifffile.TiffPage) -> Iterator[tuple[int, int]]:
    """Yields, for each segment, (bytes of a row, rows) of its unpacked data."""
    samples = page.samplesperpixel if page.planarconfig == 1 else 1
    planes = 1 if page.planarconfig == 1 else page.samplesperpixel
    of_a_pixel = samples * page.bitspersample // 8
    if page.is_tiled:
        for _ in page.dataoffsets:
            yield page.tilewidth * of_a_pixel, page.tilelength
        return
    for _ in range(planes):
        for top in range(0, page.imagelength, page.rowsperstrip):
            yield page.imagewidth * of_a_pixel, min(page.rowsperstrip, page.imagelength - top)


def _bytes_of(segment: bytes, compression: int, size: tuple[int, int]) -> bytes:
    """Returns the unpacked bytes of a segment, read as an 8-bit grey picture of `size` (width, height)."""
    width, height = size
    shape = {256: width, 257: height, 258: 8, 259: compression, 262: 1, 273: 0, 277: 1, 278: height, 279: len(segment)}
    start = 8 + 2 + 12 * len(shape) + 4
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, start if tag == 273 else n) for tag, n in shape.items())
    header = struct.pack("<2sHIH", b"II", 42, 8, len(shape)) + entries + bytes(4)
    with Image.open(BytesIO(header + segment), formats=["TIFF"]) as image:
        return image.tobytes()
