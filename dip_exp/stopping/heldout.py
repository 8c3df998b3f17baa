"""Held-out pixels: a few of the observation are left out of the loss and tell when the fit no longer improves."""

from dataclasses import replace
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from dip_exp.component import PositiveInt, stateful
from dip_exp.config import named_seed
from dip_exp.problems.problem import Problem
from dip_exp.stopping.least import Least
from dip_exp.stopping.rule import CHECK_EVERY, CONTINUE, StopRule, Verdict, View


@stateful
class HeldOut(StopRule):
    """Ends where mean |A(average) - y|^2 over the pixels left out has not been smaller for `patience` steps, and keeps
    the average of its least.

    share:    of the known pixels of y, all channels of a pixel together.
    patience: steps. every: steps between two looks; each costs a pass of A.
    """

    active = True

    share: Annotated[float, Field(gt=0, lt=1)] = 0.05
    patience: PositiveInt = 500
    every: PositiveInt = 5

    def pose(self, problem: Problem, z: Tensor, seed: int) -> Problem:
        _, _, height, width = problem.y.shape
        known = torch.ones((height, width), dtype=torch.bool)
        if problem.weight is not None:
            known = (problem.weight != 0).expand_as(problem.y).any(dim=1)[0].cpu()
        places = known.flatten().nonzero().flatten()
        count = round(self.share * len(places))
        if not 1 <= count < len(places):
            raise ValueError(
                f"stop: {self.share:g} of {len(places)} known pixels are {count}; some must be left out and some "
                f"fitted; give another stop.share"
            )
        generator = torch.Generator().manual_seed(named_seed(seed, "heldout"))
        chosen = places[torch.randperm(len(places), generator=generator)[:count]]
        held = torch.zeros(height * width, dtype=problem.y.dtype)
        held[chosen] = 1
        self._held = held.reshape(1, 1, height, width)
        weight = torch.ones_like(self._held) if problem.weight is None else problem.weight
        self._held_weight = self._held.to(weight.device) * weight
        return replace(problem, weight=weight * (1 - self._held.to(weight.device)))

    def begin(self, view: View) -> None:
        self._view = view
        self._held_weight = self._held_weight.to(view.average.device, view.average.dtype)
        self._count = self._held_weight.expand_as(view.problem.y).sum()
        self._least = Least(view.average.device)

    def update(self, step: int, x_hat: Tensor, loss: Tensor) -> Verdict:
        if step % self.every:
            return CONTINUE
        problem = self._view.problem
        residual = (problem.forward(self._view.average) - problem.y) * self._held_weight
        keep = self._least.note(step, residual.square().sum() / self._count)
        looks = max(1, CHECK_EVERY // self.every)
        if step // self.every % looks or self._least.waited(step) < self.patience or not self._least.found:
            return Verdict(keep=keep)
        reason = (
            f"heldout: the error at {self.share:.0%} of the pixels, left out, was least at step "
            f"{int(self._least.step) + 1} ({float(self._least.value):.4g}) and no smaller for {self.patience} steps"
        )
        return Verdict(keep=keep, stop=True, reason=reason)

    def told(self) -> dict[str, Any]:
        return {"least": float(self._least.value)} if self._least.found else {}

    def state(self) -> dict[str, Any]:
        return {"least": self._least.state()}

    def load(self, state: dict[str, Any]) -> None:
        self._least.load(state["least"])
