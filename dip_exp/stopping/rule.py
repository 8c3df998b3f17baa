"""When a run ends, and which step's picture is its result."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor

from dip_exp.shapes import Bool, Float
from dip_exp.tasks.problem import Problem

CHECK_EVERY = 10
"""Steps between two checks that wait for the device. A run ends up to this many steps late; the step whose picture is
kept is exact all the same."""

Findings = dict[str, object]
"""A rule's entries in the record: numbers, strings, and dicts of them."""

State = dict[str, Any]
"""What must survive an interruption: tensors, numbers, strings, and lists and dicts of them. The values are Any,
because each class reads back what it wrote."""

Keep = bool | Bool[Tensor, ""]
"""Whether this step is the best so far: a bool, or a scalar on the device, for which nothing has to wait."""


@dataclass(frozen=True)
class Verdict:
    """What a rule decides after a step.

    keep:   the current running average is the best candidate so far; it becomes the picture `stopped`.
    stop:   the run ends now.
    reason: why, in words, for the record; read when `stop` is true.
    also:   additional kinds to keep, with the same meaning as `keep`.
    """

    keep: Keep = False
    stop: bool = False
    reason: str = ""
    also: Mapping[str, Keep] = field(default_factory=dict)


CONTINUE = Verdict()


@dataclass(frozen=True)
class View:
    """What a rule may read during a run. Its tensors are on the run's device.

    problem: the one that is fitted. average: the running average of x_hat, (1, C, H, W), up to date at every `update`.
    memory: how many steps the average remembers, 1 / (1 - decay). seed: for the rule's random draws.
    """

    problem: Problem
    average: Float[Tensor, "1 C H W"]
    memory: int
    seed: int


class StopRule(ABC):
    """A rule is a small final class: a `@component`, or `@stateful` if it has state.

    A run that ends without any `keep` keeps its last average. `active`: the rule changes what is fitted, so it needs a
    run of its own; a passive rule only watches. `ends`: the rule may end a run before its last step. `holds_out`: it
    judges by pixels of y that it leaves out of the loss.
    """

    active: ClassVar[bool] = False
    ends: ClassVar[bool] = True
    holds_out: ClassVar[bool] = False

    def pose(self, problem: Problem, z: Float[Tensor, "1 c h w"], seed: int) -> Problem:
        """Returns the problem to fit: the given one, or the one that an active rule derives from it. `z` is the
        network's input, `seed` is for the rule's random draws.

        Raises ValueError if the rule cannot judge such a problem or input.
        """
        return problem

    def begin(self, view: View) -> None:  # noqa: B027 (most rules need no setup)
        """Called once before the first step, and before `load`."""

    def extra(
        self,
        step: int,
        z: Float[Tensor, "1 c h w"],
        x_hat: Float[Tensor, "1 C H W"],
        net: Callable[[Float[Tensor, "1 c h w"]], Float[Tensor, "1 C H W"]],
    ) -> Float[Tensor, ""] | None:
        """Returns a scalar that an active rule adds to the energy of a step, or None. z (1, c, H, W) is the step's
        input; `net` maps such an input to x_hat."""
        return None

    @property
    def slowdown(self) -> float:
        """The approximate factor by which this rule lengthens a step."""
        return 1.0

    @abstractmethod
    def update(self, step: int, x_hat: Float[Tensor, "1 C H W"], loss: Float[Tensor, ""]) -> Verdict:
        """Returns the verdict on step `step` (from 0), given its output x_hat (1, C, H, W) and its energy `loss`."""

    def findings(self) -> Findings:
        """Returns what the record holds about the rule besides its reason: numbers and strings."""
        return {}

    def state(self) -> State:
        """Returns the state that must survive an interruption: tensors, numbers and strings."""
        return {}

    def load(self, state: State) -> None:
        """Restores what `state` returned. Raises ValueError if this rule has no state and the checkpoint holds some."""
        if state:
            raise ValueError(f"{type(self).__name__}: a checkpoint holds {sorted(state)} but this rule keeps nothing")
