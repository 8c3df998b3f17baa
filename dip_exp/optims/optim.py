"""What every optimizer of conf/optim is: settings of the descent, and the torch optimizer they describe."""

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
"""The normalisation layers, of which `norms_and_input` optimises what they have of weights."""


@dataclass(frozen=True)
class Sampling:
    """Which steps of a sampler are samples of x_hat: from `first` (counted from 0) on, one of every `every`."""

    first: int
    every: int


@component
class Optim(ABC):
    """The settings all optimizers share.

    steps:        iterations. lr: step size.
    over:         what is optimised: the network's weights, z, or both; or z and the weights of the normalisation
                  layers, all others staying as drawn (Deep Random Projector: Li, Wang, Zhuang, Sun, CVPR 2023).
    average:      decay of the running average of x_hat (0.99 in the released code); 0 averages nothing.
    clip:         the gradient's norm is reduced to this where it is larger.
    weight_noise: before each step every kernel moves by N(0, (this * its std)^2), for good: the 2017 code's
                  regulariser (0.02), which the code of 2018 and later draws and throws away.
    rollback:     on a fall of the fit's PSNR by more than 5 dB between two steps. `right`: weights, statistics and
                  optimizer go back to the step before and the bad gradient is dropped. `released`: as the released
                  notebook, only the weights go back, the bad gradient is applied all the same, and every 100th step
                  is not looked at.
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
        """Returns the optimizer of these parameters."""

    @property
    def passes(self) -> float:
        """How many passes of the network, there and back, a step takes, about."""
        return 1.0

    def diffusion(self) -> float:
        """Returns the standard deviation of the noise that every kernel gets after each step."""
        return 0.0

    def sampling(self) -> Sampling | None:
        """Returns which steps are samples of the output; None for an optimizer that ends at a point."""
        return None


def leave_gradients(net: nn.Module, over: Over) -> None:
    """Takes the gradient from every weight that `over` does not name; what its owner has frozen stays frozen.

    Raises ValueError where `over` names normalisation layers and the network has none with weights to optimise.
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
