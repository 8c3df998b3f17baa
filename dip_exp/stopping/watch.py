"""Several passive rules watch one run and none ends it, so that one trajectory compares them."""

from torch import Tensor

from dip_exp.component import stateful
from dip_exp.shapes import Float
from dip_exp.stopping.rule import Findings, Keep, State, StopRule, Verdict, View
from dip_exp.tasks.problem import Problem


@stateful
class Watch(StopRule):
    """The run takes all optim.steps. Each rule's choice is a separate output kind, `stopped_<name>`, and the record
    says when that rule would have ended the run. A rule that cannot judge the problem is skipped, and the record says
    why.

    rules: passive rules by name. Raises ValueError for an active rule.
    """

    ends = False

    rules: dict[str, StopRule]

    def __post_init__(self) -> None:
        active = [name for name, rule in self.rules.items() if rule.active]
        if active:
            raise ValueError(
                f"watch: {active[0]} changes the run and cannot watch another; only passive rules can; give it "
                f"a run of its own, stop={active[0]}"
            )
        self._cannot: dict[str, str] = {}
        self._ended: dict[str, tuple[int, str]] = {}

    def pose(self, problem: Problem, z: Float[Tensor, "1 c h w"], seed: int) -> Problem:
        for name, rule in self.rules.items():
            try:
                rule.pose(problem, z, seed)
            except ValueError as error:
                self._cannot[name] = str(error)
        return problem

    def begin(self, view: View) -> None:
        for name in self._judging:
            self.rules[name].begin(view)

    @property
    def _judging(self) -> list[str]:
        return [name for name in self.rules if name not in self._cannot]

    def update(self, step: int, x_hat: Float[Tensor, "1 C H W"], loss: Float[Tensor, ""]) -> Verdict:
        kept: dict[str, Keep] = {}
        for name in self._judging:
            if name in self._ended:
                continue
            verdict = self.rules[name].update(step, x_hat, loss)
            kept[f"stopped_{name}"] = verdict.keep
            if verdict.stop:
                self._ended[name] = (step + 1, verdict.reason)
        return Verdict(also=kept)

    def findings(self) -> Findings:
        found: Findings = {name: {"cannot": why} for name, why in self._cannot.items()}
        for name in self._judging:
            ended, reason = self._ended.get(name, (None, "it did not end the run within its steps"))
            found[f"stopped_{name}"] = {"ended": ended, "reason": reason, **self.rules[name].findings()}
        return found

    def state(self) -> State:
        return {
            "ended": {name: list(end) for name, end in self._ended.items()},
            "rules": {name: self.rules[name].state() for name in self._judging},
        }

    def load(self, state: State) -> None:
        self._ended = {name: (step, reason) for name, (step, reason) in state["ended"].items()}
        for name in self._judging:
            self.rules[name].load(state["rules"][name])
