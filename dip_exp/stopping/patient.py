"""What every rule shares that waits for the least value of a series and then ends the run."""

from typing import Any

import torch
from torch import Tensor

from dip_exp.component import PositiveInt, stateful
from dip_exp.stopping.least import Least
from dip_exp.stopping.rule import StopRule, Verdict


@stateful
class Patient(StopRule):
    """Keeps the average of a series' least value, and ends where there was none smaller for `patience` steps."""

    patience: PositiveInt = 1000

    def wait_on(self, device: torch.device) -> None:
        """Begins a series whose values lie on a device."""
        self._least = Least(device)

    def judged(self, step: int, value: Tensor, *, look: bool, what: str, digits: int) -> Verdict:
        """Returns the verdict on the value of a step, one value on the device.

        look: whether to wait for the device, without which a run does not end. what: the series, as the reason begins;
        digits: of the least value in it.
        """
        keep = self._least.note(step, value)
        if not look or self._least.waited(step) < self.patience or not self._least.found:
            return Verdict(keep=keep)
        reason = (
            f"{what} was least at step {int(self._least.step) + 1} ({float(self._least.value):.{digits}g}) and no "
            f"smaller for {self.patience} steps"
        )
        return Verdict(keep=keep, stop=True, reason=reason)

    def told(self) -> dict[str, Any]:
        return {"least": float(self._least.value)} if self._least.found else {}

    def state(self) -> dict[str, Any]:
        return {"least": self._least.state()}

    def load(self, state: dict[str, Any]) -> None:
        self._least.load(state["least"])
