"""In: a network and z. Out: what a run will cost on this machine, before its first step."""

import copy
import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from dip_exp import fast
from dip_exp.archs.arch import Arch
from dip_exp.prior import shapes_only
from dip_exp.problems.problem import Problem

BASE_BYTES = 0.55e9
"""What the process itself takes on a CPU: the interpreter, PyTorch and Lightning."""

PEAK_OF_A_TWIN = 1.7
"""Measured, at 128 to 512 pixels on a CPU: the peak over what is held between operations. A fast twin keeps so little
that the maps in hand, and the gaps between them, count."""

SECONDS_PER_WEIGHT = 4e-9
"""Measured: what Adam takes on two CPU cores for each weight."""

SECONDS_PER_STEP = 0.004
"""Measured: what a step takes besides its passes, for Lightning, the curve and the average."""

TRIAL_SIDE = 64
"""Pixels: the step is tried on a corner of z this large, then on larger ones, until it takes `LONG_ENOUGH_SECONDS`."""

LONG_ENOUGH_SECONDS = 0.03
"""Below this, a pass costs what its number of layers costs, and says little about a larger picture."""


@dataclass(frozen=True)
class Cost:
    """seconds: of one step. memory: bytes at the peak. weights: the number of parameters."""

    seconds: float
    memory: float
    weights: int


def estimate(net: nn.Module, arch: Arch | nn.Module, z: Tensor, problem: Problem, device: torch.device) -> Cost:
    """Returns the cost of one step: the network's time tried on a corner of z and scaled by area, within a factor of
    about 1.5, its memory by following shapes alone; the energy's by trying it. A copy of the network does the trying,
    and nothing random is drawn."""
    weights = sum(parameter.numel() for parameter in net.parameters())
    per_pixel = _trial(net, z, device)
    seconds = per_pixel * z.shape[2] * z.shape[3] + (SECONDS_PER_WEIGHT * weights if device.type == "cpu" else 0)
    energy_seconds, energy_bytes = _energy(problem, device)
    bytes_kept = memory(arch, z, problem.shape, device) + energy_bytes
    return Cost(seconds + energy_seconds + SECONDS_PER_STEP, bytes_kept, weights)


def _energy(problem: Problem, device: torch.device) -> tuple[float, int]:
    """Returns what the forward operator and the loss take: seconds of a pass there and back, bytes kept in between."""
    there = problem.to(device, problem.y.dtype)
    x_hat = torch.full((1, *problem.shape), 0.5, dtype=problem.y.dtype, device=device, requires_grad=True)
    kept: dict[int, int] = {}

    def remember(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage.nbytes()
        return tensor

    seconds = []
    for _ in range(2):
        kept.clear()
        began = time.perf_counter()
        with saved_tensors_hooks(remember, lambda tensor: tensor):
            loss = there.energy(x_hat)
        if loss.requires_grad:
            loss.backward()
        float(loss.detach())  # waits for the device
        seconds.append(time.perf_counter() - began)
    return min(seconds), sum(kept.values())


def memory(arch: Arch | nn.Module, z: Tensor, shape: tuple[int, int, int], device: torch.device) -> float:
    """Returns the bytes at the peak of a step: what autograd keeps, weights, gradients, moments, and pictures."""
    net = shapes_only(arch, z.shape[1], shape).train()
    if isinstance(arch, Arch):
        net = fast.twin(net)
    saved = kept_bytes(net, z)
    weights = sum(parameter.numel() for parameter in net.parameters())
    held = saved + 4 * weights * 4 + 12 * 4 * z.numel()
    if isinstance(net, fast.FastSkip):
        held *= PEAK_OF_A_TWIN
    return held + (BASE_BYTES if device.type == "cpu" else 0)


def kept_bytes(net: nn.Module, z: Tensor) -> int:
    """Returns what autograd keeps for the backward pass of a network without memory or weights, parameters included."""
    kept: dict[int, Tensor] = {}

    def remember(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor  # held, so that no storage's address is used twice
        return tensor

    with saved_tensors_hooks(remember, lambda tensor: tensor):
        net(torch.empty(z.shape, device="meta"))
    return sum(tensor.numel() * tensor.element_size() for tensor in kept.values())


def _trial(net: nn.Module, z: Tensor, device: torch.device) -> float:
    """Returns seconds per pixel of one forward and backward pass, the better of two after one to warm up."""
    twin = copy.deepcopy(net).to(device).train()
    side = TRIAL_SIDE
    while True:
        corner = z[..., :side, :side].to(device)
        whole = side >= max(z.shape[2:])
        try:
            seconds = min([_pass(twin, corner) for _ in range(3)][1:])
        except (RuntimeError, ValueError):
            if whole:
                raise
        else:
            if whole or seconds > LONG_ENOUGH_SECONDS:
                return seconds / (corner.shape[2] * corner.shape[3])
        side *= 2


def _pass(net: nn.Module, z: Tensor) -> float:
    began = time.perf_counter()
    out = net(z)
    if out.requires_grad:
        out.sum().backward()
    float(out.detach().flatten()[0])  # waits for the device
    return time.perf_counter() - began
