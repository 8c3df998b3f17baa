"""Shared parts of the benchmarks: a process's environment, the machine's name, and writing tables."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from dip_exp import provenance
from dip_exp.config import precision

ROOT = Path(__file__).resolve().parents[2]


def machine() -> str:
    """Returns the name of the GPU, or of the CPU with its vector and bfloat16 units."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    units = [torch.backends.cpu.get_cpu_capability(), *precision.units()]
    return f"{provenance.processor()}, {', '.join(units)}"


def environment(threads: int) -> dict[str, str]:
    """Returns the environment of a process with this number of threads, with this checkout on its path."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(threads)}


def write_table(path: Path, columns: Sequence[str], rows: list[dict[str, Any]]) -> None:
    """Writes a benchmark's rows as CSV. Missing values stay empty."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def put_block(page: Path, begin: str, end: str, text: str) -> None:
    """Replaces what stands between two markers of a page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    page.write_text(f"{before}{begin}\n{text}\n{end}{rest.partition(end)[2]}", encoding="utf-8")
