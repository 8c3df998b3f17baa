"""How two runs on one machine slow each other down, by the time that a waiting thread spins before it sleeps.

    python scripts/bench/pair.py                            about eight minutes on two idle CPU cores

Real processes, each with all of the machine's threads, start together: one alone, two at once, and one beside a niced
one. They run plain loops of the paper's network as `run.py` executes it, with the settings in turns. Reports the median
over rounds of the median step. Writes results/tables/bench_pair.csv.
"""

import argparse
import sys
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from dip_exp import provenance, threads  # noqa: E402
from scripts.bench.common import environment, machine, write_table  # noqa: E402
from scripts.bench.seeds import beginning_together  # noqa: E402

import torch  # noqa: E402  isort: skip

SIZES = (128, 256)
WIDTH = 128

LIBRARYS_OWN = "300000"
"""GNU OpenMP's default, if no waiting policy is set and there are no more threads than cores."""

SETTINGS: dict[str, dict[str, str]] = {
    "300000 (the library's own)": {threads.SPIN: LIBRARYS_OWN},
    **{count: {threads.SPIN: count} for count in ("100000", "30000", "10000", "3000", "1000")},
    "passive": {"OMP_WAIT_POLICY": "passive"},
}
"""The environment variables of each waiting policy."""

WAYS = {"alone": [0], "a pair": [0, 0], "beside a niced one": [0, 19]}
"""The niceness of each process. The first one's steps are reported; for a pair, the slower one's."""

RESULT = ROOT / "results" / "tables" / "bench_pair.csv"


def step(size: int, width: int, count: int, way: str, setting: str) -> float:
    """Returns the median seconds per step of the first process (for a pair, of the slower one)."""
    clean = {key: value for key, value in environment(count).items() if key not in threads.OWN}
    around = {**clean, **SETTINGS[setting]}
    words = ["ours", str(size), str(width), str(count)]
    seconds = [median(each) for each in beginning_together([(words, nice) for nice in WAYS[way]], around)]
    return max(seconds) if way == "a pair" else seconds[0]


def measure(sizes: list[int], width: int, settings: list[str], rounds: int, count: int) -> list[dict[str, Any]]:
    """Returns the table's rows, and prints each measurement as it is made."""
    rows = []
    for size in sizes:
        found: dict[tuple[str, str], list[float]] = {}
        for _ in range(rounds):
            for setting in settings:
                for way in WAYS:
                    seconds = step(size, width, count, way, setting)
                    found.setdefault((setting, way), []).append(seconds)
                    print(f"{size} px: {setting:27} {way:19} {seconds:.4f} s", flush=True)
        own = found[settings[0], "alone"]
        for (setting, way), seconds in found.items():
            # The median of ratios within a round, in which the machine's state was the same.
            to_own = median(a / b for a, b in zip(seconds, own, strict=True))
            to_alone = median(a / b for a, b in zip(seconds, found[setting, "alone"], strict=True))
            row = {"machine": machine(), "threads": count, "torch": torch.__version__, "size": size, "width": width}
            row |= {
                "spin": setting,
                "way": way,
                "seconds": f"{median(seconds):.5f}",
                "of_the_librarys": f"{to_own:.3f}",
            }
            rows.append({**row, "of_alone": f"{to_alone:.3f}", "rounds": rounds})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--width", type=int, default=WIDTH)
    parser.add_argument("--settings", nargs="+", default=list(SETTINGS), choices=list(SETTINGS), metavar="SETTING")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=provenance.cores())
    parser.add_argument("--dry", action="store_true", help="print, write nothing")
    given = parser.parse_args()
    rows = measure(given.sizes, given.width, given.settings, given.rounds, given.threads)
    if given.dry:
        return
    write_table(RESULT, list(rows[0]), rows)


if __name__ == "__main__":
    main()
