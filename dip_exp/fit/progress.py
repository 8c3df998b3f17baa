"""How far a fit has come: a bar on a terminal, a line now and then elsewhere, and a picture to look at."""

import os
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TextIO

import lightning.pytorch as pl
import numpy as np
from tqdm import tqdm

from dip_exp.fit.history import Row
from dip_exp.fit.module import Fit

WINDOW_SECONDS = 30.0
"""The pace is that of the last so many seconds: it follows a machine that becomes busy, and not every single step."""

UNTIMED_STEPS = 3
"""First steps that are not timed, because they allocate memory and choose kernels."""

LINE_SECONDS, LINE_SHARE = 30.0, 0.1
"""Without a terminal, a line comes after so many seconds, and later after so large a share of the time so far."""

PICTURE_SECONDS, PICTURE_SHARE = 5.0, 0.005
"""The current picture is renewed at most every so many seconds, and takes at most this share of the time."""


class Recent:
    """The pace of the last `WINDOW_SECONDS`, or of the last steps if they are longer than that."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()
        self._untimed = UNTIMED_STEPS

    def step(self, now: float, done: int) -> None:
        """Notes that `done` steps are done at the time `now`, in seconds."""
        if self._untimed > 0:
            self._untimed -= 1
            return
        self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[1][0] >= WINDOW_SECONDS:
            self._seen.popleft()

    @property
    def seconds_per_step(self) -> float | None:
        """The pace; None before two timed steps."""
        if len(self._seen) < 2:
            return None
        (began, first), (now, done) = self._seen[0], self._seen[-1]
        return (now - began) / (done - first)


class _Bar(tqdm):
    """A bar whose remaining time is that of the recent pace."""

    recent: Recent

    @property
    def format_dict(self) -> dict[str, Any]:
        pace = self.recent.seconds_per_step
        return {**super().format_dict, "rate": 1 / pace if pace else None}


class Progress(pl.Callback):
    """The loss, the PSNR (of the average, under the problem's protocol) and the remaining time, on standard error.

    On a terminal this is a bar that writes over its line. Elsewhere it is a line now and then.
    """

    def __init__(self) -> None:
        self._bar: _Bar | None = None
        self._fit: Fit | None = None
        self._recent = Recent()
        self._began = self._line = 0.0
        self._scores = ""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, Fit)
        self._fit, self._began, self._line = pl_module, time.monotonic(), time.monotonic()
        if is_live(sys.stderr):
            _Bar.recent = self._recent
            self._bar = _Bar(
                total=pl_module.optim.steps,
                initial=pl_module.start,
                unit="step",
                mininterval=0.2,
                dynamic_ncols=True,
                bar_format="{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}{postfix}]",
            )

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, Fit)
        now = time.monotonic()
        self._recent.step(now, pl_module.history.done)
        if pl_module.checked:
            row = pl_module.history.rows(pl_module.history.done - 1)[0]
            psnr = row["psnr_average"]
            self._scores = f"loss {row['loss']:.3g}" + ("" if psnr is None else f", PSNR {psnr:.2f} dB")
        if self._bar is not None:
            self._bar.set_postfix_str(self._scores, refresh=False)
            self._bar.update()
        elif now - self._line >= max(LINE_SECONDS, LINE_SHARE * (now - self._began)):
            self._tell(pl_module, now)

    def _tell(self, fit: Fit, now: float) -> None:
        """Prints one line."""
        self._line = now
        line = progress_line(
            fit.history.done, fit.optim.steps, now - self._began, self._recent.seconds_per_step, self._scores
        )
        print(line, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Ends the bar's line, or prints a last line, however the run ended."""
        if self._bar is not None:
            self._bar.close()
        elif self._fit is not None:
            self._tell(self._fit, time.monotonic())
        self._bar = self._fit = None


def progress_line(done: int, steps: int, seconds: float, pace: float | None, scores: str) -> str:
    """Returns a line such as "12% 120/1000 steps [01:05<07:58, 1.84 step/s, loss 0.01]": the time so far, and the time
    that the rest takes at `pace`, in seconds per step."""
    rest = "?" if pace is None else tqdm.format_interval(pace * (steps - done))
    rate = "" if not pace else f", {1 / pace:.3g} step/s" if pace < 1 else f", {pace:.3g} s/step"
    end = f", {scores}" if scores else ""
    return f"{100 * done // steps:3}% {done}/{steps} steps [{tqdm.format_interval(seconds)}<{rest}{rate}{end}]"


def is_live(stream: TextIO) -> bool:
    """Returns whether a stream is a terminal on which a line can be written over."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


@dataclass(frozen=True, eq=False)
class Now:
    """How far a fit has come.

    x: the average so far, (1, C, H, W). rows: the steps since the last time, at first all. pace: seconds per step
    lately, or None. kept: {output kind: the step (from 1) that the stop rule has chosen so far}.
    """

    x: np.ndarray
    rows: list[Row]
    done: int
    steps: int
    pace: float | None
    kept: dict[str, int]


class Current(pl.Callback):
    """Passes how far the fit has come to `write`, now and then.

    The first time is after `PICTURE_SECONDS`; a slow disk or a large picture makes it rarer, so that all of it stays
    below `PICTURE_SHARE` of the time.
    """

    def __init__(self, write: Callable[[Now], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._write, self._clock = write, clock
        self._next = clock() + PICTURE_SECONDS
        self._recent = Recent()
        self._told = 0

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, Fit)
        now, done = self._clock(), pl_module.history.done
        self._recent.step(now, done)
        if now < self._next:
            return
        picture = pl_module.average.float().cpu().numpy()
        if np.isfinite(picture).all():
            kept = {kind: step for kind, at in pl_module.kept_steps.items() if (step := int(at) + 1) > 0}
            rows = pl_module.history.rows(self._told)
            self._write(Now(picture, rows, done, pl_module.optim.steps, self._recent.seconds_per_step, kept))
            self._told = done
        after = self._clock()
        self._next = after + max(PICTURE_SECONDS, (after - now) / PICTURE_SHARE)
