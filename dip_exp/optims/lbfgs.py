"""L-BFGS with a line search."""

from collections.abc import Iterable

import torch
from torch.nn import Parameter

from dip_exp.component import PositiveInt, component
from dip_exp.optims.optim import Optim


@component
class LBFGS(Optim):
    inner_steps: PositiveInt = 4
    history: PositiveInt = 10
    line_search: bool = True

    @property
    def passes(self) -> float:
        return self.inner_steps * (1.25 if self.line_search else 1)  # torch's limit on evaluations, max_eval

    def build(self, parameters: Iterable[Parameter]) -> torch.optim.Optimizer:
        return torch.optim.LBFGS(
            list(parameters),
            lr=self.lr,
            max_iter=self.inner_steps,
            history_size=self.history,
            tolerance_grad=-1,
            tolerance_change=-1,
            line_search_fn="strong_wolfe" if self.line_search else None,
        )
