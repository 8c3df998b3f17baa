"""In: a network and the size of z. Out: what a run will cost on this machine, before its first step."""

import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from dip_exp.archs.arch import Arch
from dip_exp.prior import shapes_only

BASE_BYTES = 0.55e9
"""What the process itself takes on a CPU: the interpreter, PyTorch and Lightning."""

OVER_MATMUL = 2.2
"""Measured: a step of the paper's network takes 1.9 to 2.5 times what its multiplications would at matmul speed."""

PER_STEP_SECONDS = 0.006
"""Measured: what a step costs however small its network."""


@dataclass(frozen=True)
class Cost:
    """seconds: of one step. memory: bytes at the peak. weights: the number of parameters."""

    seconds: float
    memory: float
    weights: int


def estimate(arch: Arch | nn.Module, z: Tensor, shape: tuple[int, int, int], device: torch.device) -> Cost:
    """Returns the cost of one step, within a factor of about 1.5: counted multiplications over this machine's speed.

    Nothing is computed but a matrix product of a few milliseconds: the network is followed by shapes alone.
    """
    net = shapes_only(arch, z.shape[1], shape).train()
    saved: dict[int, int] = {}

    def remember(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage()._cdata] = tensor.numel() * tensor.element_size()
        kept.append(tensor)  # alive, so that no storage's address is used twice
        return tensor

    kept: list[Tensor] = []
    source = torch.empty(z.shape, device="meta")
    with FlopCounterMode(display=False) as counter, saved_tensors_hooks(remember, lambda tensor: tensor):
        net(source).sum().backward()
    weights = sum(parameter.numel() for parameter in net.parameters())
    memory = sum(saved.values()) + 4 * weights * 4 + 12 * 4 * z.numel()
    seconds = OVER_MATMUL * counter.get_total_flops() / matmul_rate(device) + PER_STEP_SECONDS
    return Cost(seconds, memory + (BASE_BYTES if device.type == "cpu" else 0), weights)


def matmul_rate(device: torch.device) -> float:
    """Returns this machine's rate of fp32 multiplications and additions, per second: the best of three products."""
    side = 768 if device.type == "cpu" else 4096
    a = torch.ones((side, side), device=device)
    best = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        product = a @ a
        float(product[0, 0])  # waits for the device
        best = min(best, time.perf_counter() - began)
    return 2 * side**3 / best
