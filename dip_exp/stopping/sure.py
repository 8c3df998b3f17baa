"""Stein's unbiased risk estimate as the loss; the run ends at its zero crossing (Jo, Chun, Choi, ICCV 2021)."""

from collections.abc import Callable

import torch
from torch import Tensor

from dip_exp.component import Positive, PositiveInt, stateful
from dip_exp.seeds import named_seed
from dip_exp.shapes import Float
from dip_exp.stopping.rule import CHECK_EVERY, CONTINUE, Findings, State, StopRule, Verdict, View
from dip_exp.tasks import noise
from dip_exp.tasks.problem import Problem, identity

PROBE = 1e-3
"""Step size of the finite difference for the divergence: far above float32's rounding, small against a picture."""


@stateful
class Sure(StopRule):
    """loss = |f(y) - y|^2 / N + 2 sigma^2 div f(y) / N. Minus sigma^2, it estimates the error to the truth.

    The run ends when that estimate, smoothed over `window` of its values, falls to zero: after that, the fit only takes
    on noise. The network's input must be the observation itself (`input=picture`). The divergence is a Monte Carlo
    estimate (Ramani, Blu, Unser 2008): one more forward and backward pass every `every` steps.

    sigma:  standard deviation of the white Gaussian noise in 8-bit units; None: the task's own.
    """

    active = True

    sigma: Positive | None = None
    every: PositiveInt = 1
    window: PositiveInt = 50

    def pose(self, problem: Problem, z: Float[Tensor, "1 c h w"], seed: int) -> Problem:
        known = noise.known(self.sigma, problem.noise)
        if known is None or known.sigma is None:
            raise ValueError(
                "stop: SURE needs white Gaussian noise of a known level, and this problem knows none; give its "
                "standard deviation in 8-bit units, stop.sigma=25, or choose another rule"
            )
        if problem.forward is not identity or problem.weight is not None:
            raise ValueError("stop: SURE is for denoising alone (A(x) = x, every pixel known); choose another rule")
        height, width = problem.shape[1:]
        fed = z.shape[1] == problem.shape[0] and torch.equal(z[..., :height, :width].to(problem.y), problem.y)
        if not fed:
            raise ValueError("stop: SURE needs a network that is fed with the observation itself; give input=picture")
        self._left = known.variance
        self._price = 2 * known.sigma**2
        return problem

    def begin(self, view: View) -> None:
        self._view = view
        self._estimate = view.average.new_zeros(())
        self._looks = 0
        self._was_positive = False
        self._divergence: Tensor | None = None

    @property
    def slowdown(self) -> float:
        return 1 + 1 / self.every

    def extra(
        self,
        step: int,
        z: Float[Tensor, "1 c h w"],
        x_hat: Float[Tensor, "1 C H W"],
        net: Callable[[Float[Tensor, "1 c h w"]], Float[Tensor, "1 C H W"]],
    ) -> Float[Tensor, ""] | None:
        self._divergence = None
        if step % self.every:
            return None
        generator = torch.Generator(device=z.device).manual_seed(named_seed(self._view.seed, f"sure {step}"))
        probe = torch.zeros_like(z)
        height, width = x_hat.shape[2:]
        probe[..., :height, :width] = torch.randn(x_hat.shape, generator=generator, device=z.device, dtype=z.dtype)
        apart = (net(z + PROBE * probe) - x_hat) * probe[..., :height, :width]
        divergence = apart.mean() / PROBE
        self._divergence = divergence.detach()
        return self.every * self._price * divergence  # makes up for the steps without it

    def update(self, step: int, x_hat: Float[Tensor, "1 C H W"], loss: Float[Tensor, ""]) -> Verdict:
        if self._divergence is None:
            return CONTINUE
        data = (x_hat - self._view.problem.y).square().mean()
        estimate = data - self._left(x_hat).mean() + self._price * self._divergence
        self._looks += 1
        self._estimate.lerp_(estimate, max(1 / self.window, 1 / self._looks))
        if self._looks % max(1, CHECK_EVERY // self.every):
            return CONTINUE
        now = float(self._estimate)
        if self._looks < self.window or now > 0:
            self._was_positive = self._was_positive or now > 0
            return CONTINUE
        if not self._was_positive:
            return CONTINUE
        reason = f"sure: the estimate of the error to the truth fell to zero ({now:.2g})"
        return Verdict(keep=True, stop=True, reason=reason)

    def findings(self) -> Findings:
        return {"estimate": float(self._estimate)} if self._looks else {}

    def state(self) -> State:
        return {"estimate": self._estimate, "looks": self._looks, "was_positive": self._was_positive}

    def load(self, state: State) -> None:
        self._estimate.copy_(state["estimate"])
        self._looks, self._was_positive = state["looks"], state["was_positive"]
