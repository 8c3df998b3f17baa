"""What the benchmarks share: the environment of a process, the machine's name, how a table is written."""

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
    """Returns the processor's name and what it can do."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    units = [torch.backends.cpu.get_cpu_capability(), *precision.units()]
    return f"{provenance.processor()}, {', '.join(units)}"


def environment(threads: int) -> dict[str, str]:
    """Returns that of a process with so many threads, which finds this checkout."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(threads)}


def write_table(path: Path, columns: Sequence[str], rows: list[dict[str, Any]]) -> None:
    """Writes a benchmark's rows as CSV; a column that a row lacks stays empty."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
