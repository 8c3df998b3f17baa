"""In: what a run came to. Out: its folder, `record.json` written last; and many runs as one table. No torch."""

import csv
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import BaseFileLock, FileLock, Timeout

from dip_exp import provenance

if TYPE_CHECKING:
    import pandas as pd

    from dip_exp.trainers import Fitted

RECORD = "record.json"
CHECKPOINT = "checkpoint.pt"


def facts(fitted: "Fitted", scores: dict[str, Any], threads: int) -> dict[str, Any]:
    """Returns what a fit came to and where, as a record keeps it: plain numbers and strings."""
    commit, dirty = provenance.commit()
    seconds = fitted.rows[-1]["seconds"]
    cpu = {} if fitted.cpu_seconds is None else {"cpu_seconds": round(fitted.cpu_seconds, 3)}
    told = {"told": fitted.told} if fitted.told else {}  # most rules have nothing more to say
    return {
        "scores": scores,
        "steps_of": fitted.steps_of,
        "stop": {"reason": fitted.reason, "step": fitted.steps_of["stopped"], **told},
        "rollbacks": fitted.rollbacks,
        "weights": fitted.weights,
        "steps": fitted.steps,
        "seconds": round(seconds, 3),
        **cpu,  # wall times lie on a busy machine
        "seconds_per_step": round(seconds / fitted.steps, 6),
        "peak_memory_bytes": fitted.memory,
        "device": fitted.device,
        "threads": threads,
        "versions": provenance.versions(),
        "commit": commit,
        "dirty": dirty,
    }


class RunFolder:
    """`<results>/runs/<run_id>`: a run is finished if, and only if, its record is there."""

    def __init__(self, results: Path, run_id: str) -> None:
        self.run_id = run_id
        self.results = results
        self.path = results / "runs" / run_id

    @property
    def checkpoint(self) -> Path:
        return self.path / CHECKPOINT

    def record(self) -> dict[str, Any] | None:
        """Returns the finished run's record, or None."""
        path = self.path / RECORD
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

    def lock(self, waiting: Callable[[], None]) -> BaseFileLock:
        """Returns this run's lock, taken; calls `waiting` first where another process has it. Whoever dies lets go.

        It lies beside the runs and not in the run's folder, which a forced run sets aside. Raises OSError where it
        cannot be made.
        """
        lock = lock_of(self.results, self.run_id)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            waiting()
            lock.acquire()
        return lock

    def begin(self, *, afresh: bool) -> int:
        """Makes the folder and returns which attempt at this run now begins, from 1.

        `afresh` sets a finished run aside, until the new one is finished; an unfinished one goes on all the same.
        Raises OSError where the folder cannot be made or written, and then leaves nothing.
        """
        counter = self.path / "attempts"
        attempt = int(counter.read_text()) + 1 if counter.is_file() else 1
        if afresh and self.record() is not None:
            shutil.rmtree(self._aside, ignore_errors=True)
            self.path.rename(self._aside)
            (self._aside / RECORD).rename(self._aside / f"before.{RECORD}")
        new = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            write_text(counter, str(attempt))
        except OSError:
            if new:
                shutil.rmtree(new[-1], ignore_errors=True)
            raise
        return attempt

    @property
    def _aside(self) -> Path:
        return self.path.with_name(f".{self.run_id}.before")

    def finish(self, record: dict[str, Any]) -> None:
        """Writes the record, and with that the run is finished; its checkpoint is of no more use."""
        write_text(self.path / RECORD, json.dumps(record, indent=2, allow_nan=False) + "\n")
        self.checkpoint.unlink(missing_ok=True)
        shutil.rmtree(self._aside, ignore_errors=True)


def lock_of(results: Path, name: str) -> BaseFileLock:
    """Returns the lock called `name` of a results folder, not taken. Raises OSError where its folder cannot be made."""
    folder = results / ".locks"
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / name)


def write_text(path: Path, text: str) -> None:
    """Writes a file whole or not at all: to a temporary name beside it, flushed, then renamed."""
    temporary = path.with_name(f".{path.name}.part")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes float32 pictures (1, C, H, W) by output kind as one .npz, whole or not at all."""
    temporary = path.with_name(f".{path.name}.part")
    with temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **{k: a.astype(np.float32) for k, a in arrays.items()})
    temporary.replace(path)


def tabled(results: Path) -> dict[str, Path]:
    """Returns {run_id: the table it is in} for every run of the committed tables."""
    found: dict[str, Path] = {}
    for path in sorted((results / "tables").glob("*/runs.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            found.update((row["run_id"], path) for row in csv.DictReader(file))
    return found


def read_runs(results: Path) -> "pd.DataFrame":
    """Returns every finished run as rows of one table: one row a run and output kind.

    Columns: run_id, kind, the scores (psnr, ssim, ...), the choices (task, arch, ...), the settings as dotted names,
    seconds, seconds_per_step, steps, device, threads.
    """
    import pandas as pd

    rows = []
    for path in sorted((results / "runs").glob(f"*/{RECORD}")):
        record = json.loads(path.read_text(encoding="utf-8"))
        facts = {
            "run_id": record["run_id"],
            **{f"choice.{group}": choice for group, choice in record["choices"].items()},
            **_dotted(record["config"]),
            **{key: record[key] for key in ("steps", "seconds", "seconds_per_step", "device", "threads")},
        }
        rows += [{**facts, "kind": kind, **scores} for kind, scores in record["scores"].items()] or [facts]
    return pd.DataFrame(rows)


def _dotted(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        flat.update(_dotted(value, f"{name}.") if isinstance(value, dict) else {name: value})
    return flat
