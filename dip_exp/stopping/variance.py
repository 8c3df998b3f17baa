"""What the two rules that watch the output's variance share: which pixels they look at, and what they make of it."""

from abc import abstractmethod

import torch
from torch import Tensor

from dip_exp.component import PositiveInt, stateful
from dip_exp.stopping.patient import Patient
from dip_exp.stopping.rule import CHECK_EVERY, CONTINUE, Verdict, View


@stateful
class Variance(Patient):
    """Ends where the variance of the last outputs has not been smaller for `patience` steps, and keeps its average.

    patience: steps without a smaller variance after which the run ends.
    sample:   pixel values looked at, at most; which ones is drawn once.
    """

    name = "variance"  # by which a reason begins

    sample: PositiveInt = 16384

    def begin(self, view: View) -> None:
        device, count = view.average.device, view.average.numel()
        self._places = sampled(count, self.sample, device)
        self.wait_on(device)
        self.begin_sampled(min(count, self.sample), view.memory, device)

    @abstractmethod
    def begin_sampled(self, count: int, memory: int, device: torch.device) -> None:
        """Makes room for `count` values of every output; `memory` as the view has it."""

    @abstractmethod
    def variance(self, step: int, values: Tensor) -> Tensor | None:
        """Returns the mean variance of the last outputs, those sampled `values` (count,) included, as one double on the
        device; None while there are too few."""

    def update(self, step: int, x_hat: Tensor, loss: Tensor) -> Verdict:
        flat = x_hat.flatten().float()
        variance = self.variance(step, flat if self._places is None else flat[self._places])
        if variance is None:
            return CONTINUE
        look = (step + 1) % CHECK_EVERY == 0
        return self.judged(step, variance, look=look, what=f"{self.name}: the variance of the outputs", digits=3)


def sampled(total: int, most: int, device: torch.device) -> Tensor | None:
    """Returns `most` of `total` places, the same ones every time, in order; None where all are to be taken."""
    if total <= most:
        return None
    order = torch.randperm(total, generator=torch.Generator().manual_seed(0))
    return order[:most].sort().values.to(device)
