"""Full-batch gradient descent with momentum."""

from collections.abc import Iterable

import torch
from torch.nn import Parameter

from dip_exp.component import component
from dip_exp.optims.optim import Decay, Optim


@component
class SGD(Optim):
    momentum: Decay = 0.9
    nesterov: bool = False

    def __post_init__(self) -> None:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov: given true with momentum 0; Nesterov's step needs a momentum above 0")

    def build(self, parameters: Iterable[Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=self.lr, momentum=self.momentum, nesterov=self.nesterov)
