"""The minimum of a series so far, and how many steps ago it was, computed on the device."""

import torch
from torch import Tensor

from dip_exp.shapes import Bool, Float
from dip_exp.stopping.rule import State


class Least:
    """The minimum of a series since its maximum; what comes before the maximum is warm-up.

    The first outputs of a network are nearly constant, so the variance starts low, rises while the picture appears, and
    falls only then. A minimum therefore counts only after the maximum.
    """

    def __init__(self, device: torch.device) -> None:
        self.top = torch.full((), -torch.inf, dtype=torch.float64, device=device)
        self.value = torch.full((), torch.inf, dtype=torch.float64, device=device)
        self.step = torch.zeros((), dtype=torch.int64, device=device)

    def note(self, step: int, value: Float[Tensor, ""]) -> Bool[Tensor, ""]:
        """Records the value of a step. Returns, as a scalar on the device, whether it is the minimum so far."""
        value = value.double()
        rises = value > self.top
        better = (value < self.value) & ~rises
        self.value = torch.where(rises, torch.inf, torch.where(better, value, self.value))
        self.step = torch.where(rises | better, step, self.step)
        self.top = torch.where(rises, value, self.top)
        return better

    def waited(self, step: int) -> int:
        """Returns the number of steps since the last new minimum or maximum (waits for the device)."""
        return step - int(self.step)

    @property
    def found(self) -> bool:
        """Whether there is a minimum yet (waits for the device)."""
        return bool(torch.isfinite(self.value))

    def state(self) -> State:
        return {"top": self.top, "value": self.value, "step": self.step}

    def load(self, state: State) -> None:
        for name in ("top", "value", "step"):
            setattr(self, name, state[name].to(self.top.device))
