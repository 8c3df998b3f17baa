"""What a preset costs and gives: minutes and dB on the packaged pictures at their own size.

    python scripts/bench/presets.py quick                          about an hour on two idle processor cores
    python scripts/bench/presets.py quick good --tasks jpeg --pictures astronaut

Runs each preset on each picture for the main tasks, one after the other, as `python run.py ... preset=NAME` does, and
adds a row for each to results/tables/bench_presets.csv. Runs that are in `results` already are read from there. No
setting of a preset was chosen on these pictures. Times hold for the machine that the row names, with nothing else
running on it.
"""

import argparse
import csv
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from dip_exp import config  # noqa: E402
from dip_exp.runs.order import GROUPS  # noqa: E402
from dip_exp.runs.record import Record  # noqa: E402
from dip_exp.runs.run import run  # noqa: E402
from scripts.bench.common import machine, put_block, write_table  # noqa: E402

RESULT = ROOT / "results/tables/bench_presets.csv"
TASKS = ("denoise", "superres", "inpaint", "jpeg", "denoise_impulse")
PICTURES = ("astronaut", "chelsea", "camera", "rocket")
SCORE = {"inpaint": "pasted", "denoise_impulse": "pasted"}
"""The result's kind, where it is not `stopped`."""

PAGE = ROOT / "docs/own-pictures.md"
BEGIN, END = "<!-- presets: begin (scripts/bench/presets.py writes it) -->", "<!-- presets: end -->"

KEY = ("preset", "task", "picture")
COLUMNS = (
    *KEY,
    *("size", "observation", "classical", "classical_psnr", "psnr", "steps", "ended", "minutes", "gigabytes"),
    *("threads", "machine", "commit"),
)


def row_of(preset: str, task: str, picture: str, results: Path) -> dict[str, Any]:
    """Returns a row of the table; runs what is not in `results`."""
    words = [f"task={task}", f"image={picture}", "image.shrink_to=null", f"preset={preset}", f"results={results}"]
    choices = {**dict.fromkeys(GROUPS, "?"), "task": task, "image": picture, "preset": preset}
    done = run(config.compose(words), choices, ["python", "run.py", *words])
    assert done is not None
    return _row(dict(zip(KEY, (preset, task, picture), strict=True)), done, SCORE.get(task, "stopped"))


def _row(key: dict[str, str], done: Record, kind: str) -> dict[str, Any]:
    scores = done["scores"]
    width, height = done["picture"]["size"]
    return {
        **key,
        "size": f"{width}x{height}",
        "observation": f"{scores['observation']['psnr']:.2f}" if "observation" in scores else "",
        "classical": done["baseline"]["name"],
        "classical_psnr": f"{scores['baseline']['psnr']:.2f}",
        "psnr": f"{scores[kind]['psnr']:.2f}",
        "steps": done["steps"],
        "ended": done["stop"]["ended"],
        "minutes": f"{done['seconds'] / 60:.1f}",
        "gigabytes": f"{done['peak_memory_bytes'] / 1e9:.1f}",
        "threads": done["threads"],
        "machine": machine(),
        "commit": done["commit"],  # of the run, which may be older than this table
    }


def table() -> list[dict[str, str]]:
    """Returns the committed rows."""
    if not RESULT.is_file():
        return []
    with RESULT.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def summary(rows: list[dict[str, str]]) -> str:
    """Returns the page's table: a line for each preset and task, means over its pictures."""
    lines = [
        "| `preset=` | task | pictures | minutes (each) | given, dB | classical, dB | result, dB |",
        "|---|---|---|---|---|---|---|",
    ]
    for preset, task in dict.fromkeys((row["preset"], row["task"]) for row in rows):
        own = [row for row in rows if (row["preset"], row["task"]) == (preset, task)]
        minutes = ", ".join(f"{float(row['minutes']):.1f}" for row in own)
        pictures = ", ".join(f"{row['picture']} {row['size']}" for row in own)
        given, classical, result = (_mean(own, key) for key in ("observation", "classical_psnr", "psnr"))
        name = own[0]["classical"]
        lines.append(f"| `{preset}` | {task} | {pictures} | {minutes} | {given} | {name} {classical} | {result} |")
    of = dict.fromkeys(f"{row['threads']} threads of {row['machine']}" for row in rows)
    return "\n".join([*lines, "", f"*Measured on {'; '.join(of)}.*"])


def _mean(rows: list[dict[str, str]], key: str) -> str:
    known = [float(row[key]) for row in rows if row[key]]
    return f"{sum(known) / len(known):.2f}" if known else "–"


def write(rows: list[dict[str, Any]]) -> None:
    """Writes the table, and its means into the page."""
    write_table(RESULT, COLUMNS, rows)
    put_block(PAGE, BEGIN, END, summary(table()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("presets", nargs="+", metavar="PRESET", help="of conf/preset")
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    parser.add_argument("--pictures", nargs="+", default=PICTURES)
    parser.add_argument("--results", type=Path, default=ROOT / "results")
    given = parser.parse_args()
    config.register()
    rows: dict[tuple[str, ...], dict[str, Any]] = {tuple(row[key] for key in KEY): row for row in table()}
    for picture in given.pictures:
        for task in given.tasks:
            for preset in given.presets:
                rows[preset, task, picture] = row_of(preset, task, picture, given.results)
                write(list(rows.values()))


if __name__ == "__main__":
    main()
