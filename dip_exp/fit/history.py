"""The curve of a run: what every step scored, and the best steps by the truth (oracles), kept on the device."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from dip_exp.metrics.kinds import PEAK, PEAK_AVERAGE
from dip_exp.tasks.problem import Problem

COLUMNS: tuple[str, ...] = ("step", "loss", "psnr", "psnr_average", "data", "seconds")
"""Of `history.csv`. step: counted from 1. PSNR in dB under the problem's protocol, empty without a truth; data: the
loss without the extra term on x_hat; seconds since the run began."""


class History:
    """Per-step loss and squared errors of x_hat and of its running average, without a wait for the device.

    `peak` and `peak_average` hold the pictures nearest to the truth: they need the truth, and so are oracles.
    """

    def __init__(self, steps: int, problem: Problem) -> None:
        y = problem.y
        self._view = problem.protocol.view
        self._truth = None if problem.x is None else self._view(problem.x)
        self.series = torch.full((steps, 4), torch.nan, dtype=torch.float32, device=y.device)
        self.seconds = torch.zeros(steps, dtype=torch.float64)
        self.best = torch.full((2,), torch.inf, device=y.device)
        self.best_step = torch.zeros(2, dtype=torch.int64, device=y.device)
        shape = (2, *problem.shape) if problem.x is not None else (0,)
        self.best_picture = torch.zeros(shape, dtype=torch.float32, device=y.device)
        self.done = 0

    @property
    def has_truth(self) -> bool:
        return self._truth is not None

    def add(self, step: int, seconds: float, loss: Tensor, data: Tensor, x_hat: Tensor, average: Tensor) -> None:
        """Notes one step: `loss` and its `data` term, scalars; x_hat and its average (1, C, H, W)."""
        self.series[step, 0] = loss
        self.series[step, 3] = data
        self.seconds[step] = seconds
        self.done = step + 1
        if self._truth is None:
            return
        for which, picture in enumerate((x_hat, average)):
            self.series[step, 1 + which] = self._consider(which, step, picture)

    def consider_last(self, x_hat: Tensor) -> None:
        """Lets the picture after the last update be the best one too; it is no step's of the curve."""
        if self._truth is not None:
            self._consider(0, self.done - 1, x_hat)

    def _consider(self, which: int, step: int, picture: Tensor) -> Tensor:
        """Returns the picture's squared error, having kept it where it is the least so far."""
        assert self._truth is not None
        error = (self._view(picture) - self._truth).square().mean()
        better = error < self.best[which]
        self.best[which] = torch.where(better, error, self.best[which])
        self.best_step[which] = torch.where(better, step, self.best_step[which])
        self.best_picture[which] = torch.where(better, picture[0], self.best_picture[which])
        return error

    def first_bad_step(self, since: int) -> int | None:
        """Returns the first step from `since` on whose loss is not finite, or None."""
        bad = ~torch.isfinite(self.series[since : self.done, 0])
        return since + int(torch.argmax(bad.int())) if bool(bad.any()) else None

    def rows(self, since: int = 0) -> list[dict[str, float | int | None]]:
        """Returns the steps after the first `since` as one dict per step, by `COLUMNS`."""
        series = self.series[since : self.done].double().cpu().numpy()
        seconds = self.seconds[since : self.done].numpy()
        rows = []
        for offset, (loss, raw, average, data) in enumerate(series):
            at = round(float(seconds[offset]), 4)
            values = (since + offset + 1, float(loss), _psnr(raw), _psnr(average), float(data), at)
            rows.append(dict(zip(COLUMNS, values, strict=True)))
        return rows

    def state(self) -> dict[str, Any]:
        """Returns what a checkpoint keeps: tensors and numbers."""
        keep = {name: getattr(self, name) for name in ("best", "best_step", "best_picture")}
        return {**keep, "series": self.series[: self.done], "seconds": self.seconds[: self.done], "done": self.done}

    def load(self, state: dict[str, Any]) -> None:
        """Takes back what `state` returned."""
        self.done = state["done"]
        self.series[: self.done] = state["series"].to(self.series.device)
        self.seconds[: self.done] = state["seconds"]
        for name in ("best", "best_step", "best_picture"):
            getattr(self, name).copy_(state[name])

    def peaks(self) -> dict[str, tuple[int, np.ndarray]]:
        """Returns {"peak": (step, picture), "peak_average": ...}, empty without a truth."""
        if not self.has_truth or self.done == 0:
            return {}
        pictures = self.best_picture.cpu().numpy()
        names = (PEAK, PEAK_AVERAGE)
        return {name: (int(self.best_step[i]), pictures[i : i + 1]) for i, name in enumerate(names)}


def _psnr(mse: float) -> float | None:
    """PSNR of a mean squared error on the [0, 1] scale; None where there is none or it is zero (no finite PSNR)."""
    return float(-10 * np.log10(mse)) if np.isfinite(mse) and mse > 0 else None
