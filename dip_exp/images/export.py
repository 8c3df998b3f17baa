"""Writes a run's restored picture in the format that a file's suffix names."""

from io import BytesIO
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from dip_exp.images import pixels
from dip_exp.images.files import read
from dip_exp.images.picture import Picture

MOST = {".jpg": 65500, ".jpeg": 65500, ".webp": 16383}
"""The largest side in pixels that a format holds, where there is one."""

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")
JPEG_QUALITY = 95


def check(suffix: str, size: tuple[int, int], *, has_alpha: bool) -> None:
    """Raises ValueError if a format cannot hold a picture of `size` (width, height) in pixels, or its alpha, or if it
    has so many pixels that its restored.png is not read again."""
    if has_alpha and suffix in (".jpg", ".jpeg"):
        raise ValueError("JPEG holds no alpha, and this picture has one; let the name end in .png, .tif or .webp")
    if suffix != ".png" and size[0] * size[1] > pixels.MAX_PIXELS:
        raise ValueError(
            f"the restored picture is {size[0]}x{size[1]}; with more than {pixels.MAX_PIXELS} pixels it is written as "
            "PNG alone; let the name end in .png"
        )
    most = MOST.get(suffix)
    if most is not None and max(size) > most:
        raise ValueError(
            f"a {suffix} file holds at most {most} pixels a side, and the restored picture is {size[0]}x{size[1]}; "
            f"let the name end in .png or .tif"
        )


def exported(folder: Path, suffix: str) -> bytes:
    """Returns the content of a file in the format of `suffix`, from a run's restored.png or restored.tif.

    PNG: restored.png as it is. TIFF: float32 if there is a restored.tif, else the depth of restored.png. WebP:
    lossless, 8 bits. JPEG: quality 95 without chroma subsampling, 8 bits. Profile and alpha are kept. Raises OSError or
    ValueError if the restored picture cannot be read.
    """
    png, tif = folder / "restored.png", folder / "restored.tif"
    is_tiff = suffix in (".tif", ".tiff")
    if suffix == ".png" or (is_tiff and tif.is_file()):
        return (tif if is_tiff else png).read_bytes()
    picture = read(png)
    levels = _levels(picture, np.uint16 if is_tiff and picture.depth == "uint16" else np.uint8)
    file = BytesIO()
    if is_tiff:
        _write_tiff(file, levels, picture.icc)
        return file.getvalue()
    image = Image.fromarray(levels[:, :, 0] if levels.shape[2] == 1 else levels)
    if suffix == ".webp":
        image.convert("RGBA" if picture.alpha is not None else "RGB").save(
            file, "WEBP", lossless=True, exact=True, icc_profile=picture.icc
        )
    else:
        image.save(file, "JPEG", quality=JPEG_QUALITY, subsampling=0, icc_profile=picture.icc)
    return file.getvalue()


def _levels(picture: Picture, depth: type[np.uint8] | type[np.uint16]) -> np.ndarray:
    """Returns whole levels (H, W, samples), the alpha last."""
    values = picture.x[0].transpose(1, 2, 0).astype(np.float64)
    if picture.alpha is not None:
        values = np.concatenate([values, picture.alpha[:, :, None]], axis=2)
    return np.rint(values * np.iinfo(depth).max).astype(depth)


def _write_tiff(file: BytesIO, levels: np.ndarray, icc: bytes | None) -> None:
    samples = levels.shape[2]
    tifffile.imwrite(
        file,
        levels[:, :, 0] if samples == 1 else levels,
        photometric="rgb" if samples > 2 else "minisblack",
        planarconfig=None if samples == 1 else "contig",
        extrasamples=["unassalpha"] if samples in (2, 4) else None,
        iccprofile=icc,
        metadata=None,
    )
