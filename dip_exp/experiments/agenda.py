"""In: a plan. Out: which of its runs to start next within the time left, and in words what is done and what is left.

Estimates are corrected by what was measured, and what is finished is brought into the tables.
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
"""Estimates count as if they had proved right for this long: the first short run does not overthrow them."""

SWEEPS_AT_ONCE = 8
"""Multiruns that wait for a cluster's queue at once."""


@dataclass
class Pace:
    """How long this campaign's finished runs took, against their estimates, in seconds."""

    estimated: float = 0.0
    measured: float = 0.0

    @property
    def factor(self) -> float:
        """What later estimates are multiplied by."""
        return (self.measured + BELIEVED_SECONDS) / (self.estimated + BELIEVED_SECONDS)


@dataclass(frozen=True)
class Lanes:
    """children: processes at once. most: jobs that one is given. jobs: of those it computes at once. words: which tell
    it so."""

    children: int
    most: int
    jobs: int
    words: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """How many jobs are computed at once in all."""
        return self.children * self.jobs


def lanes(ask: launch.Ask) -> Lanes:
    """Returns how a launcher is given its jobs.

    joblib: all cores, in two sweeps with half of them each, so that the last job of one leaves no core idle; where
    `hydra.launcher.n_jobs` is set by hand, in one. Clusters share out what they are given.
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
    """The runs of a plan, how far they are, and how long what is left of each should take here."""

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
        """Estimates every run before the first: at the end nothing is to be waited for."""
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
        """The runs in order of value, as far as they were when they were last looked at."""
        return list(self._entries.values())

    def seconds(self, entry: plan.Entry) -> float | None:
        """Returns how long what is left of a run should take here; None where that cannot be known: its pictures are
        not here, or it is refused."""
        whole = self._seconds.get(entry.run_id)
        return None if whole is None else whole * entry.left * self.pace.factor

    def takes(self) -> dict[str, float | None]:
        """Returns `seconds` of every run that is to be computed, by run_id."""
        return {entry.run_id: self.seconds(entry) for entry in self.entries if entry.to_do}

    def ends(self, left: float) -> dict[str, float]:
        """Returns after how many seconds from now each run that fits into `left` should be finished, by run_id."""
        clock, found = 0.0, {}
        for run_id, seconds in self.takes().items():
            if seconds is not None and run_id not in self.failed and clock + seconds <= left:
                clock += seconds / self.lanes.width
                found[run_id] = clock
        return found

    def take(self, left: float, going: set[str]) -> list[plan.Entry] | None:
        """Returns what to start next, with `left` seconds to go: the first run that fits, and those that can go with it
        in one sweep. None where nothing is left that fits; nothing where another process is at all that is."""
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
                continue  # another process has finished it meanwhile
            if _elsewhere(entry, self.ask):
                waiting = True
                continue
            chosen.append(entry)
            total += seconds
            if len(chosen) == self.lanes.most:
                break
        return chosen if chosen or waiting else None

    def look(self, entry: plan.Entry) -> plan.Entry:
        """Returns a run with how far it is now, and keeps that."""
        self._entries[entry.run_id] = now = plan.refreshed(self._entries[entry.run_id], self.ask)
        return now

    def settle(self, jobs: list[plan.Entry], why: str) -> None:
        """Notes what came of jobs whose process has ended, and brings what is finished into the tables.

        why: the words for one without a record; empty where it was interrupted and goes on later.
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
        """Brings the finished runs of experiments into the tables; of all that have one where none are named."""
        have = {name for entry in self.entries if entry.state == launch.FINISHED for name in entry.experiments}
        wanted = have if names is None else names
        if wanted:
            try:
                asked = [name for name in self.names if name in wanted]
                collect.tell_refused(collect.collect(self.ask.results, self.ask.scale, asked))
            except OSError as error:
                report.note(f"tables: they could not be written ({error}); scripts/collect.py does it later")


def _elsewhere(entry: plan.Entry, ask: launch.Ask) -> bool:
    """Returns whether another process is at this run."""
    try:
        lock = lock_of(ask.results, entry.run_id)
        lock.acquire(blocking=False)
    except Timeout:
        return True
    except OSError:
        return False  # the run says why
    lock.release()
    return False


# -- what is said ------------------------------------------------------------------------------------------------------


def summary(agenda: Agenda, left: float | None) -> str:
    """Returns the plan as it stands, and in words what is done, what is left and how long that takes here.

    left: seconds there are from now, inf for no end, to say which runs they will do for; None at the end.
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
