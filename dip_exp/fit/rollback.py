"""Rollback when a fit collapses: the backtracking of the released denoising notebook, and a corrected version."""

import copy
import math

import torch
from torch import Tensor, nn

from dip_exp.shapes import Float
from dip_exp.stopping.rule import State

DROP = 10**0.5
"""5 dB, as a ratio of losses: a step whose loss exceeds the previous step's by more causes a rollback."""

LOOKS_AWAY_EVERY = 100
"""The released notebook's `if i % show_every`, which is false on the multiples of 100: they are not checked."""


class Rollback:
    """Compares the losses of consecutive steps and restores the weights when the fit drops by 5 dB.

    kind `right`: weights, statistics and optimizer return to the step before, the bad gradient is dropped, and lr is
    multiplied by 0.9, because without perturbation the same step would be repeated. kind `released`: only the weights
    return; the bad gradient is then applied to them, and the optimizer's moments are not restored.
    """

    def __init__(self, kind: str, module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self.kind = kind
        self.module = module
        self.optimizer = optimizer
        self.count = 0
        self.loss: float | None = None
        self._good: State = {}

    def refuses(self, step: int, loss: Float[Tensor, ""]) -> bool:
        """Returns whether the step must not be applied; called after the gradient is computed and before the update."""
        if self.kind == "released" and step % LOOKS_AWAY_EVERY == 0:
            return False
        value = float(loss)
        if self.loss is not None and not value <= self.loss * DROP:  # "not <=" also catches NaN
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

    def state(self) -> State:
        """Returns the state for a checkpoint."""
        return {"count": self.count, "loss": self.loss, "good": self._good}

    def load(self, state: State) -> None:
        """Restores what `state` returned."""
        self.count, self.loss, self._good = state["count"], state["loss"], state["good"]
