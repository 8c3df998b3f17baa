"""Pictures as data URIs, which together stay below a number of bytes."""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from dip_exp.images.picture import shown
from dip_exp.shapes import Float32

BUDGET = 3_500_000
"""Bytes of all pictures of a page; as text they are a third more."""

LOSSLESS = 100


@dataclass(frozen=True)
class Level:
    """How pictures are encoded: the quality (LOSSLESS, or WebP's from 1 to 99) and the longest side in pixels of those
    that are to be exact, and of the others."""

    exact: int
    exact_side: int
    other: int
    other_side: int


LEVELS = (
    Level(LOSSLESS, 1024, 85, 1024),
    Level(LOSSLESS, 1024, 70, 768),
    Level(LOSSLESS, 1024, 60, 512),
    Level(92, 1024, 60, 512),
    Level(85, 1024, 50, 384),
    Level(75, 768, 40, 256),
)
"""Tried in this order until the pictures fit into the budget; then the last one with ever smaller sides."""

LEAST_SIDE = 16
"""In pixels. Smaller pictures show nothing, whatever the budget."""


@dataclass(frozen=True, eq=False)
class Wanted:
    """A picture to be embedded. exact: its pixels are to be looked at, one by one. size: the (width, height) of the
    whole picture, if `image` is reduced."""

    image: Image.Image
    exact: bool = False
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Embedded:
    """A picture as a data URI. width, height: those of the picture itself, in pixels. exact: the URI holds every pixel
    as 8 bits."""

    uri: str
    width: int
    height: int
    exact: bool


def embedded(wanted: Mapping[str, Wanted], budget: int = BUDGET, *, effort: int = 4) -> dict[str, Embedded]:
    """Returns the pictures as WebP in data URIs, by the same names, at the best level that fits into `budget` bytes.

    effort: of the encoder, from 0 (quick) to 6 (small).
    """
    made: dict[str, tuple[bytes, Embedded]] = {}
    for level in _levels():
        made = {name: _encoded(one, level, effort) for name, one in wanted.items()}
        if sum(len(data) for data, _ in made.values()) <= budget:
            break
    return {name: one for name, (_, one) in made.items()}


def _levels() -> Iterator[Level]:
    yield from LEVELS
    exact, _, other, side = astuple(LEVELS[-1])
    while side > LEAST_SIDE:
        side //= 2
        yield Level(exact, 2 * side, other, side)


def drawn(x: Float32[np.ndarray, "1 C H W"]) -> Image.Image:
    """Returns x (1, C, H, W) in [0, 1] as 8-bit grey or RGB."""
    pixels = np.round(shown(x)[0] * 255).astype(np.uint8).transpose(1, 2, 0)
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def opened(path: Path) -> tuple[Image.Image, tuple[int, int]]:
    """Returns a PNG that this project wrote, as 8 bits and no larger than a page shows it, and its (width, height).

    It has no limit of pixels, since a merged picture may be larger than what is accepted from outside. Raises OSError
    or ValueError if it is damaged.
    """
    try:
        with PngImagePlugin.PngImageFile(path) as file:  # Image.open has a limit
            size = file.size
            image = Image.fromarray((np.asarray(file) >> 8).astype(np.uint8)) if file.mode.startswith("I") else file
            image = image.convert("L" if image.mode in ("1", "L", "LA") else "RGB")
    except SyntaxError as error:
        raise ValueError(f"{path} is damaged or no PNG") from error
    return _fitted(image, LEVELS[0].exact_side), size


def thumbnail(image: Image.Image, side: int) -> bytes:
    """Returns a WebP of the picture whose longest side is `side` pixels at most."""
    return _webp(_fitted(image, side), 80, 4)


def quick_png(image: Image.Image) -> bytes:
    """Returns a PNG in a quarter of the usual time, somewhat larger."""
    data = io.BytesIO()
    image.save(data, "PNG", compress_level=1)
    return data.getvalue()


def _encoded(one: Wanted, level: Level, effort: int) -> tuple[bytes, Embedded]:
    quality, side = (level.exact, level.exact_side) if one.exact else (level.other, level.other_side)
    image = _fitted(one.image, side)
    data = _webp(image, quality, effort)
    uri = "data:image/webp;base64," + base64.b64encode(data).decode("ascii")
    whole = one.size or one.image.size
    return data, Embedded(uri, *whole, exact=quality == LOSSLESS and image.size == whole)


def _fitted(image: Image.Image, side: int) -> Image.Image:
    if max(image.size) <= side:
        return image
    share = side / max(image.size)
    size = [max(1, round(length * share)) for length in image.size]
    return image.resize((size[0], size[1]), Image.Resampling.LANCZOS)


def _webp(image: Image.Image, quality: int, effort: int) -> bytes:
    data = io.BytesIO()
    if quality == LOSSLESS:
        image.save(data, "WEBP", lossless=True, quality=50, method=effort, exact=True)
    else:
        image.save(data, "WEBP", quality=quality, method=effort)
    return data.getvalue()


def spaced(count: int, most: int) -> Sequence[int]:
    """Returns at most `most` places of `count` rows (from 0): half of them evenly spaced, half of them by their
    logarithm, since a fit moves most in its first steps."""
    if count <= most:
        return range(count)
    half = (most - 1) // 2
    even = np.linspace(0, count - 1, most - half)
    early = np.geomspace(1, count, half) - 1
    return [int(place) for place in np.unique(np.round(np.concatenate([even, early])).astype(int))]
