"""What numbers a fit computes in: what was asked for, and what this machine's processor has units for. No torch."""

from functools import cache
from pathlib import Path
from typing import Any

UNITS = {"amx_bf16": "AMX", "avx512_bf16": "AVX-512 BF16"}
"""What Linux calls units for products of bfloat16 numbers, and what people call them; the faster first."""

AUTO = "auto"


@cache
def units() -> tuple[str, ...]:
    """Returns the units for bfloat16 that this processor has, by people's names; none where that cannot be told."""
    listing = Path("/proc/cpuinfo")
    if not listing.exists():
        return ()
    lines = listing.read_text(errors="replace").splitlines()
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
    return tuple(name for flag, name in UNITS.items() if flag in flags)


def chosen(config: dict[str, Any]) -> str:
    """Returns the precision that resolved settings ask for; `auto` is decided here, so that no identity holds it.

    auto: bf16 for a network that has a half-precision step of its own (`dip_exp.archs.fast`), on a CPU with units for
    it, and fp32 otherwise.
    """
    asked = config["precision"]
    if asked != AUTO:
        return asked
    has_own_step = str(config["arch"]["_target_"]).endswith(".Skip")
    return "bf16" if has_own_step and units() and not _on_gpu(config["trainer"]["accelerator"]) else "fp32"


def _on_gpu(accelerator: str) -> bool:
    if accelerator == "cpu":
        return False
    import torch  # asked for only where `auto` is

    return torch.cuda.is_available()


def remark(precision: str, device: str) -> str | None:
    """Returns what is to be said of a precision before the first step on a device ("cpu", "cuda"); mostly nothing."""
    if precision == "bf16" and device == "cpu" and not units():
        return "this processor has no units for bfloat16: precision=bf16 is slower here than precision=fp32"
    return None
