"""Whether a run fits into the memory that it can have, and the commands of smaller runs that do. No torch.

Everything is estimated from shapes, so nothing large is made to find out that it is too large.
"""

import math
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dip_exp import config as cfgs
from dip_exp.component import Settings
from dip_exp.config import commandline, explain
from dip_exp.config.build import build, refusing
from dip_exp.errors import Failed, Refused, first_line
from dip_exp.runs.order import Order
from dip_exp.runs.report import duration

if TYPE_CHECKING:
    import torch
    from torch import nn

    from dip_exp.archs.arch import Arch
    from dip_exp.inputs.source import Input
    from dip_exp.tasks.problem import Problem

Shape = tuple[int, int, int]
"""(C, H, W)."""

STEP = 32
"""Sides that are named are multiples of this."""

LESS = 0.7
"""A run that found no more memory is offered smaller ones that need this share of what was predicted for it."""

SHORTAGE = ("out of memory", "can't allocate memory", "not enough memory")
"""How PyTorch says that memory is short."""

NARROWER = {"skip": "skip_narrow"}


@dataclass(frozen=True)
class Needs:
    """What decides the memory of a fit. channels: those of z."""

    arch: "Arch | nn.Module"
    channels: int
    device: "torch.device"
    precision: str

    @classmethod
    def of(
        cls, arch: "Arch | nn.Module", source: "Input", channels: int, device: "torch.device", precision: str
    ) -> "Needs":
        """Returns the needs of a network and an input. channels: those of the observation."""
        from dip_exp.fit import draw

        return cls(arch, draw.z_channels(source, channels), device, precision)

    def bytes(self, shape: Shape) -> float | None:
        """Returns the peak in bytes of a fit whose x_hat has this shape; None if the network cannot take it."""
        from dip_exp.cost import estimate

        try:
            return estimate.by_shape(self.arch, self.channels, shape, self.device, self.precision)
        except (RuntimeError, ValueError, TypeError, NotImplementedError):
            return None  # drawing the network says why


def check(order: Order, trainer: Any) -> None:
    """Raises Refused, with the commands that fit, if the run needs more memory than it can have. Draws nothing.

    trainer: the run's, which knows the device.
    """
    config, choices = order.config, order.choices
    picture = order.picture.x.shape[1:]
    room = available_here(trainer.device, config["memory_limit"])
    needed = _needed(config, choices, order.named.role, trainer.device)
    shape, want = needed(picture)
    if room is None or want is None or want <= room:
        return
    raise Refused(
        f"memory: {order.what} needs about {_gb(want)} for {shape[2]}x{shape[1]}, and {_gb(room)} can be had here"
        f"{_offered(order, trainer.device, room)}\n  [memory_limit={_at_least(want)} begins all the same]"
    )


def check_start(problem: "Problem", limit: str | None) -> None:
    """Raises Refused if the classical restoration that a fit begins at may need more memory than it can have."""
    import torch

    room = available_here(torch.device("cpu"), limit)
    if problem.start is None or room is None or problem.start_memory <= room:
        return
    raise Refused(
        f"memory: {problem.start[0]}, whose picture is z, may need {_gb(problem.start_memory)}, and {_gb(room)} can be "
        f"had here\n  [tiles=auto restores the picture in parts; input=noise begins without it; "
        f"memory_limit={_at_least(problem.start_memory)} begins all the same]"
    )


def is_shortage(error: BaseException) -> bool:
    """Returns whether an error says that there was no more memory, on a GPU or here."""
    said = isinstance(error, RuntimeError) and any(words in str(error) for words in SHORTAGE)
    return isinstance(error, MemoryError) or said


def ran_out(order: Order, trainer: Any, error: BaseException) -> Failed:
    """Returns what to say of a run that had begun and found no more memory: what was predicted, what there is, and the
    commands that need less."""
    needed = _needed(order.config, order.choices, order.named.role, trainer.device)
    shape, want = needed(order.picture.x.shape[1:])
    room = available_here(trainer.device, None)
    predicted = "" if want is None else f"; about {_gb(want)} were predicted for {shape[2]}x{shape[1]}"
    there = "" if room is None else f", and {_gb(room)} can be had now"
    bounds = [bound for bound in (room, None if want is None else LESS * want) if bound is not None]
    offer = _offered(order, trainer.device, min(bounds)) if bounds else ""
    reason = first_line(error)
    return Failed(
        f"memory: {order.what} found no more of it on {trainer.device.type} ({reason}){predicted}{there}{offer}\n"
        f"  [or end what else uses it; the same command goes on from the last checkpoint]"
    )


def _offered(order: Order, device: "torch.device", room: float) -> str:
    """Returns the commands of smaller runs that fit, for an error message."""
    lines = [f"  {shlex.join(offer.command)}{offer.time}" for offer in _fitting(order, device, room)]
    return "; these fit:\n" + "\n".join(lines) if lines else "; no smaller picture fits either"


def check_posed(needs: Needs, shape: Shape, limit: str | None) -> None:
    """Raises Refused, with the largest size that fits, if a fit of x_hat's shape needs more memory than it can have."""
    room, want = available_here(needs.device, limit), needs.bytes(shape)
    if room is None or want is None or want <= room:
        return
    side = _largest(shape, lambda smaller: needs.bytes(smaller), room)
    smaller = None if side is None else shrunk(shape, side)
    offer = "no smaller one fits either" if smaller is None else f"{smaller[2]}x{smaller[1]} fits"
    raise Refused(
        f"memory: a restored picture of {shape[2]}x{shape[1]} needs about {_gb(want)}, and {_gb(room)} can be had "
        f"here; {offer}  [a smaller picture, a narrower network, or overrides='memory_limit={_at_least(want)}']"
    )


def shrunk(shape: Shape, longest: int) -> Shape:
    """Returns the shape of a picture whose longest side was reduced; the other side is rounded up."""
    channels, height, width = shape
    most = max(height, width, 1)
    return (channels, -(-height * longest // most), -(-width * longest // most)) if longest < most else shape


def available_here(device: "torch.device", limit: str | None) -> float | None:
    """Returns the bytes that a run on a device can have; None if not known. Raises Refused for a bad limit."""
    from dip_exp.cost import available

    with refusing("memory_limit", {}):
        return available.available(device, limit)


def _needed(
    config: Settings, choices: dict[str, str], role: str, device: "torch.device"
) -> Callable[[Shape], tuple[Shape, float | None]]:
    """Returns a function from the shape of a run's picture to the shape of its x_hat and the peak in bytes."""
    task, arch, source = (build(config, group, choices) for group in ("task", "arch", "input"))
    by_channels: dict[int, Needs] = {}

    def needed(picture: Shape) -> tuple[Shape, float | None]:
        shape = task.result_shape(picture, role)
        channels = picture[0]
        if channels not in by_channels:
            with refusing("input", choices):  # which may be a picture that is not there
                by_channels[channels] = Needs.of(arch, source, channels, device, config["precision"])
        return shape, by_channels[channels].bytes(shape)

    return needed


def _can_be_tiled(order: Order) -> bool:
    """Returns whether `tiles=auto` takes this run; whether a tile fits is found when the tiles are planned."""
    config, image = order.config, order.config["image"]
    whole = config["tiles"] is None and config["runs"] == 1 and image.get("shrink_to") is None
    return whole and "path" in image and build(config, "task", order.choices).local


@dataclass(frozen=True)
class _Offer:
    """The command of a smaller run. config: its settings, and picture the shape that they give; None if several runs
    are made of it."""

    command: list[str]
    config: Settings
    picture: Shape | None

    @property
    def time(self) -> str:
        """How long the run should take, as a comment of the shell; "" if that is not known."""
        from dip_exp.runs.price import expected

        if self.picture is None:
            return "  # says how long before it starts"
        try:
            ahead = expected(self.config, {}, self.picture)
        except (Refused, ValueError):
            return ""
        return f"  # {'at most' if ahead.sooner else 'about'} {duration(ahead.seconds)}"


def _fitting(order: Order, device: "torch.device", room: float) -> list[_Offer]:
    """Returns the smaller runs that fit."""
    config, image, choices = order.config, order.config["image"], order.choices
    picture = order.picture.x.shape[1:]
    needed = _needed(config, choices, order.named.role, device)
    found = []
    if _can_be_tiled(order):
        found.append(_Offer(_with(order.command, "tiles=auto"), config, None))
    side = _largest(picture, lambda smaller: needed(smaller)[1], room)
    if side is not None:
        part = shrunk(picture, side)
        smaller = {**config, "image": {**image, "shrink_to": side}}  # a mask beside the picture is reduced with it
        found.append(_Offer(_with(order.command, f"image.shrink_to={side}"), smaller, part))
        beside = any(key.startswith(("task.", "input.")) for key in cfgs.files(config))  # a box may miss a mask's holes
        if not beside and not any(image.get(key) for key in ("shrink_to", "trim_multiple", "crop_multiple")):
            found.append(_Offer(_with(order.command, _box(image.get("box"), picture, part)), config, part))
    narrower = NARROWER.get(choices.get("arch", ""))
    for word in (f"arch={narrower}" if narrower else "", "scale=mini" if order.smaller else ""):
        command = _with(order.command, word)
        other = _composed(command) if word else None
        size = None if other is None else _size_in(other["image"], image, picture)
        if other is not None and size is not None:
            want = _needed(other, {}, order.named.role, device)(size)[1]
            found += [_Offer(command, other, size)] if want is not None and want <= room else []
    return found


def _largest(shape: Shape, needs: Callable[[Shape], float | None], room: float) -> int | None:
    """Returns the largest longest side, a multiple of STEP below the picture's own, that fits; None if none does."""
    low, high = 0, (max(shape[1:]) - 1) // STEP
    while low < high:
        middle = (low + high + 1) // 2
        want = needs(shrunk(shape, middle * STEP))
        low, high = (middle, high) if want is None or want <= room else (low, middle - 1)  # None: it is too small
    want = needs(shrunk(shape, low * STEP)) if low else None
    return low * STEP if want is not None and want <= room else None


def _box(box: list[int] | None, picture: Shape, part: Shape) -> str:
    """Returns the setting of the central box of a size. box: the present one, within which the new one lies."""
    left, top = (0, 0) if box is None else box[:2]
    (height, width), (rows, columns) = picture[1:], part[1:]
    return f"image.box=[{left + (width - columns) // 2},{top + (height - rows) // 2},{columns},{rows}]"


def _size_in(image: Settings, before: Settings, picture: Shape) -> Shape | None:
    """Returns the shape that another configuration gives the picture; None if that is not known without reading it."""
    if image == before:
        return picture
    side = image.get("shrink_to")
    same = {**image, "shrink_to": None} == {**before, "shrink_to": None}
    return shrunk(picture, side) if same and isinstance(side, int) else None


def _with(command: list[str], word: str) -> list[str]:
    """Returns the command with one setting replaced or added."""
    return [*(other for other in command if explain.key_of(other) != explain.key_of(word)), *([word] if word else [])]


def _composed(command: list[str]) -> Settings | None:
    """Returns the settings that a run's command composes; None if this process cannot compose them."""
    try:
        return cfgs.plain(cfgs.compose(commandline.prepare(command[2:])))
    except (*cfgs.UNCOMPOSABLE, Refused):
        return None


def _at_least(number: float) -> str:
    return f"{math.ceil(number / 1e8) / 10:.1f}GB"


def _gb(number: float) -> str:
    return f"{number / 1e9:,.1f} GB"
