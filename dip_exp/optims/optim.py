"""The base class of the optimizers in conf/optim: settings of the descent, and the torch optimizer that they build."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn
from torch.nn import Parameter

from dip_exp.component import NonNegative, Positive, PositiveInt, component

Decay = Annotated[float, Field(ge=0, lt=1)]
Over = Literal["net", "input", "both", "norms_and_input"]

NORMS = (nn.BatchNorm2d, nn.InstanceNorm2d, nn.GroupNorm, nn.LayerNorm)
"""The normalisation layers, whose weights `norms_and_input` optimises."""


@dataclass(frozen=True)
class Sampling:
    """Which steps of a sampler are samples of x_hat: every `every`-th step from `first` (counted from 0) on."""

    first: int
    every: int


@component
class Optim(ABC):
    """The settings that all optimizers share.

    steps:        iterations. lr: step size.
    over:         what is optimised: the network's weights, z, or both; or z and the weights of the normalisation
                  layers, with all other weights as drawn (Deep Random Projector: Li, Wang, Zhuang, Sun, CVPR 2023).
    average:      decay of the running average of x_hat (0.99 in the released code); 0 averages nothing.
    clip:         largest norm of the gradient; a larger gradient is scaled down to it.
    weight_noise: before each step, noise N(0, (this * its std)^2) is added to every kernel permanently: the regulariser
                  of the 2017 code (0.02). The code of 2018 and later draws the noise but discards it.
    rollback:     what happens when the fit's PSNR falls by more than 5 dB between two steps. `right`: weights,
                  statistics and optimizer return to the step before, and the bad gradient is dropped. `released`: as in
                  the released notebook, only the weights return, the bad gradient is still applied, and every 100th
                  step is not checked.
    """

    steps: PositiveInt = 2000
    lr: Positive = 0.01
    over: Over = "net"
    average: Decay = 0.99
    clip: Positive | None = None
    weight_noise: NonNegative = 0.0
    rollback: Literal["none", "right", "released"] = "none"

    @abstractmethod
    def build(self, parameters: Iterable[Parameter]) -> torch.optim.Optimizer:
        """Returns the torch optimizer of these parameters."""

    @property
    def passes(self) -> float:
        """The approximate number of passes of the network, forward and backward, in one step."""
        return 1.0

    def diffusion(self) -> float:
        """Returns the standard deviation of the noise that is added to every kernel after each step."""
        return 0.0

    def sampling(self) -> Sampling | None:
        """Returns which steps are samples of the output; None for an optimizer that does not sample."""
        return None


def leave_gradients(net: nn.Module, over: Over) -> None:
    """Disables the gradients of all weights that `over` does not name; weights that were frozen before stay frozen.

    Raises ValueError if `over` names normalisation layers and the network has none with trainable weights.
    """
    if over in ("net", "both"):
        return
    named: set[Parameter] = set()
    if over == "norms_and_input":
        norms = [module for module in net.modules() if isinstance(module, NORMS)]
        named = {parameter for norm in norms for parameter in norm.parameters() if parameter.requires_grad}
        if not named:
            raise ValueError(
                "optim.over: given norms_and_input, but this network has no normalisation layer with weights; choose "
                "another network (arch=skip has BatchNorm), or one of net, input and both"
            )
    for parameter in net.parameters():
        parameter.requires_grad_(parameter in named)
