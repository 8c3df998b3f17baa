"""Those who watch a fit: the progress line, the growing curve, the checkpoint, the strip of iterates. None changes a
pixel."""

import csv
import io
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from tqdm import tqdm

from dip_exp.atomic import write_bytes, write_text
from dip_exp.fit.history import COLUMNS
from dip_exp.fit.module import Fit

QUIET_SECONDS = 30.0
"""Between two progress lines where there is no terminal to draw a bar on."""

UNTIMED_STEPS = 3
"""The first ones fetch memory and choose kernels."""

PACE_STEPS, PACE_SECONDS = 20, 20.0
"""After so many steps, or after so long, the run's own pace is known."""

SAID_ABOVE, WORTH_SECONDS = 1.5, 10.0
"""The pace is told of where it differs from the estimate by more, and what is left takes longer."""

QUIET_SHARE = 0.9
"""Of its time, from which on a thread counts as undisturbed."""


def _fit(module: pl.LightningModule) -> Fit:
    assert isinstance(module, Fit)
    return module


class Progress(pl.Callback):
    """A bar with loss, PSNR (of the average, under the problem's protocol) and the time left."""

    def __init__(self) -> None:
        self._bar: tqdm | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        fit = _fit(pl_module)
        live = sys.stderr.isatty()
        self._bar = tqdm(
            total=fit.optim.steps,
            initial=fit.start,
            unit="step",
            mininterval=0.2 if live else QUIET_SECONDS,
            dynamic_ncols=live,
            bar_format="{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}{postfix}]"
            if live
            else "{percentage:3.0f}% {n_fmt}/{total_fmt} steps [{elapsed}<{remaining}, {rate_fmt}{postfix}]\n",
        )

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert self._bar is not None
        fit = _fit(pl_module)
        if fit.looked:
            row = fit.history.rows(fit.history.done - 1)[0]
            psnr = row["psnr_average"]
            self._bar.set_postfix_str(
                f"loss {row['loss']:.3g}" + ("" if psnr is None else f", PSNR {psnr:.2f} dB"), refresh=False
            )
        self._bar.update()

    def close(self) -> None:
        """Ends the bar's line, however the run ended."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class Pace(pl.Callback):
    """Compares the first steps with what was estimated, and says once where they differ by much.

    seconds: of a step, as estimated. differs: told of the whole run's seconds at the pace that was measured, and of the
    share of its time that this thread had a core. doubted: told, in a quiet moment, by what factor a step took longer.
    """

    def __init__(
        self, seconds: float, differs: Callable[[float, float], object], doubted: Callable[[float], object]
    ) -> None:
        self._seconds, self._differs, self._doubted = seconds, differs, doubted
        self._began: tuple[float, float] | None = None
        self._judged = False

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
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
        """Says what there is to say of a run of so many steps, `done` of them done, at `pace` seconds each."""
        ratio = pace / self._seconds
        if not 1 / SAID_ABOVE <= ratio <= SAID_ABOVE and pace * (steps - done) > WORTH_SECONDS:
            with tqdm.external_write_mode(file=sys.stderr):
                self._differs(pace * steps, share)
        if share >= QUIET_SHARE:
            self._doubted(ratio)


class Curve(pl.Callback):
    """Appends the new rows of the history to a CSV file each time the run is looked at."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        write_curve(self._path, _fit(pl_module).history.rows())
        self._written = _fit(pl_module).start

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        fit = _fit(pl_module)
        if fit.looked:
            with self._path.open("a", newline="") as file:
                csv.DictWriter(file, COLUMNS).writerows(fit.history.rows(self._written))
            self._written = fit.history.done


def write_curve(path: Path, rows: list[dict[str, Any]]) -> None:
    """Writes a history as CSV, whole or not at all."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


class Checkpoint(pl.Callback):
    """Saves the run every so many seconds, and when it is told to; the file is there whole or not at all."""

    def __init__(self, path: Path, seconds: float) -> None:
        self._path = path
        self._seconds = seconds
        self._last = time.monotonic()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if time.monotonic() - self._last >= self._seconds:
            self.save(_fit(pl_module))
            self._last = time.monotonic()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Nothing that fails after the last step costs the steps."""
        self.save(_fit(pl_module))

    def save(self, fit: Fit) -> None:
        """Writes the fit's snapshot."""
        whole = io.BytesIO()  # torch's own file writer hides why it failed; a full disk must be told as one
        torch.save(fit.snapshot(), whole)
        write_bytes(self._path, whole.getbuffer())


def is_round(number: int) -> bool:
    """Returns whether a number is 1, 2 or 5 times a power of ten."""
    text = str(number)
    return text[0] in "125" and set(text[1:]) <= {"0"}


class Snapshots(pl.Callback):
    """Hands the iterate x_hat over at steps 1, 2, 5, 10, 20, 50, ... (counted from one) and at the last."""

    def __init__(self, write: Callable[[int, np.ndarray], object]) -> None:
        self._write = write

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        fit = _fit(pl_module)
        number = fit.history.done
        if is_round(number) or fit.ended:
            self._write(number, fit.x_hat.float().cpu().numpy())
