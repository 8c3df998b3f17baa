"""Kills a small run at every write and at random moments, resumes it, and compares the bits with an undisturbed run's.

    python scripts/torture.py                 200 trials; about ten minutes on one processor core
    python scripts/torture.py 20 --seed 7 --of tiles

Each trial is one of: killed at a write (`write`), the disk full from a write on (`full`), a signal at a random moment
(`signal`), and a power loss that also damages the newest checkpoint (`damage`). Then the same command is given until it
ends by itself. All pictures, the history and the record (but for times and the number of attempts) must be those of a
run that nothing disturbed, and no step that a checkpoint had may have been taken again. Between the two, no record may
be there that is not whole. Prints a line for each failure, writes the counts to results/tables/torture.csv, and exits
with status 1 if there was any.
"""

import argparse
import contextlib
import csv
import hashlib
import io
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts.faults import Writes, at_the, disk_full, killed  # noqa: E402

RUN = [
    *("task=inpaint", "image.shrink_to=32", "arch=skip_narrow", "arch.down=[4,4]", "arch.up=[4,4]", "arch.skip=[2,2]"),
    *("optim.steps=40", "stop=emv", "logger.every=5", "trainer.checkpoint_seconds=0.02", "trainer=cpu", "threads=1"),
    *("trainer.progress=off", "rivals=none"),
]
"""A run with pictures, a stop rule with a state, and many checkpoints."""

SHORT = [*RUN, "optim.steps=12", "stop=fixed"]
OWN = ["task=denoise", *(word for word in SHORT if not word.startswith(("image", "task"))), "image.path={picture}"]
COMMANDS = {
    "run": RUN,
    "mean": [*SHORT, "runs=2"],
    "tiles": [*OWN, "tiles=32", "tile_overlap=8"],
    "multirun": ["-m", *SHORT, "seed=0,1"],
}
"""What is disturbed: a run, several runs and their mean, a picture in tiles, a multirun."""

PICTURE = "picture.png"
"""The file that `tiles` restores, beside the folders of the trials."""

SIGNALS = ("SIGKILL", "SIGTERM", "SIGINT", "SIGUSR1")
KINDS = ("write", "full", "signal", "damage")
LIMIT_SECONDS = 120.0

ROUNDED = 1e-4
"""The seconds of a curve are rounded to as much."""

VOLATILE = (
    "attempt",
    "attempts",
    "seconds",
    "seconds_per_step",
    "cpu_seconds",
    "peak_memory_bytes",
    "command",
    "commit",
    "dirty",
)
"""What the record says of the run that is not of its result."""


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit status, negative for a signal; what it printed; the writes that it came to."""

    status: int
    said: str
    writes: int


def run(
    command: str, folder: Path, at: Callable[[int], None] = lambda _: None, when: "tuple[float, int] | None" = None
) -> Ended:
    """Returns how one of `COMMANDS` ended in a process of its own.

    at: called in that process before each of its writes. when: seconds from its start, and the signal that it then
    gets.
    """
    said = folder.with_name(f"{folder.name}.said")
    counted = folder.with_name(f"{folder.name}.writes")
    child = os.fork()
    if child == 0:
        _become(command, folder, at, said, counted)
    began = time.monotonic()
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            break
        if when is not None and time.monotonic() - began >= when[0]:
            os.kill(child, when[1])
            when = None
        if time.monotonic() - began > LIMIT_SECONDS:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.001)
    writes = int(counted.read_text()) if counted.exists() else 0
    words = said.read_text(errors="replace") if said.exists() else ""  # it may be killed before it says anything
    return Ended(os.waitstatus_to_exitcode(status), words, writes)


def _become(command: str, folder: Path, at: Callable[[int], None], said: Path, counted: Path) -> None:
    """Makes this process, a fork, the command; does not return."""
    status = 70
    try:
        with said.open("w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        words = [word.format(picture=folder.parent / PICTURE) for word in COMMANDS[command]]
        sys.argv = ["run.py", *words, f"results={folder}"]
        from dip_exp.cli import main

        writes = Writes(folder, at)
        try:
            main()
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        counted.write_text(str(writes.count))
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def result(folder: Path) -> dict[str, str]:
    """Returns a hash of everything that finished runs left, by file."""
    files = sorted(path for path in (folder / "runs").rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(_lasting(path)).hexdigest() for path in files}


def _lasting(path: Path) -> bytes:
    """Returns the content of a file without times and counts of attempts."""
    import numpy as np
    import torch

    from dip_exp.fit.generations import content_of
    from dip_exp.pages import one_run
    from dip_exp.runs import page
    from dip_exp.runs.folder import RunFolder

    if path.name == "record.json":
        record = json.loads(path.read_text())
        for name in VOLATILE:
            record.pop(name, None)
        record["config"].pop("results")
        for restored in (record["baseline"] or {}, *record.get("rivals", {}).values()):
            restored.pop("seconds", None)
        return json.dumps(record, sort_keys=True).encode()
    if path.name == "history.csv":
        rows = [line.split(",") for line in path.read_text().splitlines()]
        times = [place for place, name in enumerate(rows[0]) if name == "seconds"]
        return repr([[cell for place, cell in enumerate(row) if place not in times] for row in rows]).encode()
    if path.name == "outputs.npz":
        with np.load(io.BytesIO(path.read_bytes())) as arrays:
            return b"".join(name.encode() + arrays[name].tobytes() for name in sorted(arrays))
    if path.name == "state.pt":
        return repr(list(_leaves(torch.load(io.BytesIO(content_of(path)), weights_only=True)))).encode()
    if path.name == "report.html":  # it holds times: it must be what its folder says
        folder = RunFolder(path.parents[2], path.parent.name)
        return str(path.read_text() == one_run.html(page.page(folder, folder.record() or {}))).encode()
    return b"" if path.name == "attempts" else path.read_bytes()


def _leaves(state: Any, key: str = "") -> Iterator[tuple[str, object]]:
    """Yields the values of a checkpoint, but for its times; tensors as a hash of their numbers."""
    import torch

    if isinstance(state, dict):
        for name, value in state.items():
            if "seconds" not in str(name):
                yield from _leaves(value, f"{key}.{name}")
    elif isinstance(state, torch.Tensor):
        yield key, hashlib.sha256(state.numpy().tobytes()).hexdigest()
    else:
        yield key, state


def half_written(folder: Path) -> list[str]:
    """Returns what is wrong with the records and checkpoints that a reader would find; [] if nothing is."""
    from dip_exp.errors import Damaged, Refused
    from dip_exp.runs.folder import RunFolder

    wrong = []
    for path in folder.glob("runs/*"):
        one = RunFolder(folder, path.name)
        try:
            one.record()
            if one.saved.exist():
                one.saved.newest()
        except (Damaged, Refused) as error:
            wrong.append(str(error))
    return wrong


def steps_kept(folder: Path) -> dict[Path, list[float]]:
    """Returns the seconds of the steps in each checkpoint from which a run will go on, by the file of its curve."""
    import torch

    from dip_exp.errors import Damaged
    from dip_exp.runs.folder import RunFolder

    kept = {}
    for path in folder.glob("runs/*"):
        with contextlib.suppress(FileNotFoundError, Damaged):  # none, or none that is whole: it begins again
            content, _ = RunFolder(folder, path.name).saved.newest()
            state = torch.load(io.BytesIO(content), weights_only=True)
            kept[path / "history.csv"] = state["history"]["seconds"].tolist()
    return kept


def taken_again(kept: dict[Path, list[float]]) -> list[str]:
    """Returns which runs took steps again that they had kept; [] if none did. A step that is taken again has the same
    numbers, but happens at another time."""
    wrong = []
    for path, seconds in kept.items():
        with path.open(newline="", encoding="utf-8") as file:
            curve = [float(row["seconds"]) for row in csv.DictReader(file)]
        if any(abs(one - other) > ROUNDED for one, other in zip(seconds, curve, strict=False)):
            wrong.append(f"{path.parent.name} took steps again of which a checkpoint had {len(seconds)}")
    return wrong


def damage(folder: Path, chance: random.Random) -> None:
    """Damages the newest checkpoint as a power loss may: cut short, emptied, or with zeros in it."""
    for path in folder.glob("runs/*/checkpoint.pt"):
        if (path.parent / "record.json").exists():
            continue  # it was flushed to the disk before the record was written
        whole = path.read_bytes()
        place = chance.randrange(len(whole))
        path.write_bytes(chance.choice([whole[:place], b"", whole[:place] + bytes(min(512, len(whole) - place))]))


@dataclass(frozen=True)
class Undisturbed:
    """A command that nothing disturbed: what it left, its writes, and its seconds."""

    command: str
    left: dict[str, str]
    writes: int
    seconds: float

    @classmethod
    def in_folder(cls, command: str, folder: Path) -> "Undisturbed":
        """Returns it, run here. Raises RuntimeError if it did not end."""
        began = time.monotonic()
        ended = run(command, folder)
        if ended.status != 0:
            raise RuntimeError(f"the undisturbed run ended with status {ended.status}: {ended.said}")
        return cls(command, result(folder), ended.writes, time.monotonic() - began)


def trial(folder: Path, kind: str, whole: Undisturbed, chance: random.Random, write: int) -> list[str]:
    """Returns what went wrong in a trial; [] if nothing did. write: the number of the write that is disturbed."""
    if kind in ("write", "damage"):
        first = run(whole.command, folder, at_the(write, killed))
    elif kind == "full":
        first = run(whole.command, folder, at_the(write, disk_full, and_later=True))
    else:
        number = signal.Signals[chance.choice(SIGNALS)]
        first = run(whole.command, folder, when=(chance.uniform(0, whole.seconds), number))
    wrong = [f"left behind: {problem}" for problem in half_written(folder)]
    if "Traceback" in first.said:
        wrong.append(f"a traceback: {first.said[-300:]}")
    records = sum("record.json" in name for name in whole.left)
    finished = len(list(folder.glob("runs/*/record.json"))) == records  # the disk filled up when all was written
    if kind == "full" and not finished and (first.status not in (1, 2) or "error:" not in first.said):
        wrong.append(f"a full disk ended with status {first.status}: {first.said[-300:]}")
    if kind == "damage":
        damage(folder, chance)
    kept = steps_kept(folder)
    last = run(whole.command, folder)
    if last.status != 0:
        return [*wrong, f"the same command ended with status {last.status}: {last.said[-300:]}"]
    wrong += taken_again(kept)
    left = result(folder)
    names = sorted(name for name in {*left, *whole.left} if left.get(name) != whole.left.get(name))
    return [*wrong, *([f"other bits in {', '.join(names)}"] if names else [])]


def trials(count: int, writes: int, chance: random.Random) -> Iterator[tuple[str, int]]:
    """Yields the kind of each trial and the write that it disturbs: every write in turn, of each kind."""
    order = {kind: chance.sample(range(1, writes + 1), writes) for kind in KINDS}
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        yield kind, order[kind][number // len(KINDS) % writes]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int, nargs="?", default=200)
    parser.add_argument("--of", choices=COMMANDS, default="run", help="what is disturbed (run)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", type=Path, default=ROOT / "results/tables/torture.csv", help="where the counts go")
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # a process with threads of OpenMP's cannot be forked
    import lightning.pytorch  # noqa: F401  # the forks share what is imported here
    import numpy as np
    import torch  # noqa: F401
    from PIL import Image

    chance, good, tried = random.Random(given.seed), Counter[str](), Counter[str]()
    with tempfile.TemporaryDirectory() as temporary:
        noise = np.random.default_rng(0).integers(0, 256, (40, 56, 3), np.uint8)
        Image.fromarray(noise).save(Path(temporary) / PICTURE)
        whole = Undisturbed.in_folder(given.of, Path(temporary) / "whole")
        print(f"undisturbed: {whole.seconds:.1f} s, {whole.writes} writes, {len(whole.left)} files", flush=True)
        for number, (kind, write) in enumerate(trials(given.count, whole.writes, chance), 1):
            folder = Path(temporary) / f"{number}"
            wrong = trial(folder, kind, whole, chance, write)
            tried[kind] += 1
            good[kind] += not wrong
            for problem in wrong:
                print(f"trial {number} ({kind}, write {write}): {problem}", flush=True)
    _tell(good, tried, whole, given)
    return 0 if good == tried else 1


def _tell(good: Counter[str], tried: Counter[str], whole: Undisturbed, given: argparse.Namespace) -> None:
    """Prints the counts and puts them into the table, in the place of earlier ones of the same command."""
    from scripts.bench.common import machine, write_table

    new = [
        {"of": given.of, "kind": kind, "same_bits": good[kind], "trials": tried[kind], "writes": whole.writes}
        for kind in KINDS
    ]
    new = [{**row, "seed": given.seed, "machine": machine()} for row in new]
    kept: list[dict[str, Any]] = []
    if given.table.is_file():
        with given.table.open(newline="", encoding="utf-8") as file:
            kept = [row for row in csv.DictReader(file) if row["of"] != given.of]
    write_table(given.table, tuple(new[0]), [*kept, *new])
    print(f"{good.total()} of {tried.total()} ended with the same bits: {dict(good)}")


if __name__ == "__main__":
    sys.exit(main())
