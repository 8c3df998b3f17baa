"""Stochastic gradient Langevin dynamics (Cheng et al., CVPR 2019): Adam, with noise added to the weights."""

from collections.abc import Iterable
from typing import Annotated

import torch
from pydantic import Field
from torch.nn import Parameter

from dip_exp.component import NonNegative, PositiveInt, component
from dip_exp.optims.adam import Adam
from dip_exp.optims.optim import Sampling


@component
class SGLD(Adam):
    """Stochastic gradient Langevin dynamics: Adam's step, then noise on every kernel (Cheng et al., CVPR 2019, "A
    Bayesian Perspective on the Deep Image Prior"; the defaults are those of its released code).

    noise:        the noise has standard deviation this * lr; 2 in the released code, 0 gives Adam.
    weight_decay: added to the gradient, as a Gaussian prior on the weights.
    burn_in:      share of the steps before the first sample (7000 of 20000).
    sample_every: steps between two samples of x_hat; their mean is the output kind `posterior`.

    The sampler is not exact: the noise matches neither Adam's preconditioning nor the energy's scale.
    """

    noise: NonNegative = 2.0
    weight_decay: NonNegative = 5e-8
    burn_in: Annotated[float, Field(ge=0, lt=1)] = 0.35
    sample_every: PositiveInt = 50

    def __post_init__(self) -> None:
        if self.over == "input":
            raise ValueError("over: given input, but the noise moves the network's kernels; use net or both")

    def build(self, parameters: Iterable[Parameter]) -> torch.optim.Optimizer:
        betas, decay = (self.betas[0], self.betas[1]), self.weight_decay
        return torch.optim.Adam(parameters, lr=self.lr, betas=betas, eps=self.eps, weight_decay=decay, fused=True)

    def diffusion(self) -> float:
        return self.noise * self.lr

    def sampling(self) -> Sampling:
        return Sampling(first=int(self.burn_in * self.steps), every=self.sample_every)
