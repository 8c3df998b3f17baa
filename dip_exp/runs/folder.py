"""A run's folder under results/runs: lock, attempt counter, and record (written last). No torch."""

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from dip_exp import provenance
from dip_exp.atomic import drop_unfinished, write_bytes, write_text
from dip_exp.errors import Failed, Refused, first_line
from dip_exp.fit.generations import Generations
from dip_exp.runs.record import Record, check_whole, upgrade

RECORD = "record.json"
CHECKPOINT = "checkpoint.pt"
CURRENT = "current.png"
STATE = "state.pt"
PAGE = "report.html"
LIVE, NEWS = "live.html", "live.js"


class RunFolder:
    """The folder `<results>/runs/<run_id>`. A run is finished if and only if its record exists."""

    def __init__(self, results: Path, run_id: str) -> None:
        self.run_id = run_id
        self.results = results
        self.path = results / "runs" / run_id

    @property
    def checkpoint(self) -> Path:
        return self.path / CHECKPOINT

    @property
    def saved(self) -> Generations:
        """Its checkpoints: the newest, and the one before it."""
        return Generations(self.checkpoint)

    @property
    def state(self) -> Path:
        """The checkpoint after the last step of a finished run, from which a longer one goes on."""
        return self.path / STATE

    @property
    def current(self) -> Path:
        """The picture as far as the fit has come, while it goes on."""
        return self.path / CURRENT

    @property
    def page(self) -> Path:
        """The page of the finished run."""
        return self.path / PAGE

    @property
    def live(self) -> Path:
        """The page of the run while the fit goes on."""
        return self.path / LIVE

    @property
    def news(self) -> Path:
        """How far the fit has come: what the live page reads again and again."""
        return self.path / NEWS

    def record(self) -> Record | None:
        """Returns the finished run's record, upgraded to the current schema, or None. Raises Refused if the file is
        damaged or cannot be read."""
        path = self.path / RECORD
        if not path.is_file():
            return None
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            check_whole(found)
        except (OSError, ValueError) as error:  # ValueError: neither JSON nor UTF-8
            raise Refused(
                f"record: {path} is damaged ({error}); delete it, or compute the run again  [force=true]"
            ) from error
        return upgrade(found)

    def lock(self, waiting: Callable[[], None]) -> BaseFileLock:
        """Returns this run's lock, acquired. Calls `waiting` first if another process holds it.

        The lock is released if its process dies. The lock file lies outside the run's folder, because a forced run
        renames that folder. Raises OSError if the lock file cannot be made.
        """
        lock = lock_of(self.results, self.run_id)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            waiting()
            lock.acquire()
        return lock

    @contextmanager
    def if_free(self) -> Iterator[bool]:
        """Yields whether the run is finished and nobody is at it: a forced run may have begun, and writes there. If so,
        its lock is held meanwhile. Raises OSError if the lock cannot be made."""
        lock = lock_of(self.results, self.run_id)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            yield False
            return
        try:
            yield (self.path / RECORD).is_file()  # a forced run may have begun and ended before this lock
        finally:
            lock.release()

    def begin(self, *, afresh: bool) -> int:
        """Makes the folder and returns the number of this attempt at the run, counted from 1.

        afresh: move a finished run aside until the new one is finished; an unfinished run is resumed in any case.
        Raises OSError, and leaves nothing behind, if the folder cannot be made or written.
        """
        counter = self.path / "attempts"
        attempt = int(counter.read_text()) + 1 if counter.is_file() else 1
        if afresh and (self.path / RECORD).is_file():
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

    def go_on_from(self, shorter: "RunFolder", snapshots: Callable[[int], bool]) -> None:
        """Makes the state of a finished shorter run this run's checkpoint, and copies those of its snapshots whose
        number of steps `snapshots` accepts. Raises OSError."""
        target = self.path / "snapshots"
        target.mkdir(exist_ok=True)
        for picture in sorted((shorter.path / "snapshots").glob("*.png")):
            if snapshots(int(picture.stem)):
                shutil.copyfile(picture, target / picture.name)
        write_bytes(self.checkpoint, shorter.state.read_bytes())

    def finish(self, record: Record) -> None:
        """Writes the record, which marks the run as finished."""
        shared = provenance.without_home(record)
        write_text(self.path / RECORD, json.dumps(shared, indent=2, allow_nan=False) + "\n")

    def tidy(self, *, keep_state: bool) -> None:
        """Deletes what a finished run has no use for: checkpoints, the live page and its picture, files that a killed
        process was writing, and the run that this one replaces. A process that was killed after writing its record
        leaves this to the next one. The caller holds the run's lock. Raises OSError.

        keep_state: keep the last checkpoint, as the run's state.
        """
        if keep_state and (self.checkpoint.is_file() or not self.state.is_file()):
            self.saved.keep_as(self.state)
        self.saved.drop()
        drop_unfinished(self.path)
        for path in (self.current, self.live, self.news):
            path.unlink(missing_ok=True)
        shutil.rmtree(self._aside, ignore_errors=True)


def lock_of(results: Path, name: str) -> BaseFileLock:
    """Returns the lock called `name` of a results folder, not acquired. Raises OSError if the lock folder cannot be
    made."""
    folder = results / ".locks"
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / name)


def tabled(results: Path) -> dict[str, Path]:
    """Returns {run_id: path of its table} for every run in the committed tables."""
    found: dict[str, Path] = {}
    for path in sorted((results / "tables").glob("*/runs.csv")):
        with sound(path), path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            if "run_id" not in (rows.fieldnames or ()):
                raise ValueError("it has no column run_id")
            found.update((row["run_id"], path) for row in rows)
    return found


@contextmanager
def sound(path: object) -> Iterator[None]:
    """Turns what reading a damaged table raises into Refused."""
    try:
        yield
    except (ValueError, csv.Error, OSError) as error:  # pandas' own errors are ValueErrors, and so is a wrong encoding
        raise Refused(
            f"table: {path} is damaged ({first_line(error)})  [git checkout {path}, or collect the runs again]"
        ) from error


@contextmanager
def writing(folder: Path, *, refuse: bool = False) -> Iterator[None]:
    """Turns an OSError from writing (full disk, unwritable folder) into one clear message.

    refuse: raise Refused instead of Failed.
    """
    try:
        yield
    except OSError as error:
        if refuse:
            raise Refused(f"results: {folder} cannot be written ({error})  [results=FOLDER]") from error
        raise Failed(
            f"results: writing to {folder} failed ({error}); there is no record of this run. Make room and give the "
            f"same command again: it goes on from its last checkpoint"
        ) from error
