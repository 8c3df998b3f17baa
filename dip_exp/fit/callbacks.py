"""Callbacks of a fit: pace, growing curve, checkpoint, snapshots. None of them changes a pixel."""

import csv
import io
import sys
import time
from collections.abc import Callable
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import torch
from tqdm import tqdm

from dip_exp.atomic import write_text
from dip_exp.fit.generations import Generations
from dip_exp.fit.history import COLUMNS, Row
from dip_exp.fit.module import Fit
from dip_exp.fit.progress import UNTIMED_STEPS
from dip_exp.shapes import Float32

PACE_STEPS, PACE_SECONDS = 20, 20.0
"""The run's own pace counts as known after this many steps, or after this many seconds."""

SAID_ABOVE, WORTH_SECONDS = 1.5, 10.0
"""The pace is reported if it differs from the estimate by more than this factor, and the remaining steps take longer
than this many seconds."""

QUIET_SHARE = 0.9
"""A thread counts as undisturbed if it had a core for at least this share of the wall time."""


def _fit(module: pl.LightningModule) -> Fit:
    assert isinstance(module, Fit)
    return module


class Pace(pl.Callback):
    """Compares the pace of the first steps with the estimate, and reports once if they differ much.

    seconds: the estimate for one step. differs: called with the seconds of the whole run at the measured pace, and the
    share of the wall time in which this thread had a core. doubted: called, if the thread was undisturbed, with the
    factor by which a step took longer than estimated.
    """

    def __init__(
        self, seconds: float, differs: Callable[[float, float], object], doubted: Callable[[float], object]
    ) -> None:
        self._seconds, self._differs, self._doubted = seconds, differs, doubted
        self._began: tuple[float, float] | None = None
        self._judged = False

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        if self._judged:
            return
        fit = _fit(pl_module)
        taken = fit.history.done - fit.start - UNTIMED_STEPS
        if self._began is None:
            self._began = (time.perf_counter(), time.thread_time()) if taken == 0 else None
            return
        wall, own = time.perf_counter() - self._began[0], time.thread_time() - self._began[1]
        if taken < PACE_STEPS and (taken < UNTIMED_STEPS or wall < PACE_SECONDS):
            return
        self._judged = True
        share = min(1.0, own / wall) if fit.device.type == "cpu" else 1.0
        self.judge(wall / taken, share, fit.optim.steps, fit.history.done)

    def judge(self, pace: float, share: float, steps: int, done: int) -> None:
        """Reports on a run of `steps` steps, of which `done` are done, at a pace of `pace` seconds per step."""
        ratio = pace / self._seconds
        if not 1 / SAID_ABOVE <= ratio <= SAID_ABOVE and pace * (steps - done) > WORTH_SECONDS:
            with tqdm.external_write_mode(file=sys.stderr):
                self._differs(pace * steps, share)
        if share >= QUIET_SHARE:
            self._doubted(ratio)


class Curve(pl.Callback):
    """Appends the new rows of the history to a CSV file each time the run is checked."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        write_curve(self._path, _fit(pl_module).history.rows())
        self._written = _fit(pl_module).start

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        fit = _fit(pl_module)
        if fit.checked:
            with self._path.open("a", newline="") as file:
                csv.DictWriter(file, COLUMNS).writerows(fit.history.rows(self._written))
            self._written = fit.history.done


def write_curve(path: Path, rows: list[Row]) -> None:
    """Writes a history as CSV; the file is written completely or not at all."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


class Checkpoint(pl.Callback):
    """Saves the run every `seconds` seconds, at its end, and on request."""

    def __init__(self, kept: Generations, seconds: float) -> None:
        self._kept = kept
        self._seconds = seconds
        self._last = time.monotonic()
        self._saved: tuple[int, bool] | None = None

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        if time.monotonic() - self._last >= self._seconds:
            self.save(_fit(pl_module))
            self._last = time.monotonic()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Saves the run, so that a failure after the last step does not lose the steps. A run whose steps were all
        done before keeps its checkpoint: that of the moment before the last picture was considered."""
        fit = _fit(pl_module)
        if fit.history.done > fit.start or not self._kept.exist():
            self.save(fit)

    def save(self, fit: Fit) -> None:
        """Writes the fit's snapshot, unless the last one that was written is of the same step."""
        moment = (fit.history.done, fit.ended)
        if moment == self._saved or fit.broken:  # a fit that broke off goes on from before that, and breaks off again
            return
        whole = io.BytesIO()  # torch's own file writer hides why it failed, but a full disk must be reported
        torch.save(fit.snapshot(), whole)
        self._kept.write(whole.getbuffer())
        self._saved = moment


def is_round(number: int) -> bool:
    """Returns whether a number is 1, 2 or 5 times a power of ten."""
    text = str(number)
    return text[0] in "125" and set(text[1:]) <= {"0"}


class Snapshots(pl.Callback):
    """Passes the iterate x_hat to `write` at steps 1, 2, 5, 10, 20, 50, ... (counted from one) and at the last step."""

    def __init__(self, write: Callable[[int, Float32[np.ndarray, "1 C H W"]], object]) -> None:
        self._write = write

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        fit = _fit(pl_module)
        number = fit.history.done
        if is_round(number) or fit.ended:
            self._write(number, fit.x_hat.float().cpu().numpy())
