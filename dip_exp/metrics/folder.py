"""Scores a folder of results against a folder of truths: PSNR and SSIM of each, under one named protocol.

Pictures are matched by file stem: results/baby.png is scored against truth/baby.tif. No run and no network is needed,
so that any pictures can be scored as ours are. Imports no torch.
"""

import csv
import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dip_exp import images
from dip_exp.errors import Refused
from dip_exp.metrics import PROTOCOLS, psnr, ssim
from dip_exp.shapes import Float, Float32

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")
COLUMNS = ("picture", "psnr_db", "ssim", "protocol", "left", "top", "width", "height")


@dataclass(frozen=True)
class Box:
    """A rectangular part of a picture, in pixels from its top left corner."""

    left: int
    top: int
    width: int
    height: int

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.width, self.height

    def of(self, x: Float[np.ndarray, "*batch H W"]) -> Float[np.ndarray, "*batch h w"]:
        """Returns this part of x (...,H,W)."""
        return x[..., self.top : self.top + self.height, self.left : self.left + self.width]


@dataclass(frozen=True)
class Row:
    """The score of one picture.

    picture: the file's stem. psnr: in dB, infinite if the two are equal. ssim: in [-1,1], or None if the compared part
    is smaller than SSIM's window. box: the part of the (trimmed) truth that was compared, before the protocol removes
    its own border.
    """

    picture: str
    psnr: float
    ssim: float | None
    box: Box


def pictures(folder: str | Path, who: str) -> dict[str, Path]:
    """Returns {stem: path} of a folder's picture files, sorted by stem. Hidden and other files are ignored.

    Raises Refused, naming `who`, if the folder cannot be listed, has no picture, or has two pictures with one stem.
    """
    folder = Path(folder)
    try:
        paths = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES and path.is_file()]
    except OSError as error:
        raise Refused(
            f"{who}: {str(folder)!r} cannot be listed ({error.strerror}); name a folder of pictures that may be read"
        ) from None
    found: dict[str, Path] = {}
    for path in paths:
        # A name that is not UTF-8 would break every table it is written to.
        stem = os.fsencode(path.stem).decode("utf-8", "replace")
        if stem.startswith("."):
            continue
        if stem in found:
            raise Refused(
                f"{who}: {str(folder)!r} has both {found[stem].name!r} and {path.name!r}; pictures are matched by the "
                "name before the suffix, so that one name may be there once; move one of the two elsewhere"
            )
        found[stem] = path
    if not found:
        raise Refused(f"{who}: {str(folder)!r} has no picture ({', '.join(SUFFIXES)}) in it; name a folder that has")
    return dict(sorted(found.items()))


def score_folder(
    results: str | Path,
    truth: str | Path,
    protocol: str,
    window: str | Path | None = None,
    trim: int = 1,
    crop_multiple: int | None = None,
) -> list[Row]:
    """Returns one row per picture in the folder `results`, sorted by stem.

    Args:
        results: the folder whose pictures are scored, at the bit depth of their files. Alpha is ignored. If one picture
            of a pair is grey and the other RGB, the grey one counts as R = G = B.
        truth: a folder that has a picture of the same stem for each result.
        protocol: a name in `metrics.PROTOCOLS`.
        window: a folder that has a picture of the same stem, and of the truth's size, for each result; only the
            smallest box that contains all its non-black pixels is scored.
        trim: the truth is cropped at the right and bottom to sides that are multiples of this.
        crop_multiple: only the truth's centre crop to sides that are multiples of this is scored, as cropped by
            `image.crop_multiple`; cannot be combined with `window`.

    A result must have the size of the trimmed truth, or of its scored part.

    Raises:
        Refused: one of these conditions does not hold. Raised before any scoring if it shows without reading pixels.
    """
    if protocol not in PROTOCOLS:
        raise Refused(f"protocol: there is none called {protocol!r}; the known ones are {', '.join(PROTOCOLS)}")
    for option, number in (("trim", trim), ("crop-multiple", crop_multiple)):
        if number is not None and number < 1:
            raise Refused(f"{option}: {number} was given; must be a whole number from 1")
    if window is not None and crop_multiple is not None:
        raise Refused("window and crop-multiple: both say which part is scored; give one of them")
    scored = pictures(results, "results")
    truths = _matching(scored, truth, "truth")
    windows = {} if window is None else _matching(scored, window, "window")
    rows = []
    for stem, path in scored.items():
        x = _trimmed(_read(truths[stem]), trim, truths[stem])
        box = Box(0, 0, x.shape[3], x.shape[2])
        if stem in windows:
            box = _not_black(windows[stem], box, truths[stem])
        elif crop_multiple is not None:
            box = _central(x, crop_multiple, truths[stem])
        rows.append(_row(stem, _fitted(path, x, box, truths[stem]), x, box, protocol))
    return rows


def means(rows: Sequence[Row]) -> tuple[float, float | None]:
    """Returns the means over at least one row of PSNR (dB) and of SSIM (None if any row has none)."""
    similarities = [row.ssim for row in rows if row.ssim is not None]
    similarity = float(np.mean(similarities)) if len(similarities) == len(rows) else None
    return float(np.mean([row.psnr for row in rows])), similarity


def table(rows: Sequence[Row]) -> str:
    """Returns the scores of at least one row as a text table, with the means in its last line; "-" means no SSIM."""
    lines = [("picture", "PSNR dB", "SSIM"), *((row.picture, *_words(row.psnr, row.ssim)) for row in rows)]
    lines.append((f"mean of {len(rows)}", *_words(*means(rows))))
    width = max(len(name) for name, _, _ in lines)
    return "\n".join(f"{name:<{width}}  {decibels:>7}  {similarity:>6}" for name, decibels, similarity in lines)


def check_target(path: str | Path | None) -> None:
    """Raises Refused if no CSV can be written to `path`. Called before the scoring, so that no work is lost."""
    if path is None:
        return
    path = Path(path)
    try:
        wrong = "is a folder" if path.is_dir() else "is in no folder there is"
        if not path.is_dir() and path.absolute().parent.is_dir():
            return
    except OSError as error:
        wrong = f"cannot be written ({error.strerror})"
    raise Refused(f"csv: {str(path)!r} {wrong}; name a file in an existing folder")


def write_csv(path: str | Path, rows: Sequence[Row], protocol: str) -> None:
    """Writes one line per row under the header COLUMNS; a missing SSIM is an empty cell. Raises Refused if it fails."""
    try:
        with Path(path).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            for row in rows:
                similarity = "" if row.ssim is None else f"{row.ssim:.5f}"
                box = (row.box.left, row.box.top, row.box.width, row.box.height)
                writer.writerow((row.picture, f"{row.psnr:.4f}", similarity, protocol, *box))
    except OSError as error:
        raise Refused(f"csv: {str(path)!r} cannot be written ({error.strerror}); name a file elsewhere") from None


def _words(decibels: float, similarity: float | None) -> tuple[str, str]:
    return f"{decibels:.2f}", "-" if similarity is None else f"{similarity:.4f}"


def _matching(scored: dict[str, Path], folder: str | Path, who: str) -> dict[str, Path]:
    found = pictures(folder, who)
    lacking = [stem for stem in scored if stem not in found]
    if lacking:
        near = difflib.get_close_matches(lacking[0], found, n=3) or list(found)[:3]
        raise Refused(
            f"{who}: {str(folder)!r} has no picture for {', '.join(map(repr, lacking))} of the results; pictures are "
            f"matched by the name before the suffix; it has {', '.join(map(repr, near))}, ...; rename the results, "
            "or move them out of their folder"
        )
    return {stem: found[stem] for stem in scored}


def _read(path: Path) -> Float32[np.ndarray, "1 C H W"]:
    try:
        return images.read(path).x
    except (OSError, ValueError) as error:
        raise Refused(str(error)) from None


def _trimmed(x: Float32[np.ndarray, "1 C H W"], multiple: int, path: Path) -> Float32[np.ndarray, "1 C h w"]:
    height, width = x.shape[2:]
    if min(height, width) < multiple:
        raise Refused(
            f"trim: {multiple} leaves nothing of the truth {str(path)!r}, which is {width}x{height}; give less"
        )
    return x[:, :, : height - height % multiple, : width - width % multiple]


def _not_black(path: Path, whole: Box, truth: Path) -> Box:
    """Returns the smallest box that contains every pixel with a channel above 0."""
    x = _read(path)
    height, width = x.shape[2:]
    if (width, height) != whole.size:
        raise Refused(
            f"window: {str(path)!r} is {width}x{height} but the truth {str(truth)!r}, trimmed, is "
            f"{whole.width}x{whole.height}; they have to be of one size: see --trim"
        )
    bright = x[0].max(axis=0) > 0
    if not bright.any():
        raise Refused(f"window: {str(path)!r} is black all over, so that nothing would be scored; give another picture")
    rows, columns = (np.flatnonzero(bright.any(axis=axis)) for axis in (1, 0))
    return Box(int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1))


def _central(x: Float32[np.ndarray, "1 C H W"], multiple: int, truth: Path) -> Box:
    """Returns the box that `images.centre_crop` keeps."""
    try:
        height, width = images.centre_crop(x, multiple).shape[2:]
    except ValueError as error:
        raise Refused(f"truth {str(truth)!r}: {error}") from None
    return Box((x.shape[3] - width) // 2, (x.shape[2] - height) // 2, width, height)


def _fitted(path: Path, x: Float32[np.ndarray, "1 C H W"], box: Box, truth: Path) -> Float32[np.ndarray, "1 c h w"]:
    """Returns the scored part of the result, (1,C,H,W)."""
    x_hat = _read(path)
    if x_hat.shape[2:] == x.shape[2:]:
        return box.of(x_hat)
    height, width = x_hat.shape[2:]
    if (width, height) == box.size:
        return x_hat
    whole = f"{x.shape[3]}x{x.shape[2]}"
    part = "" if box.size == (x.shape[3], x.shape[2]) else f" or, the part that is scored, {box.width}x{box.height}"
    raise Refused(
        f"results: {str(path)!r} is {width}x{height}; by the truth {str(truth)!r}, trimmed, it has to be {whole}{part}"
        "; where the truth was cut before it was degraded, say so: --trim, --crop-multiple"
    )


def _row(
    stem: str, x_hat: Float32[np.ndarray, "1 c h w"], whole: Float32[np.ndarray, "1 C H W"], box: Box, protocol: str
) -> Row:
    x = box.of(whole)
    channels = max(x_hat.shape[1], x.shape[1])
    x_hat, x = (np.repeat(picture, channels // picture.shape[1], axis=1) for picture in (x_hat, x))
    try:
        return Row(stem, psnr(x_hat, x, PROTOCOLS[protocol]), ssim(x_hat, x, PROTOCOLS[protocol]), box)
    except ValueError as error:  # the protocol's border covers all of a small picture
        raise Refused(f"picture {stem!r} under protocol {protocol!r}: {error}") from None
