"""Mean and standard deviation of samples of the output, updated one sample at a time on the fit's device."""

import torch
from torch import Tensor

from dip_exp.metrics.kinds import POSTERIOR, POSTERIOR_STD
from dip_exp.shapes import Float
from dip_exp.stopping.rule import State


class Posterior:
    """Welford's recursion over x_hat, at every `every`-th step from step `first` on.

    The squares are summed about the running mean, so that a small spread of large values keeps its precision.
    """

    def __init__(self, first: int, every: int) -> None:
        self.first = first
        self.every = every
        self.count = 0
        self.last = -1
        self._mean: Tensor | None = None
        self._squares: Tensor | None = None

    def add(self, step: int, x_hat: Float[Tensor, "1 C H W"]) -> None:
        """Adds x_hat (1, C, H, W) of step `step` (from 0) if that step is a sample."""
        if step < self.first or (step - self.first) % self.every:
            return
        mean, squares = self._mean, self._squares
        if mean is None or squares is None:
            mean, squares = torch.zeros_like(x_hat), torch.zeros_like(x_hat)
        self.count += 1
        self.last = step
        away = x_hat - mean
        mean += away / self.count
        squares += away * (x_hat - mean)
        self._mean, self._squares = mean, squares

    def pictures(self) -> dict[str, Float[Tensor, "1 C H W"]]:
        """Returns the mean (1, C, H, W) of the samples and, for two or more, their standard deviation (n - 1); empty if
        the fit ended before its first sample."""
        if self._mean is None or self._squares is None:
            return {}
        found = {POSTERIOR: self._mean}
        if self.count > 1:
            found[POSTERIOR_STD] = (self._squares / (self.count - 1)).sqrt()
        return found

    def state(self) -> State:
        """Returns the state for a checkpoint."""
        return {"count": self.count, "last": self.last, "mean": self._mean, "squares": self._squares}

    def load(self, state: State, device: torch.device) -> None:
        """Restores what `state` returned."""
        self.count, self.last = state["count"], state["last"]
        if state["mean"] is not None:
            self._mean, self._squares = (state[key].to(device).clone() for key in ("mean", "squares"))
