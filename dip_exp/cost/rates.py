"""In: a device, a precision, a number of threads. Out: the speed of work there, measured once and cached in a file.

The measure is the processor time of the leading thread. That thread does all work that only one thread can do and its
share of the rest, so its time is that of a step on idle cores, and other processes hardly change it. Nothing here can
fail a run, change a result or draw from a global generator; if the folder cannot be written, nothing is cached.
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
"""Wall time in seconds after which no further network is timed."""

TIMED, LONGEST_SECONDS = 5, 0.25
"""The number of timed steps per network, after one warm-up step; fewer if together they exceed LONGEST_SECONDS."""

TRUST = 2.0
"""If a run's own steps are off by more than this factor, its rates are doubtful."""


@dataclass(frozen=True)
class Rates:
    """Seconds per multiplication, per element and per operation (`Work`), on otherwise idle cores."""

    multiplication: float
    element: float
    operation: float

    def seconds(self, of: Work) -> float:
        """Returns the seconds that the work takes."""
        return float(np.dot(astuple(self), astuple(of)))


@dataclass(frozen=True)
class Where:
    """The place that rates belong to; each place has its own rates."""

    processor: str
    threads: int
    torch: str
    precision: str

    @property
    def file(self) -> Path:
        """The file of its rates, in the user's cache folder: XDG_CACHE_HOME or ~/.cache."""
        folder = os.environ.get("XDG_CACHE_HOME", "")
        base = Path(folder) if Path(folder).is_absolute() else Path.home() / ".cache"
        name = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]
        return base / "dip_exp" / f"rates-{name}.json"


@dataclass(frozen=True)
class Measured:
    """Rates, and how idle the machine was: the share of the wall time in which the leading thread had a core."""

    rates: Rates
    share: float


@dataclass(frozen=True)
class Kept:
    """Cached rates. share: as measured. when: seconds since 1970. doubted: the works for which a run contradicted the
    rates. stale: the rates are measured again before the next run; each work can cause that only once."""

    rates: Rates
    share: float = 1.0
    when: float = 0.0
    doubted: tuple[str, ...] = ()
    stale: bool = False

    @property
    def lasts(self) -> bool:
        """Whether the rates are usable. Those of a busy machine expire: threads that share a core slow each other."""
        return not self.stale and (self.share >= QUIET or abs(time.time() - self.when) < TRY_AGAIN_SECONDS)


QUIET = 0.9
"""Share of the wall time with a core from which the machine counts as idle."""

TRY_AGAIN_SECONDS = 1800.0
"""Seconds after which rates of a busy machine expire; the next run measures them again."""

_HELD: dict[Where, Kept] = {}
"""The rates that this process has read or measured."""


def here(device: torch.device, threads: int, precision: str) -> Where:
    """Returns the place whose rates a run with these settings uses."""
    on_gpu = device.type == "cuda"
    processor = torch.cuda.get_device_name(device) if on_gpu else provenance.processor()
    return Where(processor, 0 if on_gpu else threads, torch.__version__, precision)


def known(where: Where, measure: Callable[[], Measured]) -> Rates:
    """Returns the rates of a place: the cached ones if usable, else those from `measure`, which are then cached."""
    held = _HELD.get(where) or _read(where)
    if held is None or not held.lasts:
        found = measure()
        slower = held is not None and not held.stale and found.rates.seconds(TYPICAL) > held.rates.seconds(TYPICAL)
        # The machine was busy both times: the faster rates are closer to those of idle cores.
        rates = held.rates if held is not None and slower and found.share < QUIET else found.rates
        held = Kept(rates, found.share, time.time(), () if held is None else held.doubted)
        _write(where, held)
    _HELD[where] = held
    return held.rates


def doubt(where: Where, of: Work, ratio: float) -> bool:
    """Records `ratio`, the factor by which a run's own steps took longer than estimated, in processor time. Returns
    whether the rates will be measured again before the next run."""
    held = _HELD.get(where)
    name = hashlib.sha256(repr(of).encode()).hexdigest()[:12]
    if held is None or 1 / TRUST <= ratio <= TRUST or name in held.doubted:
        return False
    _HELD[where] = replace(held, stale=True, doubted=(*held.doubted, name))
    _write(where, _HELD[where])
    return True


def _read(where: Where) -> Kept | None:
    """Returns what the file holds; None if it does not exist or is not valid."""
    try:
        found = json.loads(where.file.read_text(encoding="utf-8"))
        if found["where"] != asdict(where):
            return None
        rates = Rates(**{key: float(value) for key, value in found["rates"].items()})
        share, when = float(found["share"]), float(found["when"])
        sound = all(math.isfinite(part) and part > 0 for part in (*astuple(rates), when)) and 0 <= share <= 1
        kept = Kept(rates, share, when, tuple(str(name) for name in found["doubted"]), found["stale"] is True)
        return kept if sound else None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError):  # RuntimeError: no home folder
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
    (_hourglass(8, 3), 32),  # operations dominate
    (_hourglass(32, 5), 128),  # elements dominate
    (_convolutions(256), 48),  # multiplications dominate
    (_hourglass(128, 5), 128),  # the paper's network
)
"""The networks that are timed, with the sides of their z, the fastest first."""


TYPICAL = Work(3e10, 2e8, 250)
"""A step of the paper's network at 128 x 128, used to compare rates."""


def measured(device: torch.device, precision: str) -> Measured:
    """Returns the rates of this process on a device, from timing steps of a few small networks for about a second."""
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
            of += work.overhead(weights, 32 * side * side, 3 * side * side)
            each = _seconds(net, side, device, precision)
            found.append((of, max(min(seconds for seconds, _ in each), 1e-7)))
            times += each
    busy = [sum(part) for part in zip(*times, strict=True)]
    return Measured(fitted(found), min(1.0, busy[0] / max(busy[1], 1e-7)))


def fitted(found: list[tuple[Work, float]]) -> Rates:
    """Returns the rates that best explain the seconds of the works: non-negative least squares of the relative error.
    Each rate has a positive lower bound, so that a kind of work that was not measured is not free."""
    from scipy.optimize import nnls

    found = [*found, found[-1]]  # the last and largest, the paper's, counts twice
    works = np.array([astuple(of) for of, _ in found])
    seconds = np.array([taken for _, taken in found])
    shares = works / seconds[:, None]
    scale = shares.max(axis=0)  # 1 / scale: the rate at which this part alone takes all of some sample's time
    parts, _ = nnls(shares / scale, np.ones(len(seconds)))
    least = np.maximum(parts, 0.02) / scale
    return Rates(*(float(rate) for rate in least))


def _seconds(net: nn.Module, side: int, device: torch.device, precision: str) -> list[tuple[float, float]]:
    """Returns, for a few steps of a network, (seconds of work, seconds of wall time)."""
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
    """Returns a function that gives the seconds of work: this thread's processor time on a CPU, and the time after
    synchronisation on a GPU."""
    if device.type != "cuda":
        return time.thread_time

    def now() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return now


def dtype_of(precision: str) -> torch.dtype:
    """Returns the dtype of the weights under a precision."""
    return torch.float64 if precision == "fp64" else torch.float32


@contextmanager
def _tf32() -> Iterator[None]:
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def precision_context(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Returns the context for a network's pass under a precision, equivalent to the trainer's."""
    if precision == "bf16":
        return torch.autocast(device.type, torch.bfloat16)
    return _tf32() if precision == "tf32" else nullcontext()
