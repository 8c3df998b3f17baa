"""The least value of a series so far, found on the device, and for how long there was none smaller."""

from typing import Any

import torch
from torch import Tensor


class Least:
    """The least of a series since its largest value: what comes before that is warm-up.

    A network's first outputs are nearly constant, so that a variance starts low, rises while the picture appears and
    only then falls: a minimum counts once it follows the top.
    """

    def __init__(self, device: torch.device) -> None:
        self.top = torch.full((), -torch.inf, dtype=torch.float64, device=device)
        self.value = torch.full((), torch.inf, dtype=torch.float64, device=device)
        self.step = torch.zeros((), dtype=torch.int64, device=device)

    def note(self, step: int, value: Tensor) -> Tensor:
        """Takes the value of a step and returns, as one value on the device, whether it is the least so far."""
        value = value.double()
        rises = value > self.top
        better = (value < self.value) & ~rises
        self.value = torch.where(rises, torch.inf, torch.where(better, value, self.value))
        self.step = torch.where(rises | better, step, self.step)
        self.top = torch.where(rises, value, self.top)
        return better

    def waited(self, step: int) -> int:
        """Returns for how many steps there was none smaller (waits for the device)."""
        return step - int(self.step)

    @property
    def found(self) -> bool:
        """Whether there is a minimum yet (waits for the device)."""
        return bool(torch.isfinite(self.value))

    def state(self) -> dict[str, Any]:
        return {"top": self.top, "value": self.value, "step": self.step}

    def load(self, state: dict[str, Any]) -> None:
        for name in ("top", "value", "step"):
            setattr(self, name, state[name].to(self.top.device))
