"""The base class of the two rules that watch the output's variance: it samples the pixels and waits for the minimum."""

from abc import abstractmethod

import torch
from torch import Tensor

from dip_exp.component import PositiveInt, stateful
from dip_exp.shapes import Float, Float32, Float64, Int
from dip_exp.stopping.patient import Patient
from dip_exp.stopping.rule import CHECK_EVERY, CONTINUE, Verdict, View


@stateful
class Variance(Patient):
    """Ends the run when the variance of the recent outputs has not reached a new minimum for `patience` steps. Keeps
    the average at the minimum.

    patience: steps without a new minimum after which the run ends.
    sample:   largest number of pixel values used; which ones is drawn once.
    """

    name = "variance"  # the first word of the reason

    sample: PositiveInt = 16384

    def begin(self, view: View) -> None:
        device, count = view.average.device, view.average.numel()
        self._places = sampled(count, self.sample, device)
        self.wait_on(device)
        self.begin_sampled(min(count, self.sample), view.memory, device)

    @abstractmethod
    def begin_sampled(self, count: int, memory: int, device: torch.device) -> None:
        """Allocates the state for `count` values of every output; `memory` is that of the `View`."""

    @abstractmethod
    def variance(self, step: int, values: Float32[Tensor, " count"]) -> Float64[Tensor, ""] | None:
        """Returns the mean variance of the recent outputs, including this step's sampled `values` (count,), as a
        float64 scalar on the device; None while there are too few."""

    def update(self, step: int, x_hat: Float[Tensor, "1 C H W"], loss: Float[Tensor, ""]) -> Verdict:
        flat = x_hat.flatten().float()
        variance = self.variance(step, flat if self._places is None else flat[self._places])
        if variance is None:
            return CONTINUE
        look = (step + 1) % CHECK_EVERY == 0
        return self.judged(step, variance, look=look, what=f"{self.name}: the variance of the outputs", digits=3)


def sampled(total: int, most: int, device: torch.device) -> Int[Tensor, " {most}"] | None:
    """Returns `most` of `total` indices, in ascending order and always the same ones; None if all are to be taken."""
    if total <= most:
        return None
    order = torch.randperm(total, generator=torch.Generator().manual_seed(0))
    return order[:most].sort().values.to(device)
