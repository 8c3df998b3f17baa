"""Compares the estimate that a run prints before its first step with the time its steps then take.

    python scripts/bench/estimate.py                        some minutes; beside a busy process too: --beside

Runs several kinds of runs as `run.py` does, each in its own process, cut off after 24 steps. Reports three paces: the
estimate, the main thread's processor time (the time on quiet cores), and the wall time. Writes
results/tables/bench_estimate.csv; with --beside, replaces only the rows with --beside.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from dip_exp import provenance  # noqa: E402
from dip_exp.fit import callbacks  # noqa: E402
from scripts.bench.common import environment, machine, write_table  # noqa: E402
from scripts.bench.loops import run  # noqa: E402

CASES = {
    "super-resolution, mini": ["task=superres", "scale=mini"],
    "denoising, mini": ["task=denoise", "scale=mini"],
    "the paper's network, 128 px": ["task=denoise", "image.shrink_to=128"],
    "large holes, mini": ["task=inpaint_library", "scale=mini"],
    "JPEG with a U-Net, 128 px": ["task=jpeg", "arch=unet", "image.shrink_to=128"],
}

STEPS = 24

RESULT = ROOT / "results" / "tables" / "bench_estimate.csv"


def case(words: list[str], count: int) -> dict[str, float]:
    """Returns the seconds per step of a run (estimated, own, wall), and the share of the time that it had a core."""
    found: dict[str, float] = {}

    class Told(callbacks.Pace):
        def judge(self, pace: float, share: float, steps: int, done: int) -> None:
            found.update(estimated=self._seconds, own=pace * share, wall=pace, share=share)

    callbacks.Pace = Told  # type: ignore[misc]
    with tempfile.TemporaryDirectory() as folder:
        run([*words, f"optim.steps={STEPS}", f"threads={count}", "logger=csv", f"results={folder}"])
    return found


def measured(name: str, count: int) -> dict[str, float]:
    """Returns the result of `case` in its own process."""
    words = [sys.executable, "-m", "scripts.bench.estimate", "--case", name, "--threads", str(count)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, env=environment(count))
    if done.returncode != 0:
        raise SystemExit(f"error: bench_estimate: {name} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(names: list[str], count: int, *, beside: bool) -> list[dict[str, Any]]:
    """Returns the table's rows, and prints each as it is measured."""
    rows = []
    spinning = [sys.executable, "-c", "while True: pass"]
    other = [subprocess.Popen(spinning) for _ in range(count if beside else 0)]
    try:
        for name in names:
            found = measured(name, count)
            row = {"machine": machine(), "threads": count, "beside": "busy processes" if beside else "as it was"}
            row |= {"run": name, **{key: f"{value:.4f}" for key, value in found.items()}}
            row |= {"own_of_estimate": f"{found['own'] / found['estimated']:.2f}"}
            rows.append({**row, "when": time.strftime("%Y-%m-%d")})
            said = f"estimated {found['estimated']:.3f} s, own {found['own']:.3f} s, wall {found['wall']:.3f} s"
            print(f"{name:30} {said}, share {found['share']:.2f}", flush=True)
    finally:
        for process in other:
            process.kill()
            process.wait()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=list(CASES), help="one run of it, in this process")
    parser.add_argument("--beside", action="store_true", help="beside as many busy processes as there are threads")
    parser.add_argument("--threads", type=int, default=provenance.cores())
    parser.add_argument("--dry", action="store_true", help="print, write nothing")
    given = parser.parse_args()
    if given.case:
        print(json.dumps(case(CASES[given.case], given.threads)))
        return
    rows = measure(list(CASES), given.threads, beside=given.beside)
    if given.dry:
        return
    before = list(csv.DictReader(RESULT.open(encoding="utf-8"))) if RESULT.is_file() else []
    rows = [*(row for row in before if row["beside"] != rows[0]["beside"]), *rows]
    write_table(RESULT, list(rows[0]), rows)


if __name__ == "__main__":
    main()
