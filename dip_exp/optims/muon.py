"""Orthogonalised momentum: the update of every kernel is a matrix whose singular values are all about one.

In: parameters. Out: a torch optimizer. Source: Muon (Jordan et al., 2024), made for the hidden layers of transformers.
Here a kernel is treated as the matrix out x (in k k); `torch.optim.Muon` accepts 2-D parameters only.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import Parameter
from torch.optim.adam import adam

from dip_exp.component import Positive, component
from dip_exp.optims.optim import Decay, Optim
from dip_exp.shapes import Float

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""(a, b, c) of x -> a x + b x^3 + c x^5, which maps singular values in (0, 1] to about 0.7 .. 1.2 within five steps."""

ITERATIONS = 5


def orthogonalised(matrices: Float[Tensor, "*batch m n"]) -> Float[Tensor, "*batch m n"]:
    """Returns (B, M, N) matrices with the singular vectors of the given ones and singular values of about one.

    Newton-Schulz on the Gram matrix of the shorter side: each step multiplies by a polynomial of X X'. The steps
    therefore use square matrices of that side only, and X itself is multiplied once.
    """
    if matrices.shape[1] > matrices.shape[2]:
        return orthogonalised(matrices.mT).mT
    a, b, c = COEFFICIENTS
    x = matrices / matrices.norm(dim=(1, 2), keepdim=True).clamp_min(1e-12)
    gram = x @ x.mT
    one = torch.eye(gram.shape[1], dtype=x.dtype, device=x.device)
    product: Tensor | None = None
    for step in range(ITERATIONS):
        polynomial = torch.baddbmm(b * gram, gram, gram, alpha=c) + a * one
        product = polynomial if product is None else polynomial @ product
        if step + 1 < ITERATIONS:
            gram = polynomial @ gram @ polynomial
    assert product is not None
    return product @ x


def is_kernel(parameter: Tensor) -> bool:
    """Returns whether a parameter is a convolution's weight; z and a picture, which are (1, C, H, W), are not."""
    return parameter.ndim == 4 and (parameter.shape[0] > 1 or parameter.shape[2:] == (1, 1))


class OrthogonalisedMomentum(torch.optim.Optimizer):
    """Moves kernels by orthogonalised Nesterov momentum with step size `kernel_lr`, everything else by Adam with `lr`.

    A kernel's update is scaled by sqrt(max(1, out / (in k k))). Kernels of the same shape are orthogonalised in one
    batch.
    """

    def __init__(
        self,
        parameters: Iterable[Parameter],
        *,
        lr: float,
        kernel_lr: float,
        momentum: float,
        betas: tuple[float, float],
        eps: float,
    ) -> None:
        chosen = list(parameters)
        kernels = [p for p in chosen if is_kernel(p)]
        others = [p for p in chosen if not is_kernel(p)]
        groups = [
            {"params": kernels, "lr": kernel_lr, "momentum": momentum},
            {"params": others, "lr": lr, "betas": betas, "eps": eps},
        ]
        super().__init__([group for group in groups if group["params"]], {})

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:  # type: ignore[override]
        """Updates every parameter that has a gradient. Returns the value of `closure`, which is called first."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            with_gradient = [p for p in group["params"] if p.grad is not None]
            if "momentum" in group:
                self._move_kernels(with_gradient, group["lr"], group["momentum"])
            elif with_gradient:
                self._move_others(with_gradient, group)
        return loss

    def _move_kernels(self, kernels: list[Tensor], lr: float, momentum: float) -> None:
        by_shape: dict[tuple[int, int], list[tuple[Tensor, Tensor]]] = {}
        for kernel in kernels:
            assert kernel.grad is not None
            state = self.state[kernel]
            if not state:
                state["momentum"] = torch.zeros_like(kernel)
            moved = state["momentum"].mul_(momentum).add_(kernel.grad)
            ahead = kernel.grad.add(moved, alpha=momentum).flatten(1)
            by_shape.setdefault((ahead.shape[0], ahead.shape[1]), []).append((kernel, ahead))
        for (out, inward), members in by_shape.items():
            steps = orthogonalised(torch.stack([ahead for _, ahead in members]))
            for (kernel, _), step in zip(members, steps, strict=True):
                kernel.add_(step.view_as(kernel), alpha=-lr * max(1.0, out / inward) ** 0.5)

    def _move_others(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        for parameter in parameters:
            state = self.state[parameter]
            if not state:
                state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
                state["exp_avg"] = torch.zeros_like(parameter)
                state["exp_avg_sq"] = torch.zeros_like(parameter)
        states = [self.state[parameter] for parameter in parameters]
        adam(
            parameters,
            [parameter.grad for parameter in parameters],  # type: ignore[misc]
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=True,
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=0.0,
            eps=group["eps"],
            maximize=False,
        )


@component
class Muon(Optim):
    """Orthogonalised momentum for convolution kernels, Adam for everything else: see `OrthogonalisedMomentum`.

    lr:        step size of Adam. kernel_lr: step size of the kernels. momentum: of the kernels.
    fewer:     a task's own number of steps is divided by this; a number that you set is not.
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
