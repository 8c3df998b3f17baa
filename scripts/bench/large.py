"""A large picture on two cores: minutes, peak memory, and whether seams show in what was filled in.

    python scripts/bench/large.py                               4000x3000: half an hour on two idle cores
    python scripts/bench/large.py --width 2000 --height 1500 --task denoise

Makes a sheet of packaged pictures and damages it: scratches and a blotch for inpainting, noise (sigma 25) for
denoising. Then `python run.py ... preset=quick tiles=auto` restores it in a process of its own, as a user would.
Adds a row for the size and the task to results/tables/bench_large.csv. runs, copied: tiles that were computed, and
those without a missing pixel. minutes, gigabytes: from the first word to the last, and the most that a process of
the command held. classical_db, result_db: PSNR of what was damaged, by the task's classical restorer on the whole sheet
(inpainting; empty for denoising) and by us. band_db: the same in the bands that two or more tiles share, of which
whoever sees a seam would complain.
"""

import argparse
import csv
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from dip_exp import config, images  # noqa: E402
from dip_exp.images.tiling import Grid  # noqa: E402
from dip_exp.observe.degrade import gaussian  # noqa: E402
from dip_exp.runs.folder import RunFolder  # noqa: E402
from dip_exp.shapes import Bool, Float32  # noqa: E402
from dip_exp.tasks.baselines import biharmonic  # noqa: E402
from scripts.bench.common import machine, write_table  # noqa: E402
from scripts.bench.seams import shared_bands  # noqa: E402

RESULT = ROOT / "results/tables/bench_large.csv"
KEY = ("size", "task")
COLUMNS = (
    *KEY,
    *("tile", "overlap", "runs", "copied", "missing", "minutes", "gigabytes"),
    *("classical_db", "result_db", "band_db", "threads", "machine", "commit"),
)
CELL = (400, 300)
"""(width, height) of a picture's part in the sheet."""

PICTURES = ("astronaut", "chelsea", "coffee", "rocket")


def sheet(width: int, height: int) -> Float32[np.ndarray, "1 3 {height} {width}"]:
    """Returns parts of packaged pictures side by side, every other one mirrored."""
    across, down = -(-width // CELL[0]), -(-height // CELL[1])
    parts = [images.packaged(name).x[0, :, : CELL[1], : CELL[0]] for name in PICTURES]
    rows = [
        np.concatenate([parts[(row + column) % 4][..., :: 1 - 2 * (row % 2)] for column in range(across)], axis=2)
        for row in range(down)
    ]
    return np.ascontiguousarray(np.concatenate(rows, axis=1)[None, :, :height, :width])


def scratches(width: int, height: int) -> Bool[np.ndarray, "{height} {width}"]:
    """Returns what is missing: a scratch from top to bottom, one across a third of the width, and a blotch."""
    y, x = np.mgrid[:height, :width]
    down = np.abs(x - (0.4 * width + 0.02 * width * np.sin(4 * y / height))) < 4
    across = (np.abs(y - (0.3 * height + 0.1 * x)) < 3) & (x > 0.55 * width) & (x < 0.85 * width)
    blotch = np.hypot(x - 0.2 * width, y - 0.75 * height) < 18
    return down | across | blotch


def psnr(error: Float32[np.ndarray, "1 3 H W"], where: Bool[np.ndarray, "H W"]) -> str:
    """Returns the PSNR in dB of the pixels at `where`."""
    return f"{-10 * np.log10(np.mean(error[..., where].astype(np.float64) ** 2)):.2f}"


def measured(
    width: int, height: int, task: str, folder: Path, words: Sequence[str] = ("tiles=auto",)
) -> dict[str, Any]:
    """Returns a row of the table. words: further ones of the command line."""
    x, missing = sheet(width, height), scratches(width, height)
    words = [f"task={task}", f"image.path={folder / 'sheet.png'}", "preset=quick", *words]
    if task == "inpaint":
        damaged = np.where(missing, np.float32(0.5), x)
        images.write(folder / "mask.png", (~missing)[None, None].astype(np.float32))
        words += ["task/mask=file", f"task.mask.path={folder / 'mask.png'}"]
    else:
        missing = np.ones_like(missing)
        damaged = np.clip(gaussian(x, 25.0, np.random.default_rng(0)), 0, 1).astype(np.float32)
    images.write(folder / "sheet.png", damaged)
    words += [f"results={folder / 'results'}", "rivals=none", f"--out={folder / 'restored.png'}"]
    before = time.perf_counter()
    subprocess.run([sys.executable, ROOT / "run.py", *words], check=True)
    minutes = (time.perf_counter() - before) / 60
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    done = next(record for record in _records(folder / "results") if "tiles" in record)
    placed, error = done["tiles"], images.read(folder / "restored.png").x - x
    grid = Grid((width, height), placed["side"], placed["overlap"])
    filled = "" if task != "inpaint" else psnr(biharmonic(damaged, (~missing)[None, None].astype(float)) - x, missing)
    return {
        **dict(zip(KEY, (f"{width}x{height}", task), strict=True)),
        "tile": placed["side"],
        "overlap": placed["overlap"],
        "runs": len(grid.boxes) - len(placed["copied"]),
        "copied": len(placed["copied"]),
        "missing": int(missing.sum()),
        "minutes": f"{minutes:.1f}",
        "gigabytes": f"{peak / 1e6:.1f}",
        "classical_db": filled,
        "result_db": psnr(error, missing),
        "band_db": psnr(error, missing & shared_bands(grid)),
        "threads": done["threads"],
        "machine": machine(),
        "commit": done["commit"],
    }


def _records(results: Path) -> list[dict[str, Any]]:
    return [
        record
        for path in sorted((results / "runs").glob("*/record.json"))
        if (record := RunFolder(results, path.parent.name).record()) is not None
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=4000)
    parser.add_argument("--height", type=int, default=3000)
    parser.add_argument("--task", choices=("inpaint", "denoise"), default="inpaint")
    given = parser.parse_args()
    config.register()
    with tempfile.TemporaryDirectory() as folder:
        row = measured(given.width, given.height, given.task, Path(folder))
    old = list(csv.DictReader(RESULT.open(encoding="utf-8"))) if RESULT.is_file() else []
    others = [one for one in old if any(one[key] != row[key] for key in KEY)]
    write_table(RESULT, COLUMNS, [*others, row])
    print(row)


if __name__ == "__main__":
    main()
