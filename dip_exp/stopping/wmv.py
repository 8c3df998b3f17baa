"""Windowed moving variance of the output (ES-WMV; Wang et al., arXiv 2112.06074): smallest near the best picture."""

import torch
from torch import Tensor

from dip_exp.component import PositiveInt, stateful
from dip_exp.shapes import Float32, Float64
from dip_exp.stopping.rule import State
from dip_exp.stopping.variance import Variance


@stateful
class WindowedVariance(Variance):
    """VAR(t) = 1/W sum over the last W outputs of |x_i - their mean|^2, averaged over the pixels.

    window: W; None: twice the memory of the running average. The outputs in the window then have the same mean age as
            those in the average (M steps for a decay of 1 - 1/M), and the variance is smallest where the average is
            best. With the publication's 100 the minimum comes hundreds of steps too early.
    """

    name = "wmv"

    window: PositiveInt | None = None

    def begin_sampled(self, count: int, memory: int, device: torch.device) -> None:
        self._window = self.window or 2 * memory
        self._ring = torch.zeros((self._window, count), dtype=torch.float32, device=device)
        # Each float32 value is added once and subtracted once, so float64 sums keep the variance accurate.
        self._sum = torch.zeros(count, dtype=torch.float64, device=device)
        self._squares = torch.zeros((), dtype=torch.float64, device=device)

    def variance(self, step: int, values: Float32[Tensor, " count"]) -> Float64[Tensor, ""] | None:
        new, old = values.double(), self._ring[step % self._window].double()
        self._sum += new - old
        self._squares += new.square().sum() - old.square().sum()
        self._ring[step % self._window] = values
        if step + 1 < self._window:
            return None
        mean = self._sum / self._window
        return (self._squares / self._window - mean.square().sum()) / mean.numel()

    def state(self) -> State:
        return {**super().state(), "ring": self._ring, "sum": self._sum, "squares": self._squares}

    def load(self, state: State) -> None:
        super().load(state)
        for name in ("ring", "sum", "squares"):
            getattr(self, f"_{name}").copy_(state[name])
