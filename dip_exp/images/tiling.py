"""The geometry of tiles: where they lie in a picture, and how they are merged without a seam. numpy alone."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dip_exp.shapes import Float32, Float64


@dataclass(frozen=True)
class Grid:
    """Tiles that cover a picture of `size` (width, height), each `side` pixels wide and high, or as wide and as high as
    a smaller picture. Neighbours share `overlap` pixels or more: the tiles are spread evenly, so that none is narrower
    than the others. Raises ValueError for a side below 1 and for an overlap of more than half a side."""

    size: tuple[int, int]
    side: int
    overlap: int

    def __post_init__(self) -> None:
        if self.side < 1:
            raise ValueError(f"tiles: given {self.side}; a tile's side is at least 1 pixel")
        if not 0 <= self.overlap <= self.side // 2:
            raise ValueError(
                f"tile_overlap: given {self.overlap} for tiles of {self.side}; must be from 0 to half a side, "
                f"{self.side // 2}"
            )

    @property
    def tile(self) -> tuple[int, int]:
        """(width, height) of every tile."""
        return min(self.side, self.size[0]), min(self.side, self.size[1])

    @cached_property
    def columns(self) -> list[int]:
        """The left edges of the tiles, in pixels."""
        return starts(self.size[0], self.side, self.overlap)

    @cached_property
    def rows(self) -> list[int]:
        """The upper edges of the tiles, in pixels."""
        return starts(self.size[1], self.side, self.overlap)

    @cached_property
    def boxes(self) -> list[list[int]]:
        """[left, top, width, height] of each tile in pixels, row by row."""
        return [[left, top, *self.tile] for top in self.rows for left in self.columns]


def starts(length: int, side: int, overlap: int) -> list[int]:
    """Returns where the fewest tiles begin that cover `length` pixels: evenly spread, the last one ending there."""
    if length <= side:
        return [0]
    count = -((overlap - length) // (side - overlap))  # rounded up
    return [round(number * (length - side) / (count - 1)) for number in range(count)]


def ramp(begin: int, before: int, side: int, factor: int = 1) -> tuple[int, Float32[np.ndarray, " n"]]:
    """Returns where, in pixels of the enlarged picture, a tile that starts at `begin` takes over from one that starts
    at `before`, and the later tile's share there, which rises smoothly from 0 to 1.

    The ramp lies in the middle of the overlap, since a network knows least at a tile's own edges, and is as wide as it
    is, or as the distance of the two tiles if that is less: a pixel is then a mean of two tiles and no more.
    """
    shared = (before + side - begin) * factor
    width = min(shared, (begin - before) * factor)
    t = (np.arange(width) + 0.5) / max(width, 1)
    return begin * factor + (shared - width) // 2, (t * t * (3 - 2 * t)).astype(np.float32)


def weights(begins: list[int], side: int, length: int) -> Float64[np.ndarray, "n {length}"]:
    """Returns each tile's share of each of `length` pixels along one axis. The shares of a pixel add up to 1."""
    found = np.zeros((len(begins), length))
    for number, begin in enumerate(begins):
        own = np.ones(side)
        if number:
            first, share = ramp(begin, begins[number - 1], side)
            own[: first - begin], own[first - begin : first - begin + len(share)] = 0, share
        found[:number, begin : begin + side] *= 1 - own
        found[number, begin : begin + side] = own
    return found


def merged(
    grid: Grid, tile: Callable[[int], Float32[np.ndarray, "1 C h w"]], factor: int = 1
) -> Float32[np.ndarray, "1 C H W"]:
    """Returns the picture that the tiles make, `factor` times as large as the grid.

    tile: returns a tile by its place in `grid.boxes`. It is called once for each, in that order, and one row of tiles
    is in memory at a time. Where all tiles agree, their common value is returned to the last bit. Raises ValueError for
    a tile of another size.
    """
    width, height = grid.size
    sides = (grid.tile[1] * factor, grid.tile[0] * factor)
    count = len(grid.columns)
    strip = whole = np.zeros((1, 0, 0, 0), np.float32)
    for row, top in enumerate(grid.rows):
        for column, left in enumerate(grid.columns):
            one = tile(row * count + column)
            if one.shape[2:] != sides:
                raise ValueError(f"tiles: tile {row * count + column + 1} is {one.shape[2:]}; must be {sides}")
            if not column:
                strip = np.zeros((1, one.shape[1], sides[0], width * factor), np.float32)
            before = grid.columns[column - 1] if column else None
            _laid(strip, one, left, before, grid.tile[0], factor)
        if not row:
            whole = np.zeros((1, strip.shape[1], height * factor, width * factor), np.float32)
        before = grid.rows[row - 1] if row else None
        _laid(whole.swapaxes(2, 3), strip.swapaxes(2, 3), top, before, grid.tile[1], factor)
    return whole


def _laid(
    ground: Float32[np.ndarray, "1 C _ L"],
    one: Float32[np.ndarray, "1 C _ l"],
    begin: int,
    before: int | None,
    side: int,
    factor: int,
) -> None:
    """Lays a tile over what is left of it along the last axis, with a ramp over the one that starts at `before`."""
    end, first = (begin + side) * factor, begin * factor
    if before is not None:
        start, share = ramp(begin, before, side, factor)
        there = slice(start, start + len(share))
        # Not share * a + (1 - share) * b: where a and b are equal, this leaves them as they are.
        ground[..., there] += share * (one[..., there.start - first : there.stop - first] - ground[..., there])
        first = there.stop
    ground[..., first:end] = one[..., first - begin * factor :]
