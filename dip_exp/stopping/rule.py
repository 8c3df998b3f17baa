"""When a run ends, and which step's picture is its result."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor

from dip_exp.tasks.problem import Problem

CHECK_EVERY = 10
"""Steps between two looks at what lies on the device, each of which waits for it. A run ends up to so many steps late;
the step whose picture is kept is exact all the same."""

Keep = bool | Tensor
"""Whether this step is the best so far: a bool, or one value on the device, which nobody has to wait for."""


@dataclass(frozen=True)
class Verdict:
    """What a rule says after a step.

    keep:   the running average as it is now is the best candidate so far; it becomes the picture `stopped`.
    stop:   the run ends now.
    reason: why, in words, for the record; read when `stop` is true.
    also:   further pictures by output kind, kept as `keep` says of `stopped`.
    """

    keep: Keep = False
    stop: bool = False
    reason: str = ""
    also: Mapping[str, Keep] = field(default_factory=dict)


CONTINUE = Verdict()


@dataclass(frozen=True)
class View:
    """What a rule may look at while a run goes; its tensors lie where the run does.

    problem: as it is descended. average: the running average of x_hat, (1, C, H, W), up to date at every `update`.
    memory: how many steps it remembers, 1 / (1 - decay). seed: for what a rule draws.
    """

    problem: Problem
    average: Tensor
    memory: int
    seed: int


class StopRule(ABC):
    """A rule is a small final class: `@component`, or `@stateful` where it remembers.

    A run that ends without any `keep` keeps its last average. `active`: the rule changes what is descended, so that it
    needs a run of its own; a passive one only watches. `ends`: the rule may end a run before its last step.
    """

    active: ClassVar[bool] = False
    ends: ClassVar[bool] = True

    def pose(self, problem: Problem, z: Tensor, seed: int) -> Problem:
        """Returns the problem that is descended: the given one, or what an active rule makes of it. `z` is the
        network's input, `seed` is for what a rule draws.

        Raises ValueError where the rule cannot judge such a problem or input.
        """
        return problem

    def begin(self, view: View) -> None:  # noqa: B027 (most rules need no beginning)
        """Called once before the first step, and before `load`."""

    def extra(self, step: int, z: Tensor, x_hat: Tensor, net: Callable[[Tensor], Tensor]) -> Tensor | None:
        """Returns a scalar that an active rule adds to the energy of a step, z (1, c, H, W) being the step's input."""
        return None

    @property
    def dearer(self) -> float:
        """How many times longer a step takes under this rule, roughly."""
        return 1.0

    @abstractmethod
    def update(self, step: int, x_hat: Tensor, loss: Tensor) -> Verdict:
        """Returns the verdict on step `step` (from 0): its output x_hat (1, C, H, W), its energy `loss`."""

    def told(self) -> dict[str, Any]:
        """Returns what the record is to hold of the rule besides its reason: numbers and strings."""
        return {}

    def state(self) -> dict[str, Any]:
        """Returns what must survive an interruption, as tensors, numbers and strings."""
        return {}

    def load(self, state: dict[str, Any]) -> None:
        """Takes back what `state` returned."""
        if state:
            raise ValueError(f"{type(self).__name__}: a checkpoint holds {sorted(state)} but this rule keeps nothing")
