"""Seams of merged tiles: is the error where tiles meet larger than elsewhere?

    python scripts/bench/seams.py --steps 1800               some hours on two idle CPU cores
    python scripts/bench/seams.py --steps 60 --arch skip_narrow --side 96 --tile 64

Restores the packaged pictures with noise (sigma 25) in tiles and prints, for each, the RMS error in the bands that two
or more tiles share, that of the rest, and the mean step across the seams' middle lines: the error's jump from one pixel
to the next there, as a multiple of its jump elsewhere. 1.00 means that a seam is like any other place.
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
from dip_exp.shapes import Float32  # noqa: E402

PICTURES = ("astronaut", "chelsea", "coffee")


def ratios(error: Float32[np.ndarray, "1 C H W"], grid: Grid) -> dict[str, float]:
    """Returns the RMS error in the shared bands and in the rest, and the two jumps' ratio."""
    width, height = grid.size
    across, down = (
        weights(begins, side, length)
        for begins, side, length in zip((grid.columns, grid.rows), grid.tile, (width, height), strict=True)
    )
    band = ((across > 0).sum(axis=0) > 1)[None, :] | ((down > 0).sum(axis=0) > 1)[:, None]
    jumps = np.abs(np.diff(error, axis=3))[0].mean(axis=(0, 1))
    middles = np.flatnonzero(np.diff(across.argmax(axis=0)))  # the strongest tile changes from here to the next pixel
    elsewhere = np.delete(jumps, middles)
    return {
        "band": float(np.sqrt((error[..., band] ** 2).mean())),
        "rest": float(np.sqrt((error[..., ~band] ** 2).mean())),
        "jump": float(jumps[middles].mean() / elsewhere.mean()),
    }


def measured(name: str, given: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Returns the ratios of one picture, restored in tiles."""
    x = images.shrink(images.packaged(name).x, given.side)
    images.write(folder / f"{name}.png", np.clip(gaussian(x, 25.0, np.random.default_rng(0)), 0, 1))
    words = ["task=denoise", f"arch={given.arch}", "image=file", f"image.path={folder / name}.png", "stop=fixed"]
    words += [f"optim.steps={given.steps}", f"tiles={given.tile}", f"results={folder / 'results'}", "rivals=none"]
    words += ["logger=none", "trainer.progress=off"]
    done = run_tiles(
        config.layered(words), {"task": "denoise", "arch": given.arch, "image": "file"}, ["run.py", *words]
    )
    restored = images.read(folder / "results/runs" / done["run_id"] / "restored.png").x
    size = (x.shape[3], x.shape[2])
    return ratios(restored - x, Grid(size, given.tile, done["tiles"]["overlap"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1800)
    parser.add_argument("--arch", default="skip")
    parser.add_argument("--side", type=int, default=512, help="the pictures' longest side, in pixels")
    parser.add_argument("--tile", type=int, default=256)
    given = parser.parse_args()
    config.register()
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for name in PICTURES:
            row = measured(name, given, Path(folder))
            lines.append(
                f"{name:10} RMS error {row['band']:.4f} in shared bands, {row['rest']:.4f} elsewhere "
                f"(x{row['band'] / row['rest']:.2f}); jump across a seam x{row['jump']:.2f}"
            )
    print("\n".join(["", *lines]))


if __name__ == "__main__":
    main()
