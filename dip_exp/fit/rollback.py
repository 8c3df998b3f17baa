"""Going back when a fit collapses: the released denoising notebook's backtracking, and the same done right."""

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

DROP = 10**0.5
"""5 dB: the factor by which the loss of one step exceeds the one before when a rollback is due."""

LOOKS_AWAY_EVERY = 100
"""The released notebook's `if i % show_every`: true on every step but the multiples of 100."""


class Rollback:
    """Watches the loss from step to step and takes the weights back on a 5 dB drop of the fit.

    kind `right`: weights, statistics and optimizer return to the step before, the bad gradient is dropped, and lr falls
    by a tenth, since without perturbation the same step would be taken again. kind `released`: only the weights return
    and the bad gradient is then applied to them, with the moments it has already entered.
    """

    def __init__(self, kind: str, module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self.kind = kind
        self.module = module
        self.optimizer = optimizer
        self.count = 0
        self.loss: float | None = None
        self._good: dict[str, Any] = {}

    def refuses(self, step: int, loss: Tensor) -> bool:
        """Returns whether the step must not be applied; called with the gradient computed, before the update."""
        if self.kind == "released" and step % LOOKS_AWAY_EVERY == 0:
            return False
        value = float(loss)
        if self.loss is not None and not value <= self.loss * DROP:  # "not <=": a loss that is no number too
            self.count += 1
            self._return()
            return self.kind == "right"
        if math.isfinite(value):
            self._remember(value)
        return False

    def _remember(self, loss: float) -> None:
        self.loss = loss
        if self.kind == "released":
            self._good = {"parameters": [p.detach().clone() for p in self.module.parameters()]}
        else:
            self._good = {
                "module": {name: value.detach().clone() for name, value in self.module.state_dict().items()},
                "optimizer": copy.deepcopy(self.optimizer.state_dict()),
            }

    def _return(self) -> None:
        if self.kind == "released":
            with torch.no_grad():
                for parameter, good in zip(self.module.parameters(), self._good["parameters"], strict=True):
                    parameter.copy_(good)
            return
        lowered = [0.9 * group["lr"] for group in self.optimizer.param_groups]
        self.module.load_state_dict(self._good["module"])
        self.optimizer.load_state_dict(copy.deepcopy(self._good["optimizer"]))
        for group, lr in zip(self.optimizer.param_groups, lowered, strict=True):
            group["lr"] = lr

    def state(self) -> dict[str, Any]:
        """Returns what a checkpoint keeps."""
        return {"count": self.count, "loss": self.loss, "good": self._good}

    def load(self, state: dict[str, Any]) -> None:
        """Takes back what `state` returned."""
        self.count, self.loss, self._good = state["count"], state["loss"], state["good"]
