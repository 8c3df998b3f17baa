"""When a run ends, and which step's picture is its result."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Verdict:
    """What a rule says after a step.

    keep:   the running average as it is now is the best candidate so far; it becomes the picture `stopped`.
    stop:   the run ends now.
    reason: why, in words, for the record; read when `stop` is true.
    """

    keep: bool = False
    stop: bool = False
    reason: str = ""


CONTINUE = Verdict()


class StopRule(ABC):
    """A rule is a small final class: `@component`, or `@stateful` where it remembers.

    A run that ends without any `keep` keeps its last average.
    """

    @abstractmethod
    def update(self, step: int, x_hat: Tensor, loss: Tensor) -> Verdict:
        """Returns the verdict on step `step` (from 0): its output x_hat (1, C, H, W), its energy `loss`."""

    def state(self) -> dict[str, Any]:
        """Returns what must survive an interruption, as tensors, numbers and strings."""
        return {}

    def load(self, state: dict[str, Any]) -> None:
        """Takes back what `state` returned."""
        if state:
            raise ValueError(f"{type(self).__name__}: a checkpoint holds {sorted(state)} but this rule keeps nothing")
