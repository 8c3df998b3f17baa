"""What the two rules that watch the output's variance share: pixels looked at, the least value, patience."""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from dip_exp.component import PositiveInt, stateful
from dip_exp.stopping.least import Least
from dip_exp.stopping.rule import CHECK_EVERY, CONTINUE, StopRule, Verdict, View


@stateful
class Variance(StopRule):
    """Ends where the variance of the last outputs has not been smaller for `patience` steps, and keeps its average.

    patience: steps without a smaller variance after which the run ends.
    sample:   pixel values looked at, at most; which ones is drawn once.
    """

    name = "variance"  # by which a reason begins

    patience: PositiveInt = 1000
    sample: PositiveInt = 16384

    def begin(self, view: View) -> None:
        device, count = view.average.device, view.average.numel()
        self._places = sampled(count, self.sample, device)
        self._least = Least(device)
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
        keep = self._least.note(step, variance)
        if (step + 1) % CHECK_EVERY or self._least.waited(step) < self.patience or not self._least.found:
            return Verdict(keep=keep)
        reason = (
            f"{self.name}: the variance of the outputs was least at step {int(self._least.step) + 1} "
            f"({float(self._least.value):.3g}) and no smaller for {self.patience} steps"
        )
        return Verdict(keep=keep, stop=True, reason=reason)

    def told(self) -> dict[str, Any]:
        return {"least": float(self._least.value)} if self._least.found else {}

    def state(self) -> dict[str, Any]:
        return {"least": self._least.state()}

    def load(self, state: dict[str, Any]) -> None:
        self._least.load(state["least"])


def sampled(total: int, most: int, device: torch.device) -> Tensor | None:
    """Returns `most` of `total` places, the same ones every time, in order; None where all are to be taken."""
    if total <= most:
        return None
    order = torch.randperm(total, generator=torch.Generator().manual_seed(0))
    return order[:most].sort().values.to(device)
