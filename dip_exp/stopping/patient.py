"""The base class of rules that wait for the minimum of a series and then end the run."""

import torch
from torch import Tensor

from dip_exp.component import PositiveInt, stateful
from dip_exp.shapes import Float
from dip_exp.stopping.least import Least
from dip_exp.stopping.rule import Findings, State, StopRule, Verdict


@stateful
class Patient(StopRule):
    """Keeps the average at the minimum of a series, and ends the run after `patience` steps without a new minimum."""

    patience: PositiveInt = 1000

    def wait_on(self, device: torch.device) -> None:
        """Starts a new series, with values on `device`."""
        self._least = Least(device)

    def judged(self, step: int, value: Float[Tensor, ""], *, look: bool, what: str, digits: int) -> Verdict:
        """Returns the verdict on a step, given its value as a scalar on the device.

        look: whether to wait for the device; only then can the run end. what: names the series at the start of the
        reason. digits: significant digits of the minimum in the reason.
        """
        keep = self._least.note(step, value)
        if not look or self._least.waited(step) < self.patience or not self._least.found:
            return Verdict(keep=keep)
        reason = (
            f"{what} was least at step {int(self._least.step) + 1} ({float(self._least.value):.{digits}g}) and no "
            f"smaller for {self.patience} steps"
        )
        return Verdict(keep=keep, stop=True, reason=reason)

    def findings(self) -> Findings:
        return {"least": float(self._least.value)} if self._least.found else {}

    def state(self) -> State:
        return {"least": self._least.state()}

    def load(self, state: State) -> None:
        self._least.load(state["least"])
