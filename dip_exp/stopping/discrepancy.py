"""The discrepancy principle (Morozov 1966): stop when the residual has fallen to the noise level."""

from torch import Tensor

from dip_exp.component import Positive, stateful
from dip_exp.shapes import Float
from dip_exp.stopping.rule import CHECK_EVERY, CONTINUE, Findings, StopRule, Verdict, View
from dip_exp.tasks import noise
from dip_exp.tasks.problem import Problem


@stateful
class Discrepancy(StopRule):
    """Ends the run when mean |A(average) - y|^2 has fallen to `tau` times its expected value for the noise alone,
    including clipping.

    sigma: standard deviation of the noise in 8-bit units; None: the task's own (known for a clean picture degraded
           here).
    tau:   below 1, because the best average has already fitted some of the noise; a smaller value stops later.
    """

    sigma: Positive | None = None
    tau: Positive = 0.9

    def pose(self, problem: Problem, z: Float[Tensor, "1 c h w"], seed: int) -> Problem:
        if noise.known(self.sigma, problem.noise) is None:
            raise ValueError(
                "stop: the discrepancy needs the noise of the observation, and this problem knows none; give its "
                "standard deviation in 8-bit units, stop.sigma=25, or choose another rule"
            )
        return problem

    def begin(self, view: View) -> None:
        self._view = view
        known = noise.known(self.sigma, view.problem.noise)
        assert known is not None
        self._noise = known
        self._ratio: float | None = None

    def update(self, step: int, x_hat: Float[Tensor, "1 C H W"], loss: Float[Tensor, ""]) -> Verdict:
        if (step + 1) % CHECK_EVERY:
            return CONTINUE
        problem = self._view.problem
        a_x = problem.forward(self._view.average)
        weight = 1 if problem.weight is None else problem.weight
        residual = ((a_x - problem.y) * weight).square().mean()
        self._ratio = float(residual / (self._noise.variance(a_x) * weight).mean())
        if self._ratio > self.tau:
            return CONTINUE
        reason = f"discrepancy: the average is {self._ratio:.3f} times as far from the observation as the noise alone"
        return Verdict(keep=True, stop=True, reason=reason)

    def findings(self) -> Findings:
        return {} if self._ratio is None else {"ratio": self._ratio}
