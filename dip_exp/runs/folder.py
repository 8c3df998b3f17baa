"""A run's folder under results/runs: its lock, its attempts, its record, which is written last. No torch."""

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, FileLock, Timeout

from dip_exp.atomic import write_text
from dip_exp.errors import Failed, Refused
from dip_exp.runs.record import upgrade

RECORD = "record.json"
CHECKPOINT = "checkpoint.pt"


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
        """Returns the finished run's record, as today's are, or None."""
        path = self.path / RECORD
        return upgrade(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None

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


def tabled(results: Path) -> dict[str, Path]:
    """Returns {run_id: the table it is in} for every run of the committed tables."""
    found: dict[str, Path] = {}
    for path in sorted((results / "tables").glob("*/runs.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            found.update((row["run_id"], path) for row in csv.DictReader(file))
    return found


@contextmanager
def writing(folder: Path, *, refuse: bool = False) -> Iterator[None]:
    """Turns a full disk or a folder that cannot be written into one plain message."""
    try:
        yield
    except OSError as error:
        if refuse:
            raise Refused(f"results: {folder} cannot be written ({error})  [results=FOLDER]") from error
        raise Failed(
            f"results: writing to {folder} failed ({error}); there is no record of this run. Make room and give the "
            f"same command again: it goes on from its last checkpoint"
        ) from error
