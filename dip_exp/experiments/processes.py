"""In: an agenda and a deadline. Out: its runs, computed in order of value as far as they fit.

Every run, or under a launcher every few, is a child process. Whatever ends this process ends its children in order
(`dip_exp.leash`), and what they had begun goes on with the same command.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from dip_exp.experiments import agenda as agendas
from dip_exp.experiments import launch, plan
from dip_exp.runs import report

GRACE_SECONDS = 60.0
"""What a child may take to end once it is told to: a step, its checkpoint, its log."""

POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Child:
    """A process, and the runs it is at."""

    process: subprocess.Popen[bytes]
    jobs: list[plan.Entry]


def command(jobs: list[plan.Entry], ask: launch.Ask, own: agendas.Lanes) -> list[str]:
    """Returns the command of a process that computes these jobs and no others."""
    words = plan.together(jobs)
    keys = {word.split("=")[0] for word in words}
    given = [word for word in ask.words(jobs[0].experiments[0]) if word.split("=")[0] not in keys]
    many = [] if ask.launcher == "local" else ["-m"]
    return [sys.executable, "-m", "dip_exp.leash", *many, *given, *own.words, *words]


def carry_out(agenda: agendas.Agenda, deadline: float) -> bool:
    """Computes what fits until `deadline` (of time.monotonic) and returns whether a signal ended it before.

    At the deadline, and at Ctrl-C or SIGTERM, what goes on is told to end, and leaves its checkpoint.
    """
    children: list[Child] = []
    with _noting_signals() as received:
        while not received and time.monotonic() < deadline:
            for child in [child for child in children if child.process.poll() is not None]:
                children.remove(child)
                _ended(agenda, child, f"exit status {child.process.returncode}")
            waiting = False
            while len(children) < agenda.lanes.children and not waiting and not received:
                going = {entry.run_id for child in children for entry in child.jobs}
                jobs = agenda.take(deadline - time.monotonic(), going)
                if jobs is None:
                    break
                waiting = not jobs
                if jobs:
                    children.append(_started(agenda, jobs))
            if not children and not waiting:
                break
            time.sleep(POLL_SECONDS)
        for child in children:
            child.process.terminate()
        until = time.monotonic() + GRACE_SECONDS
        for child in children:
            try:
                child.process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(child.process.pid, signal.SIGKILL)
                child.process.wait()
            _ended(agenda, child, "")
        return bool(received)


def _started(agenda: agendas.Agenda, jobs: list[plan.Entry]) -> Child:
    seconds = sum(agenda.seconds(entry) or 0.0 for entry in jobs) / agenda.lanes.jobs
    for entry in jobs:
        report.note(f"\n== {plan.label(entry)}")
    report.note(f"   about {report.duration(seconds)}")
    words = command(jobs, agenda.ask, agenda.lanes)
    # In a session of its own: Ctrl-C reaches this process alone, and the child is told once.
    return Child(subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True), jobs)


def _ended(agenda: agendas.Agenda, child: Child, why: str) -> None:
    assert child.process.stdin is not None
    child.process.stdin.close()
    agenda.settle(child.jobs, why)


@contextmanager
def _noting_signals() -> Iterator[list[int]]:
    """Notes the first Ctrl-C or SIGTERM; a second one is raised as KeyboardInterrupt."""
    received: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        received.append(number)
        signal.signal(number, signal.default_int_handler)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
