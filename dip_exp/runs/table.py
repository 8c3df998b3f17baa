"""The table at the end of a multirun over pictures. In: a row of each job, from a file, whatever process ran the job.
Out: one table. No torch."""

import contextlib
import json
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from dip_exp.atomic import write_text
from dip_exp.errors import first_line
from dip_exp.runs.report import duration

PICTURE = "image.path="


class Place(Callback):
    """Keeps where the multirun of this process has its files: Hydra knows it once the sweep begins."""

    folder: Path | None = None

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        Place.folder = Path(config.hydra.sweep.dir)


def keep(folder: Path, number: int, words: list[str], picture: str, told: dict[str, Any]) -> None:
    """Writes the row of a job. words: its overrides. told: what `restored` or `refused` returns. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    row = {"number": number, "words": words, "picture": picture, **told}
    write_text(folder / f"{number}.json", json.dumps(row))


def restored(done: dict[str, Any], path: Path) -> dict[str, Any]:
    """Returns what the table says of a record, whose restored picture is at `path`."""
    psnr = done["scores"].get(done["result"], {}).get("psnr")
    return {"restored": str(path), "step": done.get("stop", {}).get("step"), "psnr": psnr, "seconds": done["seconds"]}


def refused(error: Exception) -> dict[str, Any]:
    """Returns what the table says of a job that ended without a record."""
    return {"why": first_line(error)}


def rows(folder: Path) -> list[dict[str, Any]]:
    """Returns the rows that the jobs have left in a multirun's folder, in the order of the jobs."""
    found = []
    for path in folder.glob("[0-9]*.json"):
        with contextlib.suppress(ValueError, OSError):  # the record is what counts, and this is only a table
            found.append(json.loads(path.read_text(encoding="utf-8")))
    return sorted(found, key=lambda row: row["number"])


def table(found: list[dict[str, Any]]) -> str:
    """Returns the table: file, what else differs between the jobs, restored file, stop step, PSNR where it is known,
    seconds. A job that ended without a record has its reason instead."""
    shared = set.intersection(*(set(row["words"]) for row in found))
    own = [[word for word in row["words"] if word not in shared and not word.startswith(PICTURE)] for row in found]
    names = [" ".join([row["picture"], *words]) for row, words in zip(found, own, strict=True)]
    first, second = (max(map(len, column)) for column in (["file", *names], [row.get("restored", "") for row in found]))
    second = max(second, len("restored"))
    lines = ["", f"{'file':{first}}  {'restored':{second}}  {'step':>6}  {'PSNR dB':>7}  {'time':>9}"]
    for name, row in zip(names, found, strict=True):
        if "why" in row:
            lines.append(f"{name:{first}}  not restored: {row['why']}")
            continue
        step, psnr = (row["step"] or "-"), ("-" if row["psnr"] is None else f"{row['psnr']:.2f}")
        lines.append(f"{name:{first}}  {row['restored']:{second}}  {step:>6}  {psnr:>7}  {duration(row['seconds']):>9}")
    done = sum("why" not in row for row in found)
    return "\n".join([*lines, f"{done} of {len(found)} restored"])
