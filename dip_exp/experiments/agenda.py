"""In: a plan. Out: the runs to start next within the time left, and a summary of what is done and what is left.

Corrects estimates by measured times, and collects finished runs into the tables.
"""

import os
import sys
from dataclasses import dataclass

from filelock import Timeout

from dip_exp.errors import Refused
from dip_exp.experiments import collect, launch, plan
from dip_exp.images import sets
from dip_exp.runs import report
from dip_exp.runs.folder import RunFolder, lock_of

BELIEVED_SECONDS = 300.0
"""Weight, in seconds, of the prior belief that estimates are right. It keeps the first short run from dominating the
correction."""

SWEEPS_AT_ONCE = 8
"""Number of multiruns that wait in a cluster's queue at the same time."""


@dataclass
class Pace:
    """Estimated and measured seconds of this campaign's finished runs."""

    estimated: float = 0.0
    measured: float = 0.0

    @property
    def factor(self) -> float:
        """The factor by which later estimates are multiplied."""
        return (self.measured + BELIEVED_SECONDS) / (self.estimated + BELIEVED_SECONDS)


@dataclass(frozen=True)
class Lanes:
    """How a launcher gets its jobs.

    children: processes at once. most: maximum number of jobs per process. jobs: number of its jobs that a process
    computes at once. words: the overrides that set this number.
    """

    children: int
    most: int
    jobs: int
    words: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """The number of jobs computed at once over all processes."""
        return self.children * self.jobs


def lanes(ask: launch.Ask) -> Lanes:
    """Returns how a launcher gets its jobs.

    joblib: all cores, split between two sweeps, so that the last job of one leaves no core idle; a single sweep if the
    user set `hydra.launcher.n_jobs`. Clusters distribute the jobs themselves.
    """
    given = dict(word.split("=", 1) for word in ask.overrides if "=" in word)
    cores = os.cpu_count() or 1
    if ask.launcher == "local":
        return Lanes(1, 1, 1)
    if ask.launcher == "joblib":
        by_hand = given.get("hydra.launcher.n_jobs")
        if by_hand is not None:
            return Lanes(1, sys.maxsize, int(by_hand) if int(by_hand) > 0 else cores)
        at_once = max(1, cores // max(1, int(given.get("threads", 1))))
        children = min(2, at_once)
        return Lanes(children, sys.maxsize, at_once // children, (f"hydra.launcher.n_jobs={at_once // children}",))
    return Lanes(SWEEPS_AT_ONCE if ask.launcher == "submitit" else 1, sys.maxsize, cores)


class Agenda:
    """The runs of a plan, their progress, and the estimated time that the rest of each takes here."""

    def __init__(self, names: list[str], ask: launch.Ask) -> None:
        self.names, self.ask = names, ask
        self.lanes = lanes(ask)
        self.pace = Pace()
        self.failed: dict[str, str] = {}
        self.finished: list[str] = []
        self._entries = {entry.run_id: entry for entry in plan.entries(names, ask)}
        self._seconds: dict[str, float] = {}
        self._estimate()

    def _estimate(self) -> None:
        """Estimates every run before the first one starts, so that the end of the campaign has no delay."""
        known: dict[str, float] = {}
        for entry in self.entries:
            if not entry.to_do or entry.absent:
                continue
            try:
                seconds = launch.estimate(entry.job, self.ask, known)
            except Refused as error:
                self._fail(entry, str(error))
                continue
            if seconds is not None:
                self._seconds[entry.run_id] = seconds

    @property
    def entries(self) -> list[plan.Entry]:
        """The runs in order of value, with their state as of the last look."""
        return list(self._entries.values())

    def seconds(self, entry: plan.Entry) -> float | None:
        """Returns the estimated seconds for the rest of a run here; None if unknown (its files are missing, or it is
        refused)."""
        whole = self._seconds.get(entry.run_id)
        return None if whole is None else whole * entry.left * self.pace.factor

    def takes(self) -> dict[str, float | None]:
        """Returns {run_id: `seconds`} of every run that is to be computed."""
        return {entry.run_id: self.seconds(entry) for entry in self.entries if entry.to_do}

    def ends(self, left: float) -> dict[str, float]:
        """Returns {run_id: seconds from now until it should be finished} of the runs that fit into `left` seconds."""
        clock, found = 0.0, {}
        for run_id, seconds in self.takes().items():
            if seconds is not None and run_id not in self.failed and clock + seconds <= left:
                clock += seconds / self.lanes.width
                found[run_id] = clock
        return found

    def take(self, left: float, going: set[str]) -> list[plan.Entry] | None:
        """Returns the runs to start next with `left` seconds to go: the first run that fits, and those that can join
        its sweep. Returns None if no run is left that fits, and [] if other processes are computing all that are
        left."""
        chosen: list[plan.Entry] = []
        total, waiting = 0.0, False
        for before in self.entries:
            if not before.to_do or before.run_id in {*going, *self.failed}:
                continue
            seconds = self.seconds(before)
            if seconds is None or seconds > left:
                continue
            if chosen and (not plan.goes_with(chosen, before) or total + seconds > left * self.lanes.jobs):
                break
            entry = self.look(before)
            if not entry.to_do:
                continue  # finished by another process in the meantime
            if _elsewhere(entry, self.ask):
                waiting = True
                continue
            chosen.append(entry)
            total += seconds
            if len(chosen) == self.lanes.most:
                break
        return chosen if chosen or waiting else None

    def look(self, entry: plan.Entry) -> plan.Entry:
        """Returns a run with its current state, and stores it."""
        self._entries[entry.run_id] = now = plan.refreshed(self._entries[entry.run_id], self.ask)
        return now

    def settle(self, jobs: list[plan.Entry], why: str) -> None:
        """Records the outcome of jobs whose process has ended, and collects the finished ones into the tables.

        why: the reason given for a job without a record; empty if the job was interrupted and will be resumed.
        """
        done = [entry for entry in jobs if not self.look(entry).to_do]
        for entry in jobs:
            if entry in done:
                self.finished.append(entry.run_id)
                self._measure(entry)
            elif why:
                self._fail(entry, f"it ended without a record ({why}); its message is above")
        self.gather({name for entry in done for name in entry.experiments})

    def _measure(self, entry: plan.Entry) -> None:
        kept, whole = RunFolder(self.ask.results, entry.run_id).record(), self._seconds.get(entry.run_id)
        if kept is not None and whole is not None:
            self.pace.estimated += whole
            self.pace.measured += kept["seconds"]

    def _fail(self, entry: plan.Entry, why: str) -> None:
        self.failed[entry.run_id] = why
        report.note(f"failed: {plan.label(entry)}: {why}")

    def gather(self, names: set[str] | None = None) -> None:
        """Collects the finished runs of the named experiments into the tables; by default, of all that have any."""
        have = {name for entry in self.entries if entry.state == launch.FINISHED for name in entry.experiments}
        wanted = have if names is None else names
        if wanted:
            try:
                asked = [name for name in self.names if name in wanted]
                collect.tell_refused(collect.collect(self.ask.results, self.ask.scale, asked))
            except OSError as error:
                report.note(f"tables: they could not be written ({error}); scripts/collect.py does it later")


def _elsewhere(entry: plan.Entry, ask: launch.Ask) -> bool:
    """Returns whether another process is computing this run."""
    try:
        lock = lock_of(ask.results, entry.run_id)
        lock.acquire(blocking=False)
    except Timeout:
        return True
    except OSError:
        return False  # the run itself reports the reason
    lock.release()
    return False


# -- summary in words --------------------------------------------------------------------------------------------------


def summary(agenda: Agenda, left: float | None) -> str:
    """Returns the plan's table, followed by what is done, what is left and how long that takes here, in words.

    left: seconds from now (inf for no limit), used to say which runs fit; None at the end of a campaign.
    """
    takes = agenda.takes()
    entries = agenda.entries
    to_do = [entry for entry in entries if entry.to_do]
    absent = [entry for entry in to_do if entry.absent]
    known = [seconds for seconds in takes.values() if seconds is not None]
    own = f", {len(agenda.finished)} of them in this campaign" if agenda.finished else ""
    lines = [plan.table(entries, takes, None if left is None else agenda.ends(left)), ""]
    lines.append(f"done: {len(entries) - len(to_do)} of {len(entries)} runs{own}")
    if to_do:
        begun = sum(entry.state == launch.BEGUN for entry in to_do)
        at_once = f", {agenda.lanes.width} at a time" if agenda.lanes.width > 1 else ""
        about = report.duration(sum(known) / agenda.lanes.width)
        lines.append(f"left: {len(to_do)} runs, {begun} of them begun; about {about} here{at_once}")
    if absent:
        wanted = ", ".join(sorted({name for entry in absent for name in entry.absent}))
        lines.append(f"      not counted: {len(absent)} of them, whose files are not here ({sets.FETCH} NAME):")
        lines.append(f"      {wanted}")
    too_long = [seconds for seconds in known if left is not None and seconds > left]
    if too_long:
        longest = report.duration(max(too_long))
        lines.append(f"      longer than these hours: {len(too_long)} of them, the longest {longest}")
    lines += [f"failed: {plan.label(e)}: {agenda.failed[e.run_id]}" for e in entries if e.run_id in agenda.failed]
    return "\n".join(lines)
