"""Adam and AdamW, with PyTorch's fused kernels."""

from collections.abc import Iterable

import torch
from pydantic import Field
from torch.nn import Parameter

from dip_exp.component import NonNegative, Positive, component
from dip_exp.optims.optim import Decay, Optim


@component
class Adam(Optim):
    """Adam in one fused pass over weights, gradients and moments; PyTorch's default makes about ten per tensor."""

    betas: list[Decay] = Field(default=[0.9, 0.999], min_length=2, max_length=2)
    eps: Positive = 1e-8

    def build(self, parameters: Iterable[Parameter]) -> torch.optim.Optimizer:
        betas = (self.betas[0], self.betas[1])
        return torch.optim.Adam(parameters, lr=self.lr, betas=betas, eps=self.eps, fused=True)


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
