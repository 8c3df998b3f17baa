"""Held-out pixels: a share of the observation is left out of the loss and shows when the fit stops improving."""

from dataclasses import replace
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from dip_exp.component import PositiveInt, stateful
from dip_exp.seeds import named_seed
from dip_exp.shapes import Float
from dip_exp.stopping.patient import Patient
from dip_exp.stopping.rule import CHECK_EVERY, CONTINUE, Verdict, View
from dip_exp.tasks.problem import Problem


@stateful
class HeldOut(Patient):
    """Ends the run when mean |A(average) - y|^2 over the held-out pixels has not reached a new minimum for `patience`
    steps. Keeps the average at the minimum.

    share:    of the known pixels of y; all channels of a pixel are held out together.
    every:    steps between two checks; each check costs one pass of A.
    """

    active = True
    holds_out = True

    share: Annotated[float, Field(gt=0, lt=1)] = 0.05
    every: PositiveInt = 5

    def pose(self, problem: Problem, z: Float[Tensor, "1 c h w"], seed: int) -> Problem:
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
        held = held.reshape(1, 1, height, width).to(problem.y.device)
        weight = torch.ones_like(held) if problem.weight is None else problem.weight
        self._held_weight = held * weight
        return replace(problem, weight=weight * (1 - held))

    def begin(self, view: View) -> None:
        self._view = view
        self._held_weight = self._held_weight.to(view.average.device, view.average.dtype)
        self._count = self._held_weight.expand_as(view.problem.y).sum()
        self.wait_on(view.average.device)

    def update(self, step: int, x_hat: Float[Tensor, "1 C H W"], loss: Float[Tensor, ""]) -> Verdict:
        if step % self.every:
            return CONTINUE
        problem = self._view.problem
        residual = (problem.forward(self._view.average) - problem.y) * self._held_weight
        look = step // self.every % max(1, CHECK_EVERY // self.every) == 0
        what = f"heldout: the error at {self.share:.0%} of the pixels, left out,"
        return self.judged(step, residual.square().sum() / self._count, look=look, what=what, digits=4)
