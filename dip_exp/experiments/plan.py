"""In: experiments and a request. Out: their runs in order of value, each listed once, with its state.

The experiments define the order (`about.order`); no list of it is kept here. No torch.
"""

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from tabulate import tabulate

from dip_exp import config
from dip_exp.component import located
from dip_exp.experiments import launch, sweeps
from dip_exp.images import sets
from dip_exp.runs import checkpoints, report
from dip_exp.runs.folder import RunFolder, tabled

LAST = math.inf
"""The place of a job that has none in its experiment's order."""

MANY = 50
"""If a sweep has more jobs than this, a table shows them as one row."""

LABEL_WIDTH = 30
"""Maximum width of a job's label in a table. A longer label is cut at its start."""


@dataclass(frozen=True)
class Entry:
    """A run and its place in the order.

    seeds: the smallest number of seeds that includes it; runs are sorted by it first. at: its place
    (`config.Place.at`), or LAST. experiments: all requested experiments that list it; it runs as part of the first.
    state: one of the states in `launch`. done: number of steps in its checkpoint.
    """

    seeds: int
    at: float
    experiments: tuple[str, ...]
    job: sweeps.Job
    state: str
    done: int = 0

    @property
    def run_id(self) -> str:
        return self.job.run_id

    @property
    def steps(self) -> int:
        return self.job.named.config["optim"]["steps"]

    @property
    def to_do(self) -> bool:
        return self.state in (launch.BEGUN, launch.MISSING)

    @property
    def left(self) -> float:
        """The fraction of the run still to be computed, 0 to 1."""
        return (1 - min(self.done / self.steps, 1)) if self.to_do else 0.0

    @property
    def absent(self) -> tuple[str, ...]:
        """The missing files that the run reads: each as its name for scripts/fetch_images.py, or as the path of a
        user's file."""
        found = config.files(self.job.named.config).values()
        return tuple(_wanted(path, sha256) for path, sha256 in found if not located(path).exists())


def entries(names: Sequence[str], ask: launch.Ask) -> list[Entry]:
    """Returns the experiments' runs in order of value: by number of seeds, then by place, then begun runs first, then
    by experiment, then by the order of its patterns, then by the order of its sweep.

    A run that two experiments share is listed once, at the earlier of its places.
    """
    found = []
    for number, name in enumerate(names):
        first_asked = _seeds(name, ask)
        for index, (job, state) in enumerate(launch.states(name, ask)):
            at, rank = place(name, job)
            entry = Entry(first_asked[job.run_id], at, (name,), job, state, _done(job, state, ask))
            key = (entry.seeds, at, state != launch.BEGUN, number, rank, index)
            found.append((key, entry))
    once: dict[str, Entry] = {}
    for _, entry in sorted(found, key=lambda pair: pair[0]):
        before = once.get(entry.run_id)
        names_of = entry.experiments if before is None else (*before.experiments, *entry.experiments)
        once[entry.run_id] = replace(before or entry, experiments=tuple(dict.fromkeys(names_of)))
    return list(once.values())


def refreshed(entry: Entry, ask: launch.Ask) -> Entry:
    """Returns the entry with its run's current state."""
    folder = RunFolder(ask.results, entry.run_id)
    if folder.record() is not None:
        return replace(entry, state=launch.FINISHED, done=0)
    if not ask.recompute and entry.run_id in tabled(ask.results):
        return replace(entry, state=launch.TABLED, done=0)
    state = launch.BEGUN if folder.saved.exist() else launch.MISSING
    return replace(entry, state=state, done=_done(entry.job, state, ask))


def place(name: str, job: sweeps.Job) -> tuple[float, tuple[int, ...]]:
    """Returns a job's place in its experiment's order, and its rank among the jobs of the same place."""
    words = dict(word.split("=", 1) for word in job.words)
    for number, entry in enumerate((sweeps.about(name) or {})["order"]):
        rank = _rank(entry["jobs"], words)
        if rank is not None:
            return entry["at"], (number, *rank)
    return LAST, ()


def _rank(pattern: str, words: dict[str, str]) -> tuple[int, ...] | None:
    """Returns, for each word of a pattern, the index of the value that matches; None if some word matches none."""
    rank = []
    for word in shlex.split(pattern):
        key, _, values = word.partition("=")
        fits = (i for i, value in enumerate(values.split(",")) if fnmatchcase(words.get(key, ""), value))
        rank.append(next(fits, None))
    return None if None in rank else tuple(index for index in rank if index is not None)


def _seeds(name: str, ask: launch.Ask) -> dict[str, int]:
    """Returns {run_id: the smallest number of seeds that includes the run}."""
    found: dict[str, int] = {}
    for seeds in range(ask.seeds, 0, -1):
        jobs = sweeps.jobs(name, ask.scale, seeds, ask.composed)
        found.update(dict.fromkeys((job.run_id for job in jobs), seeds))
    return found


def _done(job: sweeps.Job, state: str, ask: launch.Ask) -> int:
    if state != launch.BEGUN:
        return 0
    return checkpoints.steps_done(RunFolder(ask.results, job.run_id).saved)


def _wanted(path: str, sha256: str | None) -> str:
    entry = sets.by_content(sha256)
    if entry is None:
        return path
    return entry.family if entry.is_picture else entry.option


# -- several jobs as one multirun --------------------------------------------------------------------------------------


def together(jobs: Sequence[Entry]) -> list[str]:
    """Returns the overrides of the sweep that consists of exactly these jobs, which `goes_with` has accepted."""
    listed = [_words(entry) for entry in jobs]
    return [f"{key}={','.join(dict.fromkeys(words[key] for words in listed))}" for key in listed[0]]


def goes_with(jobs: Sequence[Entry], entry: Entry) -> bool:
    """Returns whether these jobs and this one form exactly one multirun: they share experiment, place and number of
    seeds, and differ in a single override."""
    first = jobs[0]
    if (first.experiments[0], first.at, first.seeds) != (entry.experiments[0], entry.at, entry.seeds):
        return False
    differs = _differing(first, entry)
    return len(differs) == 1 and (len(jobs) == 1 or differs == _differing(first, jobs[1]))


def _differing(one: Entry, other: Entry) -> set[str]:
    a, b = _words(one), _words(other)
    return {key for key in {*a, *b} if a.get(key) != b.get(key)}


def _words(entry: Entry) -> dict[str, str]:
    return dict(word.split("=", 1) for word in entry.job.words)


# -- as a table --------------------------------------------------------------------------------------------------------


def table(entries: Sequence[Entry], takes: Mapping[str, float | None], ends: Mapping[str, float] | None = None) -> str:
    """Returns the plan as a table with one row per run, or per sweep of more than `MANY` jobs. It is less than 100
    characters wide.

    takes: {run_id: estimated seconds for the rest of the run here}. ends: {run_id: seconds from now until it should be
    finished}, for the runs that fit the time left.
    """
    labels, rows = _labels(entries), []
    for number, jobs in _grouped(entries):
        first, several = jobs[0], len(jobs) > 1
        known = [takes.get(entry.run_id) for entry in jobs if entry.to_do]
        seconds = sum(time for time in known if time is not None)
        rows.append(
            [
                f"{number}",
                first.experiments[0],
                f"{len(jobs)} jobs" if several else labels[first.run_id],
                _state(first),
                report.duration(seconds) if any(time is not None for time in known) else "",
            ]
        )
        if ends is not None:
            after = [ends[entry.run_id] for entry in jobs if entry.run_id in ends]
            rows[-1].append(report.duration(max(after)) if after else "")
    heads = ["", "experiment", "job", "state", "takes", "ends after"]
    return tabulate(
        rows,
        heads if ends is not None else heads[:-1],
        colalign=("right", "left", "left", "left", "right", "right")[: len(heads) - (ends is None)],
        disable_numparse=True,
    )


def label(entry: Entry) -> str:
    """Returns a short description of a run, for a message."""
    return f"{entry.experiments[0]} {shlex.join(entry.job.words)}"


def _state(entry: Entry) -> str:
    if entry.state == launch.BEGUN:
        return f"begun: {entry.done} of {entry.steps}"
    return "files not here" if entry.to_do and entry.absent else entry.state


def _grouped(entries: Sequence[Entry]) -> Iterator[tuple[int, list[Entry]]]:
    """Yields the number and the entries of each row."""
    at = 0
    while at < len(entries):
        jobs = [entries[at]]
        while at + len(jobs) < len(entries):
            following = entries[at + len(jobs)]
            if _state(following) != _state(jobs[0]) or not goes_with(jobs, following):
                break
            jobs.append(following)
        yield from [(at + 1, jobs)] if len(jobs) > MANY else ((at + 1 + i, [job]) for i, job in enumerate(jobs))
        at += len(jobs)


def _labels(entries: Sequence[Entry]) -> dict[str, str]:
    """Returns {run_id: label}: the values that distinguish a run from the others of its experiment."""
    values: dict[tuple[str, str], set[str]] = {}
    for entry in entries:
        for key, value in _words(entry).items():
            values.setdefault((entry.experiments[0], key), set()).add(value)
    labels = {}
    for entry in entries:
        words = _words(entry)
        telling = {key: value for key, value in words.items() if len(values[entry.experiments[0], key]) > 1}
        shown = telling or {key: value for key, value in words.items() if key != "seed"}
        text = " ".join(f"{key}={value}" if value[:1].isdigit() else value for key, value in shown.items())
        labels[entry.run_id] = text if len(text) <= LABEL_WIDTH else f"…{text[1 - LABEL_WIDTH :]}"
    return labels
