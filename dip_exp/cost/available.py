"""How much memory this process can have: what it holds, and what the machine, its cgroup and its limits leave free."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

ROOT = Path("/")

POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def available(device: "torch.device", limit: str | None = None) -> float | None:
    """Returns the bytes that a fit on `device` can have in all, or None if that cannot be found out here.

    On a CPU these are the whole process's, on a GPU those of its memory. limit: replaces what is found ("8GB"). Raises
    ValueError if it is no number of bytes.
    """
    if limit is not None:
        return parsed(limit)
    if device.type == "cuda":
        import torch

        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device)
    return of_process(ROOT)


def parsed(text: str) -> float:
    """Returns the bytes that a text such as `8GB`, `500 MB`, `2GiB` or `1000000` means. Raises ValueError."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(I?)B?\s*", text.upper())
    if match is None or float(match[1]) == 0:
        raise ValueError(f"memory_limit: given {text!r}; a number of bytes above 0 is needed  [memory_limit=8GB]")
    number, power, binary = match.groups()
    return float(number) * (1024 if binary else 1000) ** POWERS[power]


def of_process(root: Path) -> float | None:
    """Returns the bytes that this process holds plus those that it can still get: the least of the memory that the
    machine has free, the rest of its cgroups' limits, and the rest of its address space. None if no limit is known.

    root: the folder that holds `proc` and `sys`.
    """
    status, machine = root / "proc/self/status", root / "proc/meminfo"
    space, size = _address_space(), _field(status, "VmSize")
    free = [_field(machine, "MemAvailable"), *_of_cgroups(root)]
    if space is not None and size is not None:
        free.append(space - size)
    known = [number for number in free if number is not None]
    return max(0, min(known)) + (_field(status, "VmRSS") or 0) if known else None


def _address_space() -> int | None:
    """Returns the limit of this process's address space in bytes (`ulimit -v`), or None."""
    try:
        import resource
    except ImportError:  # no Unix
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else soft


def _of_cgroups(root: Path) -> Iterator[int]:
    """Yields what the memory limit of each cgroup around this process leaves free. Cached files count as free."""
    mount = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            yield from _rest(mount, path, "memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            yield from _rest(mount / "memory", path, *names)


def _rest(mount: Path, path: str, limit: str, usage: str, cached: str) -> Iterator[int]:
    """Yields the rest of each cgroup from the root `mount` to `path`; in a container only the former may be visible."""
    folder, parts = mount, [part for part in path.split("/") if part not in ("", "..")]
    for part in ["", *parts]:
        folder = folder / part
        most, used = _text(folder / limit).strip(), _text(folder / usage).strip()
        if most.isdecimal() and used.isdecimal():
            stat = dict(line.split() for line in _text(folder / "memory.stat").splitlines())
            yield int(most) - int(used) + int(stat.get(cached, 0))


def _field(path: Path, name: str) -> int | None:
    """Returns a field of a file in /proc, whose values are in KiB, in bytes."""
    found = re.search(rf"^{name}:\s+(\d+) kB$", _text(path), re.MULTILINE)
    return None if found is None else int(found[1]) * 1024


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
