"""In: a device, a precision, a number of threads. Out: how fast work goes there, measured once and kept in a file.

What is measured is the processor time of the thread that leads: it does all that only one thread can do and its share
of the rest, so it is what a step takes on quiet cores, and other processes hardly change it. Nothing here can fail a
run, change a result or draw from a global generator: a folder that cannot be written keeps nothing.
"""

import copy
import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from dip_exp import provenance
from dip_exp.archs import fast
from dip_exp.archs.fast import heap
from dip_exp.archs.skip import Skip
from dip_exp.cost import work
from dip_exp.cost.work import Work
from dip_exp.fit.draw import shapes_only

CALIBRATION_SECONDS = 2.0
"""Wall time after which no further network is timed."""

TIMED, LONGEST_SECONDS = 5, 0.25
"""A network's steps, after one to warm up; fewer where they take longer than this together."""

TRUST = 2.0
"""A run whose own steps are off by more makes its rates doubtful."""


@dataclass(frozen=True)
class Rates:
    """Seconds of one multiplication, of one element and of one operation (`Work`), on cores that do nothing else."""

    multiplication: float
    element: float
    operation: float

    def seconds(self, of: Work) -> float:
        """Returns what the work takes."""
        return float(np.dot(astuple(self), astuple(of)))


@dataclass(frozen=True)
class Where:
    """What rates are of: as many of them are kept as there are such places."""

    processor: str
    threads: int
    torch: str
    precision: str

    @property
    def file(self) -> Path:
        """Where its rates are kept: in the user's cache folder, XDG_CACHE_HOME or ~/.cache."""
        folder = os.environ.get("XDG_CACHE_HOME", "")
        base = Path(folder) if Path(folder).is_absolute() else Path.home() / ".cache"
        name = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]
        return base / "dip_exp" / f"rates-{name}.json"


@dataclass(frozen=True)
class Measured:
    """Rates and how quiet the machine was: the share of its time that the leading thread had a core."""

    rates: Rates
    share: float


@dataclass(frozen=True)
class Kept:
    """Rates with what is known of them. share: as measured. when: seconds since 1970. doubted: the works for which a
    run found them wrong. stale: they are to be measured again before the next run; a work that doubted them once does
    not ask for that twice."""

    rates: Rates
    share: float = 1.0
    when: float = 0.0
    doubted: tuple[str, ...] = ()
    stale: bool = False

    @property
    def lasts(self) -> bool:
        """Whether they will do: a busy machine's only for a while, since threads that share a core slow each other."""
        return not self.stale and (self.share >= QUIET or abs(time.time() - self.when) < TRY_AGAIN_SECONDS)


QUIET = 0.9
"""Share of the time, from which on the machine counts as quiet."""

TRY_AGAIN_SECONDS = 1800.0
"""Rates that a busy machine had are measured again after so long, by the next run."""

_HELD: dict[Where, Kept] = {}
"""What this process has read or measured."""


def here(device: torch.device, threads: int, precision: str) -> Where:
    """Returns the place that a run of these settings has rates of."""
    on_gpu = device.type == "cuda"
    processor = torch.cuda.get_device_name(device) if on_gpu else provenance.processor()
    return Where(processor, 0 if on_gpu else threads, torch.__version__, precision)


def known(where: Where, measure: Callable[[], Measured]) -> Rates:
    """Returns the rates of a place: those that are kept, else what `measure` finds, which is kept from then on."""
    held = _HELD.get(where) or _read(where)
    if held is None or not held.lasts:
        found = measure()
        slower = held is not None and not held.stale and found.rates.seconds(TYPICAL) > held.rates.seconds(TYPICAL)
        # Both were busy moments: the quicker one is nearer to what quiet cores do.
        rates = held.rates if held is not None and slower and found.share < QUIET else found.rates
        held = Kept(rates, found.share, time.time(), () if held is None else held.doubted)
        _write(where, held)
    _HELD[where] = held
    return held.rates


def doubt(where: Where, of: Work, ratio: float) -> bool:
    """Notes by how much a run's own steps took longer than estimated, in processor time; returns whether the rates
    will be measured anew before the next run."""
    held = _HELD.get(where)
    name = hashlib.sha256(repr(of).encode()).hexdigest()[:12]
    if held is None or 1 / TRUST <= ratio <= TRUST or name in held.doubted:
        return False
    _HELD[where] = replace(held, stale=True, doubted=(*held.doubted, name))
    _write(where, _HELD[where])
    return True


def _read(where: Where) -> Kept | None:
    """Returns what the file holds; None where there is none, or none that can be made sense of."""
    try:
        found = json.loads(where.file.read_text(encoding="utf-8"))
        if found["where"] != asdict(where):
            return None
        rates = Rates(**{key: float(value) for key, value in found["rates"].items()})
        share, when = float(found["share"]), float(found["when"])
        sound = all(math.isfinite(part) and part > 0 for part in (*astuple(rates), when)) and 0 <= share <= 1
        kept = Kept(rates, share, when, tuple(str(name) for name in found["doubted"]), found["stale"] is True)
        return kept if sound else None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError):  # RuntimeError: no home
        return None


def _write(where: Where, kept: Kept) -> None:
    text = json.dumps({"where": asdict(where), **asdict(kept)}, indent=2)
    with suppress(OSError, RuntimeError):
        where.file.parent.mkdir(parents=True, exist_ok=True)
        temporary = where.file.with_name(f".{where.file.name}.{os.getpid()}")
        try:
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(where.file)
        finally:
            temporary.unlink(missing_ok=True)


# -- measuring ---------------------------------------------------------------------------------------------------------


def _hourglass(width: int, scales: int) -> Callable[[], nn.Module]:
    return lambda: Skip(down=[width] * scales, up=[width] * scales, skip=[4] * scales).build(32, 3, (1, 1))


def _convolutions(width: int) -> Callable[[], nn.Module]:
    layers = [layer for _ in range(2) for layer in (nn.Conv2d(width, width, 3, padding=1), nn.ReLU())]
    return lambda: nn.Sequential(nn.Conv2d(32, width, 1), *layers)


SAMPLES: tuple[tuple[Callable[[], nn.Module], int], ...] = (
    (_hourglass(8, 3), 32),  # its operations count
    (_hourglass(32, 5), 128),  # its elements count
    (_convolutions(256), 48),  # its multiplications count
    (_hourglass(128, 5), 128),  # the paper's
)
"""Networks that are timed, and the sides of their z, the quickest first."""


TYPICAL = Work(3e10, 2e8, 250)
"""A step of the paper's network at 128 x 128, by which rates are compared."""


def measured(device: torch.device, precision: str) -> Measured:
    """Returns the rates of this process on a device: a few small networks' steps are timed, for about a second."""
    began = time.perf_counter()
    times: list[tuple[float, float]] = []
    found: list[tuple[Work, float]] = []
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), heap.kept():
        for make, side in SAMPLES:
            if len(found) >= 3 and time.perf_counter() - began > CALIBRATION_SECONDS:
                break
            torch.default_generator.manual_seed(0)
            net = make()
            of = work.of_pass(shapes_only(net, 32, (3, side, side)), (1, 32, side, side))
            weights = sum(parameter.numel() for parameter in net.parameters())
            of += work.beside(weights, 32 * side * side, 3 * side * side)
            each = _seconds(net, side, device, precision)
            found.append((of, max(min(seconds for seconds, _ in each), 1e-7)))
            times += each
    busy = [sum(part) for part in zip(*times, strict=True)]
    return Measured(fitted(found), min(1.0, busy[0] / max(busy[1], 1e-7)))


def fitted(found: list[tuple[Work, float]]) -> Rates:
    """Returns the rates under which the works take the seconds they took, by least squares of the relative error; none
    is negative, and none is so small that what was not measured would be free."""
    from scipy.optimize import nnls

    found = [*found, found[-1]]  # the largest one, the paper's, counts twice
    works = np.array([astuple(of) for of, _ in found])
    seconds = np.array([taken for _, taken in found])
    shares = works / seconds[:, None]
    scale = shares.max(axis=0)  # the rate under which this part alone would take all of some sample's time
    parts, _ = nnls(shares / scale, np.ones(len(seconds)))
    least = np.maximum(parts, 0.02) / scale
    return Rates(*(float(rate) for rate in least))


def _seconds(net: nn.Module, side: int, device: torch.device, precision: str) -> list[tuple[float, float]]:
    """Returns, of a few steps of a network, the seconds of its work and of the clock on the wall."""
    dtype = dtype_of(precision)
    twin = fast.twin(copy.deepcopy(net).to(device, dtype).train())
    optimizer = torch.optim.Adam(twin.parameters(), lr=1e-4, fused=True)
    z = torch.rand(1, 32, side, side, dtype=dtype).to(device)
    now = clock(device)
    found: list[tuple[float, float]] = []
    started = time.perf_counter()
    while len(found) < 1 + TIMED and (len(found) < 3 or time.perf_counter() - started < LONGEST_SECONDS):
        began, wall = now(), time.perf_counter()
        optimizer.zero_grad()
        with precision_context(precision, device):
            out = twin(z + torch.randn_like(z) / 30)
        out.float().square().mean().backward()
        optimizer.step()
        found.append((now() - began, time.perf_counter() - wall))
    return found[1:]


def clock(device: torch.device) -> Callable[[], float]:
    """Returns what tells the seconds of work: processor time of this thread on a CPU, time on a GPU once it is done."""
    if device.type != "cuda":
        return time.thread_time

    def now() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return now


def dtype_of(precision: str) -> torch.dtype:
    """Returns the dtype that weights have under a precision."""
    return torch.float64 if precision == "fp64" else torch.float32


@contextmanager
def _tf32() -> Iterator[None]:
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def precision_context(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """Returns what a network's pass is wrapped in under a precision, as the trainer does it."""
    if precision == "bf16":
        return torch.autocast(device.type, torch.bfloat16)
    return _tf32() if precision == "tf32" else nullcontext()
