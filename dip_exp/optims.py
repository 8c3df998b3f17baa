"""What is descended, how, and for how many steps."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn
from torch.nn import Parameter

from dip_exp.component import NonNegative, Positive, PositiveInt, component
from dip_exp.muon import OrthogonalisedMomentum
from dip_exp.posterior import Posterior

Decay = Annotated[float, Field(ge=0, lt=1)]
Over = Literal["net", "input", "both", "norms_and_input"]

NORMS = (nn.BatchNorm2d, nn.InstanceNorm2d, nn.GroupNorm, nn.LayerNorm)
"""The normalisation layers, of which `norms_and_input` optimises what they have of weights."""


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

    def posterior(self) -> Posterior | None:
        """Returns what gathers samples of the output along the way; None for an optimizer that ends at a point."""
        return None


@component
class Adam(Optim):
    """One fused pass over weights, gradients and moments, where PyTorch's default makes some ten for every tensor."""

    betas: list[Decay] = Field(default=[0.9, 0.999], min_length=2, max_length=2)
    eps: Positive = 1e-8

    def build(self, parameters: Iterable[Parameter]) -> torch.optim.Optimizer:
        betas = (self.betas[0], self.betas[1])
        return torch.optim.Adam(parameters, lr=self.lr, betas=betas, eps=self.eps, fused=True)


@component
class SGLD(Adam):
    """Stochastic gradient Langevin dynamics: Adam's step, then noise on every kernel (Cheng et al., CVPR 2019, "A
    Bayesian Perspective on the Deep Image Prior", and its released code, whose numbers are the defaults).

    noise:        of standard deviation (this * lr), the code's 2. 0 is Adam.
    weight_decay: added to the gradient, as a Gaussian prior on the weights.
    burn_in:      share of the steps before the first sample (7000 of 20000).
    sample_every: one step of so many is a sample of x_hat; their mean is the output kind `posterior`.

    It is no exact sampler: the noise fits neither Adam's preconditioning nor the energy's scale.
    """

    noise: NonNegative = 2.0
    weight_decay: NonNegative = 5e-8
    burn_in: Annotated[float, Field(ge=0, lt=1)] = 0.35
    sample_every: PositiveInt = 50

    def __post_init__(self) -> None:
        if self.over == "input":
            raise ValueError("over: given input, but the noise moves the network's kernels; net and both are allowed")

    def build(self, parameters: Iterable[Parameter]) -> torch.optim.Optimizer:
        betas, decay = (self.betas[0], self.betas[1]), self.weight_decay
        return torch.optim.Adam(parameters, lr=self.lr, betas=betas, eps=self.eps, weight_decay=decay, fused=True)

    def diffusion(self) -> float:
        return self.noise * self.lr

    def posterior(self) -> Posterior:
        return Posterior(first=int(self.burn_in * self.steps), every=self.sample_every)


@component
class AdamW(Optim):
    betas: list[Decay] = Field(default=[0.9, 0.999], min_length=2, max_length=2)
    eps: Positive = 1e-8
    weight_decay: NonNegative = 0.01

    def build(self, parameters: Iterable[Parameter]) -> torch.optim.Optimizer:
        betas = (self.betas[0], self.betas[1])
        return torch.optim.AdamW(
            parameters, lr=self.lr, betas=betas, eps=self.eps, weight_decay=self.weight_decay, fused=True
        )


@component
class Muon(Optim):
    """Convolution kernels by orthogonalised momentum, everything else by Adam: `dip_exp.muon`.

    lr:        of what Adam moves. kernel_lr: of the kernels. momentum: theirs.
    fewer:     a task's own number of steps is divided by this; steps that you give are not.
    """

    kernel_lr: Positive = 0.02
    momentum: Decay = 0.95
    fewer: Positive = 1
    betas: list[Decay] = Field(default=[0.9, 0.999], min_length=2, max_length=2)
    eps: Positive = 1e-8

    def build(self, parameters: Iterable[Parameter]) -> torch.optim.Optimizer:
        betas = (self.betas[0], self.betas[1])
        return OrthogonalisedMomentum(
            parameters, lr=self.lr, kernel_lr=self.kernel_lr, momentum=self.momentum, betas=betas, eps=self.eps
        )


@component
class SGD(Optim):
    momentum: Decay = 0.9
    nesterov: bool = False

    def __post_init__(self) -> None:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov: given true with momentum 0; Nesterov's step needs a momentum above 0")

    def build(self, parameters: Iterable[Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=self.lr, momentum=self.momentum, nesterov=self.nesterov)


@component
class LBFGS(Optim):
    inner_steps: PositiveInt = 4
    history: PositiveInt = 10
    line_search: bool = True

    @property
    def passes(self) -> float:
        return self.inner_steps * (1.25 if self.line_search else 1)  # its limit on evaluations

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
