"""Chooses the floating-point precision of a fit from the setting and the processor's units. No torch."""

from functools import cache
from pathlib import Path

from dip_exp.component import Settings

UNITS = {"amx_bf16": "AMX", "avx512_bf16": "AVX-512 BF16"}
"""Units for bfloat16 products: Linux's CPU flag and the common name, fastest first."""

AUTO = "auto"


@cache
def units() -> tuple[str, ...]:
    """Returns the common names of this processor's bfloat16 units; () if there are none or it cannot be determined."""
    listing = Path("/proc/cpuinfo")
    if not listing.exists():
        return ()
    lines = listing.read_text(errors="replace").splitlines()
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
    return tuple(name for flag, name in UNITS.items() if flag in flags)


def chosen(config: Settings) -> str:
    """Returns the precision that resolved settings ask for. `auto` is decided here, so that no identity contains it.

    auto: bf16 for a network with its own half-precision step (`dip_exp.archs.fast`) on a CPU with bfloat16 units, else
    fp32. Never bf16 under `optim=muon`, see `remark`.
    """
    asked = config["precision"]
    if asked != AUTO:
        return asked
    has_own_step = str(config["arch"]["_target_"]).endswith(".Skip")
    allowed = has_own_step and not _is_muon(config)
    return "bf16" if allowed and units() and not _on_gpu(config["trainer"]["accelerator"]) else "fp32"


def _is_muon(config: Settings) -> bool:
    return str(config["optim"]["_target_"]).endswith(".Muon")


def _on_gpu(accelerator: str) -> bool:
    if accelerator == "cpu":
        return False
    import torch  # imported only for `auto`

    return torch.cuda.is_available()


def remark(config: Settings, device: str) -> str | None:
    """Returns a remark about the precision on a device ("cpu", "cuda"), printed before the first step; usually None."""
    precision = config["precision"]
    if precision == "bf16" and _is_muon(config):
        # A step of Muon has the same size however small the gradient is, so the rounding of bf16 is never averaged out.
        return "under optim=muon, a fit in bf16 stays far above its loss in fp32, and may diverge: use precision=fp32"
    if precision == "bf16" and device == "cpu" and not units():
        return "this processor has no units for bfloat16: precision=bf16 is slower here than precision=fp32"
    return None
