"""In: an architecture, the shape of z, a problem. Out: what a run will cost on this machine, before its first step."""

import copy
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from dip_exp.archs import fast
from dip_exp.archs.arch import Arch
from dip_exp.cost import rates, work
from dip_exp.cost.rates import Rates, Where
from dip_exp.cost.work import Work
from dip_exp.fit.draw import Shared, shapes_only, shared, size_of_z
from dip_exp.optims.optim import Optim
from dip_exp.tasks.presentation import Presentation
from dip_exp.tasks.problem import Problem

BASE_BYTES = 0.55e9
"""Memory of the process itself on a CPU: the interpreter, PyTorch and Lightning."""

PEAK_OF_A_TWIN = 1.7
"""Ratio of the peak to the memory held between operations, measured at 128 to 512 pixels on a CPU. A fast twin saves so
little that temporaries and fragmentation dominate."""

OPERATIONS_PER_STEP = 120.0
"""The overhead of a step outside its passes (Lightning, the curve, the average), in operations of a network."""


@dataclass(frozen=True)
class Cost:
    """seconds: of one step, on otherwise idle cores. memory: peak in bytes. weights: the number of parameters. threads:
    the number of cores assumed, 0 on a GPU. work: what was counted. where: the place whose rates were used."""

    seconds: float
    memory: float
    weights: int
    threads: int = 0
    work: Work | None = None
    where: Where | None = None


@dataclass(frozen=True)
class Setting:
    """The device and the precision of a run."""

    device: torch.device
    precision: str = "fp32"

    def rates(self) -> tuple[Where, Rates]:
        """Returns this place and its rates, which are measured if they are not known yet."""
        where = rates.here(self.device, torch.get_num_threads(), self.precision)
        return where, rates.known(where, partial(rates.measured, self.device, self.precision))


def estimate(
    arch: Arch | nn.Module, z_shape: tuple[int, ...], problem: Problem, optim: Optim, setting: Setting
) -> Cost:
    """Returns the cost of one step. Its work is counted from shapes only and priced at this machine's rates, whatever
    the machine's current load. Nothing random is drawn."""
    of, weights, energy_bytes = counted(arch, z_shape, problem, optim)
    where, found = setting.rates()
    z = torch.empty(z_shape, device="meta")
    held = memory(arch, z, problem.shape, setting.device, setting.precision) + energy_bytes
    return Cost(found.seconds(of), held, weights, where.threads, of, where)


def counted(arch: Arch | nn.Module, z_shape: tuple[int, ...], problem: Problem, optim: Optim) -> tuple[Work, int, int]:
    """Returns the work of one step, the number of weights, and the bytes that operator and loss save for backward."""
    net = shapes_only(arch, z_shape[1], problem.shape)
    weights = sum(parameter.numel() for parameter in net.parameters())
    of_pass = partial(work.of_pass, net, z_shape, optim.over)
    passed = shared(_COUNTED, arch, (z_shape, problem.shape, optim.over), of_pass)
    energy, energy_bytes = _energy(problem)
    z_values, values = int(torch.Size(z_shape).numel()), int(torch.Size(problem.shape).numel())
    of = (passed + energy).times(optim.passes) + work.overhead(weights, z_values, values)
    return of + Work(0, 0, OPERATIONS_PER_STEP), weights, energy_bytes


_COUNTED: Shared[Work] = {}


def _energy(problem: Problem) -> tuple[Work, int]:
    """Returns the work of the forward operator and the loss, forward and backward, and the bytes saved in between.

    Both are computed from shapes only; an operator that needs values is run once, on a grey picture.
    """
    try:
        return _tried(problem, torch.device("meta"))
    except (RuntimeError, NotImplementedError, TypeError, ValueError):
        return _tried(problem, problem.y.device)


def _tried(problem: Problem, device: torch.device) -> tuple[Work, int]:
    forward = problem.forward
    if isinstance(forward, nn.Module) and device.type == "meta":
        forward = copy.deepcopy(forward).to(device)
    y, weight = problem.y.to(device), _moved(problem.weight, device)
    bare = replace(problem, y=y, weight=weight, forward=forward, x=None, presentation=Presentation())
    x_hat = torch.full((1, *problem.shape), 0.5, dtype=problem.y.dtype, device=device, requires_grad=True)
    kept: dict[int, Tensor] = {}

    def there_and_back() -> None:
        with _keeping(kept):
            loss = bare.energy(x_hat)
        if loss.requires_grad:
            loss.backward()

    return work.counted(there_and_back), _bytes(kept)


def _moved(tensor: Tensor | None, device: torch.device) -> Tensor | None:
    return None if tensor is None else tensor.to(device)


def _keeping(kept: dict[int, Tensor]) -> saved_tensors_hooks:
    """Returns hooks that record in `kept` the tensors that autograd saves, one per storage."""

    def remember(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor  # held, so that no storage's address is reused
        return tensor

    return saved_tensors_hooks(remember, lambda tensor: tensor)


def _bytes(kept: dict[int, Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in kept.values())


def memory(
    arch: Arch | nn.Module, z: Tensor, shape: tuple[int, int, int], device: torch.device, precision: str = "fp32"
) -> float:
    """Returns the peak memory of a step in bytes: saved tensors, weights, gradients, moments, and pictures."""
    net = shapes_only(arch, z.shape[1], shape).train()
    if isinstance(arch, Arch):
        net = fast.twin(net)
    is_twin = isinstance(net, fast.FastSkip)
    saved = _kept_by_twin(arch, net, z) if isinstance(arch, Arch) and is_twin else kept_bytes(net, z)
    weights = sum(parameter.numel() for parameter in net.parameters())
    if is_twin and precision == "bf16" and device.type == "cpu":  # the only case in which the maps are half as large
        saved /= 2
    held = saved + 4 * weights * 4 + 12 * 4 * z.numel()
    if is_twin:
        held *= PEAK_OF_A_TWIN
    return held + (BASE_BYTES if device.type == "cpu" else 0)


def by_shape(
    arch: Arch | nn.Module, channels: int, shape: tuple[int, int, int], device: torch.device, precision: str = "fp32"
) -> float:
    """Returns the peak memory of a step in bytes for an x_hat of `shape` (C, H, W), of which nothing need exist.

    channels: those of z.
    """
    return memory(arch, torch.empty((1, channels, *size_of_z(shape, arch)), device="meta"), shape, device, precision)


def _kept_by_twin(arch: Arch, net: nn.Module, z: Tensor) -> float:
    """Returns `kept_bytes` of a fast twin. Its number of operations grows with the map, even where only shapes are
    computed: above EXACT_BELOW pixels, the bytes follow from those of two small squares, as a part that grows with the
    area and one that grows with the sides."""
    channels, height, width = z.shape[1:]
    if height * width <= EXACT_BELOW:
        return _kept_at(net, (1, channels, height, width))
    unit = max(arch.multiple, 32)
    small, large = 8 * unit, 12 * unit
    least, most = (_kept_at(net, (1, channels, side, side)) for side in (small, large))
    by_area = (most / large - least / small) / (large - small)
    by_side = (least / small - by_area * small) / 2
    return by_area * height * width + by_side * (height + width)


EXACT_BELOW = 256 * 256

_KEPT: dict[tuple[str, tuple[int, ...]], int] = {}
"""The bytes that a fast twin keeps, by its layers and the shape of z: a run asks twice, a sweep for each job."""


def _kept_at(net: nn.Module, shape: tuple[int, ...]) -> int:
    key = (repr(net), shape)
    if key not in _KEPT:
        _KEPT[key] = kept_bytes(net, torch.empty(shape, device="meta"))
    return _KEPT[key]


def kept_bytes(net: nn.Module, z: Tensor) -> int:
    """Returns the bytes that autograd saves for the backward pass of a network on the meta device, with parameters."""
    kept: dict[int, Tensor] = {}
    with _keeping(kept):
        net(torch.empty(z.shape, device="meta"))
    return _bytes(kept)
