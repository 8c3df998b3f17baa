"""Laws of tiles: they cover the picture, their shares add up to 1, and what they agree on is what is merged."""

from itertools import pairwise

import numpy as np
import pytest

from dip_exp.images.tiling import Grid, merged, starts, weights

RNG = np.random.default_rng(5)
GRIDS = [
    Grid((width, height), side, overlap)
    for width, height in ((60, 50), (64, 64), (65, 33), (7, 100), (129, 31), (1, 1))
    for side, overlap in ((32, 8), (32, 0), (32, 16), (64, 16), (9, 4), (128, 1))
]


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_tiles_cover_the_picture_and_share_what_was_asked_for(grid: Grid):
    for length, begins in zip(grid.size, (grid.columns, grid.rows), strict=True):
        side = min(grid.side, length)
        assert begins[0] == 0
        assert begins[-1] + side == length
        assert all(0 < b - a <= grid.side - grid.overlap for a, b in pairwise(begins))
        # one tile fewer would leave a gap, or share less
        assert len(begins) == 1 or (len(begins) - 2) * (grid.side - grid.overlap) + grid.side < length
    assert len(grid.boxes) == len(grid.columns) * len(grid.rows)
    assert {(box[2], box[3]) for box in grid.boxes} == {grid.tile}


def test_shares_add_up_to_one_and_a_pixel_at_a_tile_s_edge_is_its_neighbour_s():
    for length in range(1, 200, 23):
        for side, overlap in ((32, 8), (32, 16), (40, 10), (9, 3)):
            begins = starts(length, side, overlap)
            found = weights(begins, min(side, length), length)
            np.testing.assert_allclose(found.sum(axis=0), 1, rtol=0, atol=1e-12)
            assert found.min() >= 0
            for number, begin in enumerate(begins[1:], 1):
                assert found[number, begin] < 0.02 * 32 / overlap
                assert (np.count_nonzero(found, axis=0) <= 2).all()


@pytest.mark.parametrize("factor", [1, 3])
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_merged_tiles_of_a_picture_are_the_picture_to_the_last_bit(grid: Grid, factor: int):
    width, height = grid.size
    x = RNG.random((1, 3, height * factor, width * factor), dtype=np.float32)

    def cut(number: int) -> np.ndarray:
        left, top, columns, rows = (value * factor for value in grid.boxes[number])
        return x[:, :, top : top + rows, left : left + columns]

    assert np.array_equal(merged(grid, cut, factor), x)


@pytest.mark.parametrize("grid", GRIDS[::5], ids=str)
def test_tiles_that_differ_are_added_up_by_their_shares(grid: Grid):
    width, height = grid.size
    tiles = [RNG.random((1, 2, grid.tile[1], grid.tile[0]), dtype=np.float32) for _ in grid.boxes]
    across = weights(grid.columns, grid.tile[0], width)
    down = weights(grid.rows, grid.tile[1], height)
    expected = np.zeros((1, 2, height, width))
    for number, (tile, (left, top, columns, rows)) in enumerate(zip(tiles, grid.boxes, strict=True)):
        row, column = divmod(number, len(grid.columns))
        share = down[row, top : top + rows, None] * across[column, None, left : left + columns]
        expected[:, :, top : top + rows, left : left + columns] += share * tile
    np.testing.assert_allclose(merged(grid, tiles.__getitem__), expected, rtol=0, atol=1e-6)


def test_a_step_between_two_tiles_becomes_a_slope():
    grid = Grid((112, 64), 64, 16)
    found = merged(grid, lambda number: np.full((1, 1, 64, 64), number, np.float32))[0, 0, 0]
    assert (found[:48] == 0).all()
    assert (found[64:] == 1).all()
    assert 0 < np.diff(found).max() < 1.6 / 16


def test_each_tile_is_asked_for_once_and_one_of_another_size_is_named():
    asked = []
    grid = Grid((60, 50), 32, 8)
    merged(grid, lambda number: asked.append(number) or np.zeros((1, 1, 32, 32), np.float32))
    assert asked == list(range(len(grid.boxes)))
    with pytest.raises(ValueError, match=r"tiles: tile 1 is \(32, 32\); must be \(64, 64\)"):
        merged(grid, lambda number: np.zeros((1, 1, 32, 32), np.float32), 2)


@pytest.mark.parametrize(
    ("side", "overlap", "text"),
    [
        (0, 0, "tiles: given 0; a tile's side is at least 1 pixel"),
        (32, 17, "tile_overlap: given 17 for tiles of 32; must be from 0 to half a side, 16"),
        (32, -1, "tile_overlap: given -1"),
    ],
)
def test_what_is_no_grid_is_refused(side: int, overlap: int, text: str):
    with pytest.raises(ValueError, match=text):
        Grid((60, 50), side, overlap)
