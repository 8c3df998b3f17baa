"""Exponential moving variance of the output (ES-EMV; Wang et al., arXiv 2112.06074), which needs no window."""

import torch
from torch import Tensor

from dip_exp.component import PositiveInt, stateful
from dip_exp.shapes import Float32, Float64
from dip_exp.stopping.rule import State
from dip_exp.stopping.variance import Variance


@stateful
class ExponentialVariance(Variance):
    """V <- (1 - a) (V + a |x - m|^2), m <- m + a (x - m), a = 1 / memory.

    memory: in steps; None: the memory of the running average.
    """

    name = "emv"

    memory: PositiveInt | None = None

    def begin_sampled(self, count: int, memory: int, device: torch.device) -> None:
        self._memory = self.memory or memory
        self._mean = torch.zeros(count, dtype=torch.float32, device=device)
        self._variance = torch.zeros((), dtype=torch.float64, device=device)

    def variance(self, step: int, values: Float32[Tensor, " count"]) -> Float64[Tensor, ""] | None:
        if step == 0:
            self._mean.copy_(values)
        share = 1 / self._memory
        apart = (values - self._mean).square().mean().double()
        self._variance.add_(share * apart).mul_(1 - share)
        self._mean.lerp_(values, share)
        return self._variance.clone() if step + 1 >= self._memory else None

    def state(self) -> State:
        return {**super().state(), "mean": self._mean, "variance": self._variance}

    def load(self, state: State) -> None:
        super().load(state)
        self._mean.copy_(state["mean"])
        self._variance.copy_(state["variance"])
