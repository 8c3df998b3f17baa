"""In: an agenda and a deadline. Out: its runs, computed in order of value as far as they fit.

Each run (or, with a launcher, each group of runs) is a child process. If this process ends for any reason, its children
end in order (`dip_exp.leash`), and the same command resumes what they had begun.
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
"""Time that a child may take to end after SIGTERM: for a step, its checkpoint and its log."""

POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Child:
    """A child process and the runs it computes."""

    process: subprocess.Popen[bytes]
    jobs: list[plan.Entry]


def command(jobs: list[plan.Entry], ask: launch.Ask, own: agendas.Lanes) -> list[str]:
    """Returns the command of a process that computes exactly these jobs."""
    words = plan.together(jobs)
    keys = {word.split("=")[0] for word in words}
    given = [word for word in ask.words(jobs[0].experiments[0]) if word.split("=")[0] not in keys]
    many = [] if ask.launcher == "local" else ["-m"]
    return [sys.executable, "-m", "dip_exp.leash", *many, *given, *own.words, *words]


def carry_out(agenda: agendas.Agenda, deadline: float) -> bool:
    """Computes what fits until `deadline` (of time.monotonic). Returns whether a signal ended it early.

    At the deadline, and at Ctrl-C or SIGTERM, running children get SIGTERM and write their checkpoints.
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
    # Starts its own session, so that Ctrl-C reaches only this process, and the child gets a single signal.
    return Child(subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True), jobs)


def _ended(agenda: agendas.Agenda, child: Child, why: str) -> None:
    assert child.process.stdin is not None
    child.process.stdin.close()
    agenda.settle(child.jobs, why)


@contextmanager
def _noting_signals() -> Iterator[list[int]]:
    """Records the first Ctrl-C or SIGTERM. A second one raises KeyboardInterrupt."""
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
