"""A plateau of the loss: the fit has found what it finds quickly, and the rest comes slowly."""

from torch import Tensor

from dip_exp.component import Fraction, PositiveInt, stateful
from dip_exp.shapes import Float
from dip_exp.stopping.rule import CHECK_EVERY, CONTINUE, Findings, State, StopRule, Verdict, View


@stateful
class Plateau(StopRule):
    """Ends the run when the smoothed loss has fallen by less than `fall` of itself within `window` steps.

    window: steps; None: twice the memory of the running average. The loss is smoothed over half of the window.
    fall:   a share of the loss.
    """

    window: PositiveInt | None = None
    fall: Fraction = 0.1

    def begin(self, view: View) -> None:
        self._window = max(CHECK_EVERY, self.window or 2 * view.memory)
        self._smooth = view.average.new_zeros(())
        self._past: list[float] = []

    def update(self, step: int, x_hat: Float[Tensor, "1 C H W"], loss: Float[Tensor, ""]) -> Verdict:
        share = max(2 / self._window, 1 / (step + 1))  # a plain mean until there are enough values
        self._smooth.lerp_(loss.to(self._smooth.dtype), share)
        if (step + 1) % CHECK_EVERY:
            return CONTINUE
        apart = self._window // CHECK_EVERY
        self._past = [*self._past[-apart:], float(self._smooth)]
        if len(self._past) <= apart:
            return CONTINUE
        before, now = self._past[0], self._past[-1]
        if now <= (1 - self.fall) * before:
            return CONTINUE
        reason = f"plateau: within {self._window} steps the loss went from {before:.4g} to {now:.4g}"
        return Verdict(keep=True, stop=True, reason=reason)

    def findings(self) -> Findings:
        return {"window": self._window}

    def state(self) -> State:
        return {"smooth": self._smooth, "past": list(self._past)}

    def load(self, state: State) -> None:
        self._smooth.copy_(state["smooth"])
        self._past = list(state["past"])
