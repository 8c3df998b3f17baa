"""Seams of merged tiles: is the error where tiles meet larger than elsewhere?

    python scripts/bench/seams.py                            half an hour of one idle processor core
    python scripts/bench/seams.py --side 512 --tile 256 --arch skip

Restores the packaged pictures with noise (sigma 25) in tiles and as a whole, each fit ending by its own rule, and
writes results/tables/bench_seams.csv. band_db, rest_db: PSNR of the merged picture in the bands that two or more tiles
share, and in the rest. whole_band_db, whole_rest_db: the same of the picture that was restored as a whole, which says
how hard these places are. jump, whole_jump: the mean step of the error from one pixel to the next across the seams'
middle lines, as a multiple of its step elsewhere: 1 means that a seam is like any other place.
"""

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from dip_exp import config, images  # noqa: E402
from dip_exp.images.tiling import Grid, weights  # noqa: E402
from dip_exp.observe.degrade import gaussian  # noqa: E402
from dip_exp.runs.mosaic import run_tiles  # noqa: E402
from dip_exp.runs.run import run  # noqa: E402
from dip_exp.shapes import Bool, Float32  # noqa: E402
from scripts.bench.common import write_table  # noqa: E402

RESULT = ROOT / "results/tables/bench_seams.csv"
PICTURES = ("astronaut", "chelsea", "coffee")


def shares(grid: Grid) -> list[np.ndarray]:
    """Returns the share of each column of tiles in each column of pixels, and that of each row of tiles in each row."""
    return [
        weights(begins, side, length)
        for begins, side, length in zip((grid.columns, grid.rows), grid.tile, grid.size, strict=True)
    ]


def shared_bands(grid: Grid) -> Bool[np.ndarray, "H W"]:
    """Returns where the picture is merged of two tiles or more."""
    across, down = ((share > 0).sum(axis=0) > 1 for share in shares(grid))
    return across[None, :] | down[:, None]


def errors(error: Float32[np.ndarray, "1 C H W"], grid: Grid) -> dict[str, float]:
    """Returns the PSNR in the shared bands and in the rest, and the two jumps' ratio."""
    band = shared_bands(grid)
    jumps = np.abs(np.diff(error, axis=3))[0].mean(axis=(0, 1))
    middles = np.flatnonzero(
        np.diff(shares(grid)[0].argmax(axis=0))
    )  # the strongest tile changes from here to the next pixel
    elsewhere = np.delete(jumps, middles)
    return {
        "band_db": -10 * float(np.log10((error[..., band] ** 2).mean())),
        "rest_db": -10 * float(np.log10((error[..., ~band] ** 2).mean())),
        "jump": float(jumps[middles].mean() / elsewhere.mean()),
    }


def measured(name: str, given: argparse.Namespace, folder: Path) -> dict[str, str]:
    """Returns a row of the table: one picture, restored in tiles and whole."""
    x = images.shrink(images.packaged(name).x, given.side)
    images.write(folder / f"{name}.png", np.clip(gaussian(x, 25.0, np.random.default_rng(0)), 0, 1))
    words = ["task=denoise", f"arch={given.arch}", f"optim={given.optim}", "image=file"]
    words += [f"image.path={folder / name}.png", f"tiles={given.tile}", f"results={folder / 'results'}", "rivals=none"]
    words += ["logger=none", "trainer.progress=off"]
    choices = {"task": "denoise", "arch": given.arch, "image": "file", "optim": given.optim}
    tiled = run_tiles(config.layered(words), choices, ["run.py", *words])
    whole = run(config.layered([word for word in words if "tiles=" not in word]), choices, ["run.py", *words])
    assert whole is not None
    grid = Grid((x.shape[3], x.shape[2]), given.tile, tiled["tiles"]["overlap"])
    found = [
        errors(images.read(folder / "results/runs" / done["run_id"] / "restored.png").x - x, grid)
        for done in (tiled, whole)
    ]
    return {
        "picture": name,
        "size": f"{grid.size[0]}x{grid.size[1]}",
        "tiles": str(len(grid.boxes)),
        "tile": str(given.tile),
        "overlap": str(grid.overlap),
        "arch": given.arch,
        "optim": given.optim,
        **{
            f"{of}{key}": f"{value:.3f}"
            for of, one in zip(("", "whole_"), found, strict=True)
            for key, value in one.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", default="skip_narrow")
    parser.add_argument("--optim", default="muon")
    parser.add_argument("--side", type=int, default=256, help="the pictures' longest side, in pixels")
    parser.add_argument("--tile", type=int, default=128)
    given = parser.parse_args()
    config.register()
    with tempfile.TemporaryDirectory() as folder:
        rows = [measured(name, given, Path(folder)) for name in PICTURES]
    write_table(RESULT, list(rows[0]), rows)
    for row in rows:
        apart, whole = (float(row[f"{of}band_db"]) - float(row[f"{of}rest_db"]) for of in ("", "whole_"))
        print(
            f"{row['picture']}: shared bands {apart:+.2f} dB beside the rest, {whole:+.2f} in the whole picture; jump "
            f"across a seam {row['jump']}, {row['whole_jump']}"
        )


if __name__ == "__main__":
    main()
