"""The memory that a run may use here."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

GROUP = Path("/sys/fs/cgroup")
MEMINFO = Path("/proc/meminfo")


def available(device: "torch.device") -> float:
    """Returns the bytes that are free on a device: of a GPU's memory, or of this machine's within its container's
    limit. Where the system does not tell what is free, returns all of the machine's memory."""
    if device.type == "cuda":
        import torch

        return float(torch.cuda.mem_get_info(device)[0])
    limits = [_of_machine()]
    most, used = GROUP / "memory.max", GROUP / "memory.current"
    if most.is_file() and used.is_file() and most.read_text().strip() != "max":
        limits.append(float(most.read_text()) - float(used.read_text()))
    return max(0.0, min(limits))


def _of_machine() -> float:
    lines = MEMINFO.read_text(encoding="utf-8").splitlines() if MEMINFO.is_file() else []
    kilobytes = next((line.split()[1] for line in lines if line.startswith("MemAvailable:")), None)
    if kilobytes is not None:
        return float(kilobytes) * 1024
    return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
