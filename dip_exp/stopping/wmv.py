"""Windowed moving variance of the output (ES-WMV; Wang et al., arXiv 2112.06074): it is least near the best picture."""

from typing import Any

import torch
from torch import Tensor

from dip_exp.component import PositiveInt, stateful
from dip_exp.stopping.variance import Variance


@stateful
class WindowedVariance(Variance):
    """VAR(t) = 1/W sum over the last W outputs of |x_i - their mean|^2, over the pixels.

    window: W; None: twice as many steps as the running average remembers. The pictures in the window are then as old,
            on the mean, as those in the average (M steps for a decay of 1 - 1/M), and the least variance is found
            where the average is best; with the publication's 100 it comes hundreds of steps too soon.
    """

    name = "wmv"

    window: PositiveInt | None = None

    def begin_sampled(self, count: int, memory: int, device: torch.device) -> None:
        self._window = self.window or 2 * memory
        self._ring = torch.zeros((self._window, count), dtype=torch.float32, device=device)
        # Sums of floats, each added once and taken off once: double precision loses nothing of a variance by it.
        self._sum = torch.zeros(count, dtype=torch.float64, device=device)
        self._squares = torch.zeros((), dtype=torch.float64, device=device)

    def variance(self, step: int, values: Tensor) -> Tensor | None:
        new, old = values.double(), self._ring[step % self._window].double()
        self._sum += new - old
        self._squares += new.square().sum() - old.square().sum()
        self._ring[step % self._window] = values
        if step + 1 < self._window:
            return None
        mean = self._sum / self._window
        return (self._squares / self._window - mean.square().sum()) / mean.numel()

    def state(self) -> dict[str, Any]:
        return {**super().state(), "ring": self._ring, "sum": self._sum, "squares": self._squares}

    def load(self, state: dict[str, Any]) -> None:
        super().load(state)
        for name in ("ring", "sum", "squares"):
            getattr(self, f"_{name}").copy_(state[name])
