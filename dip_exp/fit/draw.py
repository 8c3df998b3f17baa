"""In: a problem, an architecture, an input. Out: a freshly drawn network and its z, checked to fit the picture."""

import copy
from collections.abc import Callable
from typing import TypeVar, get_args

import torch
from torch import Tensor, nn

from dip_exp.archs import fast
from dip_exp.archs.arch import Arch
from dip_exp.fit.module import Fit
from dip_exp.inputs.source import Input
from dip_exp.optims.optim import Optim, Over, leave_gradients
from dip_exp.seeds import named_seed
from dip_exp.shapes import Float, Float32
from dip_exp.stopping.rule import StopRule
from dip_exp.tasks.baselines import restored
from dip_exp.tasks.problem import Problem

Size = tuple[int, int]

R = TypeVar("R")
Shared = dict[tuple[object, ...], R]
"""What was found out about packaged networks, by their settings and more: the jobs of an experiment share it."""


def draw(
    problem: Problem, arch: Arch | nn.Module, source: Input, seed: int, over: Over = "net"
) -> tuple[nn.Module, Float32[Tensor, "1 c h w"]]:
    """Returns (network, z). The weights are drawn from the seed's stream `weights`, z (1, C, H, W) from its stream
    `input` (or that of the input's own seed).

    z's sides are the picture's, rounded up to the multiple that the network needs and divided by its enlargement. A
    network given as a module is used as it is, with its weights; an architecture is built, as its fast twin if it has
    one. `over` says what will be optimised. The global random generators are left unchanged. Raises ValueError if
    network and picture do not fit each other, before any weight is drawn.
    """
    channels, height, width = problem.shape
    size = size_of_z(problem.shape, arch)
    drawn = seed if source.seed is None else source.seed
    generator = torch.Generator().manual_seed(named_seed(drawn, "input"))
    if source.of_restored:  # before the restoration, which may take its time
        check(arch, torch.empty((1, channels, *size), device="meta"), problem.shape, over)
    z = source.draw(size, _seen(problem, source), generator)
    check(arch, z, problem.shape, over)
    if not isinstance(arch, Arch):
        return arch, z
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(named_seed(seed, "weights"))
        return fast.twin(arch.build(z.shape[1], channels, (height, width))), z


def _seen(problem: Problem, source: Input) -> Float[Tensor, "1 c h w"]:
    """Returns the picture that an input draws z from."""
    if not source.of_restored:
        return problem.y if problem.guide is None else problem.guide
    if problem.start is None:
        raise ValueError(
            "input: given classical, but this problem has no classical restoration (Problem.start); choose another "
            "input, such as input=noise  [input=...]"
        )
    name, restore = problem.start
    try:
        return torch.from_numpy(restored(restore, problem.shape))
    except (ValueError, TypeError, RuntimeError, ArithmeticError, LookupError, MemoryError) as error:
        raise ValueError(
            f"input: {name}, whose picture is z, failed ({str(error) or type(error).__name__}); choose another input, "
            f"such as input=noise  [input=...]"
        ) from error


def assemble(
    problem: Problem,
    net: nn.Module,
    z: Float[Tensor, "1 c h w"],
    source: Input,
    optim: Optim,
    stop: StopRule,
    seed: int,
    *,
    every: int = 50,
) -> Fit:
    """Returns the fit of a network and z, as drawn by `draw`, to a problem. seed: the run's; every: steps between two
    checks of the run. Raises ValueError if the stop rule cannot judge the problem, or may end a sampler's run early."""
    if source.of_restored and stop.holds_out:
        raise ValueError(
            "stop: given a rule that judges by pixels which the fit does not see, but z is a restoration that was made "
            "of them too; choose another rule, such as stop=emv, or input=noise  [stop=...]"
        )
    return Fit(
        problem,
        net,
        z,
        optim=optim,
        stop=stop,
        perturb_std=source.perturb_std,
        final=source.final,
        seed=named_seed(seed, "perturb"),
        every=every,
    )


def z_shape(problem: Problem, arch: Arch | nn.Module, source: Input) -> tuple[int, ...]:
    """Returns the shape of the z that `draw` would draw, without drawing it if the input takes any size."""
    y = problem.y if problem.guide is None else problem.guide
    pixel = torch.zeros(1, y.shape[1], 1, 1)
    size, generator = size_of_z(problem.shape, arch), torch.Generator().manual_seed(0)
    try:
        channels = source.draw((1, 1), pixel, generator).shape[1]
    except ValueError:  # the input is a picture, whose size is fixed
        channels = source.draw(size, y, generator).shape[1]
    return (1, channels, *size)


def z_channels(source: Input, channels: int) -> int:
    """Returns the number of channels of the z that `draw` would draw for an observation with `channels` channels."""
    try:
        return source.draw((1, 1), torch.zeros(1, channels, 1, 1), torch.Generator().manual_seed(0)).shape[1]
    except ValueError:  # the input is a picture in a file, whose size is fixed
        return channels


def size_of_z(shape: tuple[int, int, int], arch: Arch | nn.Module) -> Size:
    """Returns the height and width of the z that `draw` would draw for an x_hat of `shape` (C, H, W)."""
    _, height, width = shape
    multiple = arch.multiple if isinstance(arch, Arch) else 1
    enlargement = arch.enlargement if isinstance(arch, Arch) else 1
    return _raised(height, multiple) // enlargement, _raised(width, multiple) // enlargement


def shapes_only(arch: Arch | nn.Module, in_channels: int, shape: tuple[int, int, int]) -> nn.Module:
    """Returns the network on the meta device, without memory or weights, for passes that compute shapes only."""
    if isinstance(arch, Arch):
        with torch.device("meta"):
            return arch.build(in_channels, shape[0], shape[1:])
    return copy.deepcopy(arch).to("meta")


def check(arch: Arch | nn.Module, z: Float[Tensor, "1 c h w"], shape: tuple[int, int, int], over: Over = "net") -> None:
    """Raises ValueError if the network cannot take z, gives a picture that does not hold `shape` (C, H, W), has nothing
    of what is to be optimised, or gives a picture that does not depend on it."""
    channels, height, width = shape
    if over == "norms_and_input":  # first, so that its error is not taken for one about the size
        leave_gradients(shapes_only(arch, z.shape[1], shape), over)
    try:
        out, reached = _pass(arch, z.shape[1], (z.shape[2], z.shape[3]), shape, over)
    except (RuntimeError, ValueError) as error:
        if not isinstance(arch, Arch):
            raise ValueError(f"arch: the given network refused z {tuple(z.shape)}: {error}") from error
        smallest = _smallest(arch, z.shape[1], channels)
        remedy = f"give a picture of at least {smallest}x{smallest}" if smallest else "change the network's settings"
        raise ValueError(
            f"arch: a picture of {width}x{height} is too small for this network ({str(error).splitlines()[0]}); "
            f"{remedy}, or fewer scales  [arch=...]"
        ) from error
    if out[1] != channels or out[2] < height or out[3] < width:
        raise ValueError(f"arch: the network gives {out} for z {tuple(z.shape)}; the picture needs {(1, *shape)}")
    if not reached:
        raise ValueError(
            f"optim.over: given {over}, but the output of this network does not depend on that: nothing "
            f"would be optimised; choose another of {', '.join(get_args(Over))}"
        )


def _pass(
    arch: Arch | nn.Module, in_channels: int, size: Size, shape: tuple[int, int, int], over: Over = "net"
) -> tuple[tuple[int, ...], bool]:
    """Returns the output's shape, and whether it depends on what `over` names."""

    def passed() -> tuple[tuple[int, ...], bool]:
        net = shapes_only(arch, in_channels, shape).train()
        leave_gradients(net, over)
        out = net(torch.empty((1, in_channels, *size), device="meta", requires_grad=over != "net"))
        return tuple(out.shape), out.requires_grad

    return shared(_PASSED, arch, (in_channels, size, shape, over), passed)


_PASSED: Shared[tuple[tuple[int, ...], bool]] = {}


def shared(known: Shared[R], arch: Arch | nn.Module, of: tuple[object, ...], find: Callable[[], R]) -> R:
    """Returns what `find` returns for a network and `of`; for a packaged network it is called once for both."""
    if not isinstance(arch, Arch):
        return find()
    key = (type(arch), repr(arch), *of)
    if key not in known:
        known[key] = find()
    return known[key]


def _smallest(arch: Arch, in_channels: int, channels: int) -> int | None:
    """Returns the least side of a square picture that the network takes: z's sides are rounded up to its multiple."""
    for count in range(1, 65):
        side = count * arch.multiple
        of_z = side // arch.enlargement
        try:
            _pass(arch, in_channels, (of_z, of_z), (channels, side, side))
        except (RuntimeError, ValueError):
            continue
        return side - arch.multiple + 1
    return None


def _raised(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple
