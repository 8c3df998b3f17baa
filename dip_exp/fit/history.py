"""The curve of a run: the loss and errors of every step, and the best pictures (oracles), kept on the device."""

from typing import TypedDict

import numpy as np
import torch
from torch import Tensor

from dip_exp.metrics.kinds import PEAK, PEAK_AVERAGE
from dip_exp.shapes import Float, Float32
from dip_exp.stopping.rule import State
from dip_exp.tasks.problem import Problem


class Row(TypedDict):
    """One step of the curve."""

    step: int
    loss: float
    psnr: float | None
    psnr_average: float | None
    data: float
    seconds: float


COLUMNS = tuple(Row.__annotations__)
"""The columns of `history.csv`. step: counted from 1. psnr, psnr_average: in dB under the problem's protocol, empty
without a truth. data: the loss without extra terms. seconds: since the run began."""


class History:
    """Per-step loss and squared errors of x_hat and of its running average, recorded without waiting for the device.

    `peaks` are the pictures nearest to the truth. Finding them takes the truth, so they are oracles.
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

    def add(
        self,
        step: int,
        seconds: float,
        loss: Float[Tensor, ""],
        data: Float[Tensor, ""],
        x_hat: Float[Tensor, "1 C H W"],
        average: Float[Tensor, "1 C H W"],
    ) -> None:
        """Records one step (from 0): `seconds` since the run began, `loss` and its `data` term, scalars; x_hat and its
        average, (1, C, H, W)."""
        self.series[step, 0] = loss
        self.series[step, 3] = data
        self.seconds[step] = seconds
        self.done = step + 1
        if self._truth is None:
            return
        for which, picture in enumerate((x_hat, average)):
            self.series[step, 1 + which] = self._consider(which, step, picture)

    def consider_last(self, x_hat: Float[Tensor, "1 C H W"]) -> None:
        """Includes the picture after the last update among the candidates for the best; the curve has no row for it."""
        if self._truth is not None:
            self._consider(0, self.done - 1, x_hat)

    def _consider(self, which: int, step: int, picture: Float[Tensor, "1 C H W"]) -> Float[Tensor, ""]:
        """Returns the picture's mean squared error, and keeps the picture if that is the smallest so far."""
        assert self._truth is not None
        error = (self._view(picture) - self._truth).square().mean()
        better = error < self.best[which]
        self.best[which] = torch.where(better, error, self.best[which])
        self.best_step[which] = torch.where(better, step, self.best_step[which])
        self.best_picture[which] = torch.where(better, picture[0], self.best_picture[which])
        return error

    def first_bad_step(self, since: int) -> int | None:
        """Returns the first step (from 0) since `since` whose loss is not finite, or None."""
        bad = ~torch.isfinite(self.series[since : self.done, 0])
        return since + int(torch.argmax(bad.int())) if bool(bad.any()) else None

    def rows(self, since: int = 0) -> list[Row]:
        """Returns the steps after the first `since` as one dict per step, with the keys `COLUMNS`."""
        series = self.series[since : self.done].double().cpu().numpy()
        seconds = self.seconds[since : self.done].numpy()
        rows = []
        for offset, (loss, raw, average, data) in enumerate(series):
            rows.append(
                Row(
                    step=since + offset + 1,
                    loss=float(loss),
                    psnr=_psnr(raw),
                    psnr_average=_psnr(average),
                    data=float(data),
                    seconds=round(float(seconds[offset]), 4),
                )
            )
        return rows

    def state(self) -> State:
        """Returns the state for a checkpoint: tensors and numbers."""
        keep = {name: getattr(self, name) for name in ("best", "best_step", "best_picture")}
        return {**keep, "series": self.series[: self.done], "seconds": self.seconds[: self.done], "done": self.done}

    def load(self, state: State) -> None:
        """Restores what `state` returned."""
        self.done = state["done"]
        self.series[: self.done] = state["series"].to(self.series.device)
        self.seconds[: self.done] = state["seconds"]
        for name in ("best", "best_step", "best_picture"):
            getattr(self, name).copy_(state[name])

    def peaks(self) -> dict[str, tuple[int, Float32[np.ndarray, "1 C H W"]]]:
        """Returns {"peak": (step, picture), "peak_average": ...}, steps counted from 0; empty without a truth."""
        if not self.has_truth or self.done == 0:
            return {}
        pictures = self.best_picture.cpu().numpy()
        names = (PEAK, PEAK_AVERAGE)
        return {name: (int(self.best_step[i]), pictures[i : i + 1]) for i, name in enumerate(names)}


def _psnr(mse: float) -> float | None:
    """Returns the PSNR in dB of a mean squared error on the [0, 1] scale; None if that is zero or not finite."""
    return float(-10 * np.log10(mse)) if np.isfinite(mse) and mse > 0 else None
