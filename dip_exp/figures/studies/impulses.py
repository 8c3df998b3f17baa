"""Salt and pepper: the network on the values that were not replaced, beside the switching median of the same values.

Not of the paper.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts import rows
from dip_exp.figures.parts.score_table import Table

if TYPE_CHECKING:
    from pandas import DataFrame, Series

NAME = "impulses"

HEADINGS = ("replaced", "pictures", "noisy", "switching median", "network", "above the median", "least")


def table(tables: Tables) -> Table:
    """Returns one row per amount of noise: PSNR in dB of the observation, the median and the network."""
    import pandas as pd

    found = tables.of(NAME)
    amounts = sorted(set(found["set.task.amount"]), key=float) if len(found) else []
    lines = [_line(rows.picked(found, {"task.amount": amount}), amount) for amount in amounts]
    notes = (
        "PSNR in dB, mean over pictures. Network: its running average at the last step, with the values that were not "
        "replaced put back. Above the median: mean ± standard deviation over pictures; least: on the worst picture.",
        rows.footnote(tables, NAME, lines),
    )
    return Table("Salt and pepper", pd.DataFrame(lines, columns=list(HEADINGS)), notes)


def _line(found: DataFrame, amount: str) -> dict[str, str]:
    noisy, median, network = (_of_kind(found, kind) for kind in ("observation", "baseline", "pasted"))
    above = network - median
    gained = rows.spread(above)
    cells = (
        *(f"{float(amount):.0%}", f"{gained.count}"),
        *(f"{scores.mean():.2f}" for scores in (noisy, median, network)),
        *(f"{gained.mean:+.2f} ± {gained.deviation:.2f}", f"{above.min():+.2f}"),
    )
    return dict(zip(HEADINGS, cells, strict=True))


def _of_kind(found: DataFrame, kind: str) -> Series:
    return found[found.kind == kind].groupby("set.image").psnr.mean()
