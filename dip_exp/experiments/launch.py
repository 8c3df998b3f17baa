"""In: experiments and a scale. Out: their missing runs, the estimated time of those, and their sweeps."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock

from dip_exp import config
from dip_exp.component import located
from dip_exp.config.build import build, refusing
from dip_exp.experiments import sweeps
from dip_exp.runs import report
from dip_exp.runs.folder import RunFolder, tabled
from dip_exp.runs.price import free_of, priced

FINISHED, TABLED, BEGUN, MISSING = "finished", "in the tables", "begun", "missing"


@dataclass(frozen=True)
class Ask:
    """A request: a scale, the number of seeds, the launcher, further overrides, and whether runs in the tables count as
    done (`recompute` false)."""

    scale: str
    seeds: int = 1
    launcher: str = "local"
    recompute: bool = False
    overrides: tuple[str, ...] = ()
    results: Path = Path("results")

    @property
    def composed(self) -> tuple[str, ...]:
        """The overrides that jobs are composed with, besides the experiment's own."""
        return (*([f"launcher={self.launcher}"] if self.launcher != "local" else []), *self.overrides)

    def words(self, name: str) -> list[str]:
        """Returns the command-line overrides of one experiment's sweep."""
        given = [f"experiment={name}", f"scale={self.scale}", f"seeds={self.seeds}", f"launcher={self.launcher}"]
        given += ["recompute=true"] * self.recompute
        given += [f"results={self.results}"] * (self.results != Path("results"))
        return [*given, *self.overrides]


def states(name: str, ask: Ask) -> list[tuple[sweeps.Job, str]]:
    """Returns an experiment's jobs, each with the state of its run."""
    known = set() if ask.recompute else set(tabled(ask.results))
    found = []
    for job in sweeps.jobs(name, ask.scale, ask.seeds, ask.composed):
        folder = RunFolder(ask.results, job.run_id)
        if folder.record() is not None:
            state = FINISHED
        elif job.run_id in known:
            state = TABLED
        else:
            state = BEGUN if folder.saved.exist() else MISSING
        found.append((job, state))
    return found


def others(names: list[str], ask: Ask) -> bool:
    """Returns whether the overrides change run ids, so that the runs will not be collected."""
    return any(
        {job.run_id for job in sweeps.jobs(name, ask.scale, ask.seeds, ask.overrides)}
        - {job.run_id for job in sweeps.jobs(name, ask.scale, ask.seeds)}
        for name in names
    )


def missing(name: str, ask: Ask) -> list[sweeps.Job]:
    """Returns the jobs whose runs still have to be computed."""
    return [job for job, state in states(name, ask) if state in (BEGUN, MISSING)]


def estimate(job: sweeps.Job, ask: Ask, known: dict[str, float]) -> float | None:
    """Returns the estimated seconds of a job on this machine; None if its files are missing.

    known: cache of seconds per step, keyed by all that the cost of a step depends on. It is extended here.
    """
    settings = job.named.config
    if any(not located(path).exists() for path, _ in config.files(settings).values()):
        return None
    role = settings["image"]["role"]
    shape = _shape(json.dumps({key: settings[key] for key in ("image", "trust")}, sort_keys=True))
    optim = {key: value for key, value in settings["optim"].items() if key not in ("steps", "lr", "average")}
    key = str([settings[key] for key in ("arch", "input", "stop", "trainer", "precision", "threads")])
    key += str([optim, free_of(settings), shape, role])
    if key not in known:
        known[key] = priced(settings, job.named.choices, shape)
    return known[key] * settings["optim"]["steps"]


@cache
def _shape(settings: str) -> tuple[int, int, int]:
    """Returns the shape (C, H, W) of the picture that these settings (as JSON) describe."""
    source = build(json.loads(settings), "image", {})
    with refusing("image", {}):
        return source.shape()


def dry_run(names: list[str], ask: Ask) -> None:
    """Prints the missing runs with their estimated time on this machine, and computes nothing."""
    known: dict[str, float] = {}
    counted: set[str] = set()
    total, unknown = 0.0, 0
    for name in names:
        found = states(name, ask)
        todo = [job for job, state in found if state in (BEGUN, MISSING)]
        times = [(job, estimate(job, ask, known)) for job in todo]
        seconds = sum(time or 0 for job, time in times if job.run_id not in counted)
        unknown += sum(time is None and job.run_id not in counted for job, time in times)
        counted |= {job.run_id for job in todo}
        total += seconds
        about = f", about {report.duration(seconds)}" if seconds else ""
        report.note(f"{name}: {len(todo)} of {len(found)} runs missing{about}")
        for job, time in times:
            report.note(f"  {job.run_id}  {job.label} seed={job.seed}  {'' if time is None else report.duration(time)}")
        absent = sorted(set((sweeps.about(name) or {})["sets"])) if any(time is None for _, time in times) else []
        if absent:
            report.note(f"  pictures that are not here: python scripts/fetch_images.py {' '.join(absent)}")
    at_once = min(os.cpu_count() or 1, max(1, len(counted))) if ask.launcher == "joblib" else 1
    without = f"; without {unknown} runs whose pictures are not here, which are not estimated" if unknown else ""
    report.note(
        f"in all about {report.duration(total / at_once)} with launcher={ask.launcher}, {at_once} at a time here, runs "
        f"that two experiments share counted once{without}"
    )


def run(names: list[str], ask: Ask) -> list[str]:
    """Runs each experiment's missing jobs and returns the experiments that had failures.

    The largest sweep goes first. With joblib, two sweeps run at a time with half of the cores each, so that the last
    job of one does not leave cores idle. Two sweeps that share a run do not go together while there are others.
    """
    cores = os.cpu_count() or 1
    set_by_hand = any(word.startswith("hydra.launcher.n_jobs=") for word in ask.overrides)
    two = ask.launcher == "joblib" and min(len(names), cores) > 1 and not set_by_hand
    share = [f"hydra.launcher.n_jobs={cores // 2}"] * two
    runs = {name: {job.run_id for job in missing(name, ask)} for name in names}
    queue = _Queue({name: runs[name] for name in sorted(names, key=lambda name: -len(runs[name]))})
    failed: set[str] = set()

    def work() -> None:
        while (name := queue.take()) is not None:
            todo = missing(name, ask)  # another sweep may have computed some in the meantime
            report.note(f"\n== {name} ({ask.scale}): {len(todo)} runs missing")
            command = [sys.executable, "-m", "dip_exp", "-m", *ask.words(name), *share]
            if todo and subprocess.run(command, check=False).returncode != 0:
                failed.add(name)
            queue.done(name)

    with ThreadPoolExecutor(2 if two else 1) as pool:
        workers = [pool.submit(work) for _ in range(2 if two else 1)]
        try:
            for worker in workers:
                worker.result()
        except KeyboardInterrupt:
            queue.clear()  # the sweeps still running were interrupted too
            raise
    return [name for name in names if name in failed]


class _Queue:
    """A thread-safe queue of experiments with their missing runs."""

    def __init__(self, waiting: dict[str, set[str]]) -> None:
        self._waiting = waiting
        self._going: dict[str, set[str]] = {}
        self._lock = Lock()

    def take(self) -> str | None:
        """Returns the first experiment that shares no run with those in progress, or else the first one; None at the
        end."""
        with self._lock:
            busy = set[str]().union(*self._going.values())
            free = (name for name, runs in self._waiting.items() if not runs & busy)
            name = next(free, next(iter(self._waiting), None))
            if name is not None:
                self._going[name] = self._waiting.pop(name)
            return name

    def done(self, name: str) -> None:
        """Marks an experiment as no longer in progress."""
        with self._lock:
            del self._going[name]

    def clear(self) -> None:
        """Empties the queue."""
        with self._lock:
            self._waiting.clear()
