"""Half precision beside float32: the same fits, picture by picture and seed by seed.

Not of the paper. bf16 stores the maps of a network as bfloat16; weights, sums, the last convolution, loss and operator
stay float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts import labels, rows
from dip_exp.figures.parts.checks import Check
from dip_exp.figures.parts.score_table import Table

if TYPE_CHECKING:
    from pandas import DataFrame, Series

NAME = "half_precision"

TASKS = labels.of_tasks()
HEADINGS = (
    *("task", "fits", "last, fp32", "bf16 less fp32", "average, fp32", "bf16 less fp32 "),
    *("peak (oracle), fp32", "bf16 less fp32  ", "step of the peak, bf16 to fp32"),
)
WITHIN_DB, WITHIN_STEPS = 0.1, 0.05


def table(tables: Tables) -> Table:
    """Returns one row per task: PSNR in dB under float32, differences at the same picture and seed, and ratios of the
    steps of the peaks."""
    import pandas as pd

    lines = []
    for task, said in TASKS.items():
        full, half = _fits(tables, task)
        if not len(half):
            continue
        cells = [said, f"{half.index.nunique()}"]
        for kind in ("last", "average", "peak_average"):
            before, after = (_kind(frame, kind) for frame in (full, half))
            gap = rows.spread(after.psnr - before.psnr)
            cells += [str(rows.spread(before.psnr[after.index])), f"{gap.mean:+.2f} ± {gap.deviation:.2f}"]
        ratio = rows.spread(_peaks(full, half))
        lines.append([*cells, f"{ratio.mean:.3f} ± {ratio.deviation:.3f}"])
    notes = (
        "PSNR in dB, mean ± standard deviation over pictures and seeds; differences and ratios are taken at one "
        "picture and seed. Peak: the best step of the running average, which is chosen with the truth (an oracle).",
        rows.footnote(tables, NAME, lines),
    )
    return Table("Half precision", pd.DataFrame(lines, columns=list(HEADINGS)), notes)


def checks(tables: Tables) -> list[Check]:
    """Returns whether half precision is acceptable: mean differences within 0.1 dB, and within 5 % in the peak's
    step."""
    found = []
    for task, said in TASKS.items():
        full, half = _fits(tables, task)
        if not len(half):
            continue
        for kind in ("last", "average"):
            gap = float((_kind(half, kind).psnr - _kind(full, kind).psnr).mean())
            found.append(Check(f"{said}: {kind} within {WITHIN_DB} dB", abs(gap) <= WITHIN_DB, f"{gap:+.3f} dB"))
        ratio = float(_peaks(full, half).mean())
        name = f"{said}: the peak's step within {WITHIN_STEPS:.0%}"
        found.append(Check(name, abs(ratio - 1) <= WITHIN_STEPS, f"{ratio:.3f} of float32's"))
    return found


def _fits(tables: Tables, task: str) -> tuple[DataFrame, DataFrame]:
    """Returns the rows under float32 and under bfloat16 of the fits that have run under both."""
    found = tables.of(NAME)
    full, half = (
        rows.picked(found, {"task": task, "precision": name}).set_index(["set.image", "seeds"])
        for name in ("fp32", "bf16")
    )
    both = full.index.intersection(half.index).unique()
    return full[full.index.isin(both)], half[half.index.isin(both)]


def _kind(frame: DataFrame, kind: str) -> DataFrame:
    return frame[frame.kind == kind]


def _peaks(full: DataFrame, half: DataFrame) -> Series:
    before, after = (_kind(frame, "peak_average").step for frame in (full, half))
    return after / before
