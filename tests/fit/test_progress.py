"""The remaining time is true, lines without a terminal are few and whole, and the current picture costs little."""

import io
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from dip_exp.fit import progress
from dip_exp.fit.module import Fit
from dip_exp.fit.progress import Current, Now, Progress, Recent, progress_line


def paced(*paces: float) -> float | None:
    """Returns the pace after steps that took so many seconds each."""
    recent, now = Recent(), 0.0
    for done, pace in enumerate(paces, 1):
        now += pace
        recent.step(now, done)
    return recent.seconds_per_step


def test_the_pace_is_not_that_of_the_first_steps():
    assert paced(20, 9, 4, *[0.1] * 10) == pytest.approx(0.1)
    assert paced(20, 9, 4) is None


@pytest.mark.parametrize(("before", "after"), [(0.1, 0.5), (0.5, 0.1), (40.0, 90.0)])
def test_the_pace_follows_the_machine(before: float, after: float):
    """Within the window, or within two steps where a step is longer than it."""
    steps = max(2, int(progress.WINDOW_SECONDS / after) + 1)
    assert paced(*[before] * 200, *[after] * steps) == pytest.approx(after, rel=0.1)


def test_the_pace_of_a_run_that_goes_on_counts_its_own_steps_alone():
    recent = Recent()
    for number in range(20):
        recent.step(number * 2.0, 5000 + number)
    assert recent.seconds_per_step == pytest.approx(2)


def test_a_line_says_how_far_and_how_long():
    assert progress_line(120, 1000, 65, 0.5435, "loss 0.01") == (
        " 12% 120/1000 steps [01:05<07:58, 1.84 step/s, loss 0.01]"
    )
    assert progress_line(1, 10, 0, None, "") == " 10% 1/10 steps [00:00<?]"
    assert "3 s/step" in progress_line(1, 10, 3, 3.0, "")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def fit(done: int = 0, **more: Any) -> Any:
    """What a callback reads of a fit."""
    made = Fit.__new__(Fit)
    torch.nn.Module.__init__(made)
    made.__dict__.update(
        history=SimpleNamespace(done=done, rows=lambda since: []),
        optim=SimpleNamespace(steps=400_000),
        checked=False,
        start=0,
        kept_steps={},
    )
    made.__dict__.update(more)
    return made


@pytest.mark.parametrize("hours", [1 / 60, 1, 5])
def test_lines_without_a_terminal_are_few_and_never_written_over(monkeypatch: pytest.MonkeyPatch, hours: float):
    clock, err = Clock(), io.StringIO()
    monkeypatch.setattr("time.monotonic", clock)
    monkeypatch.setattr("sys.stderr", err)
    told = Progress()
    told.on_train_start(None, fit())  # type: ignore[arg-type]
    for number in range(1, int(hours * 3600) + 1):
        clock.now += 1
        told.on_train_batch_end(None, fit(number), None, None, number)  # type: ignore[arg-type]
    lines = err.getvalue().splitlines()
    assert hours * 60 / 30 <= len(lines) <= 60
    assert "\r" not in err.getvalue()
    assert "\x1b" not in err.getvalue()
    assert all(line.startswith("  ") and " steps [" in line for line in lines)


@pytest.mark.parametrize("cost", [0.001, 0.2, 3.0])
def test_the_current_picture_takes_less_than_a_hundredth_of_the_time(cost: float):
    clock, seen = Clock(), []

    def write(now: Now) -> None:
        clock.now += cost
        seen.append(now.x)

    current, average, done = Current(write, clock), torch.ones(1, 3, 2, 2), 0
    while clock.now < 2000:
        clock.now, done = clock.now + 0.5, done + 1
        current.on_train_batch_end(None, fit(done, average=average), None, None, 0)  # type: ignore[arg-type]
    assert len(seen) >= 3
    assert len(seen) * cost < 0.01 * clock.now
    assert seen[0].shape == (1, 3, 2, 2)


def test_what_is_told_has_every_step_once_the_pace_and_the_rules_choice():
    clock, seen = Clock(), []
    current, average = Current(seen.append, clock), torch.ones(1, 1, 2, 2)
    kept = {"stopped": torch.tensor(3), "stopped_emv": torch.tensor(-1)}  # counted from 0; -1: nothing yet
    for done in range(1, 101):
        clock.now += 0.25
        rows = SimpleNamespace(done=done, rows=lambda since, done=done: list(range(since + 1, done + 1)))
        now = fit(done, average=average, history=rows, kept_steps=kept)
        current.on_train_batch_end(None, now, None, None, 0)  # type: ignore[arg-type]
    assert [step for now in seen for step in now.rows] == list(range(1, seen[-1].done + 1))
    assert len(seen) >= 4
    assert seen[-1].pace == pytest.approx(0.25)
    assert seen[-1].kept == {"stopped": 4}


def test_a_picture_that_is_not_finite_is_not_shown():
    clock, seen = Clock(), []
    current = Current(seen.append, clock)
    clock.now = 60
    current.on_train_batch_end(None, fit(average=torch.full((1, 1, 2, 2), torch.nan)), None, None, 0)  # type: ignore[arg-type]
    assert seen == []
