"""How near to its best average a fit ends on pictures of other sizes than the paper's, by noise and size.

Not of the paper. The run is told neither the noise's kind nor its level. The best average of a run is chosen with the
truth (an oracle).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts import labels, rows
from dip_exp.figures.parts.score_table import Table

if TYPE_CHECKING:
    from pandas import DataFrame, Series

NAME = "own_pictures"

TASKS = labels.of_tasks("denoise_s15", "denoise", "denoise_s50", "denoise_poisson", "denoise_speckle", "jpeg")
MEAN, WORST = 0.4, 1.0
"""Limits in dB: of the mean gap to the best average of the same run, and of a single run's."""

ENDING = ("gap", "worst", "step", "ended", "outside the limits")
"""The columns that say how near to its best average a run ended."""

HEADINGS = ("noise", "optimizer", "size", "runs", "noisy", "result", *ENDING)


def table(tables: Tables) -> Table:
    """Returns one row per noise, optimizer and size: the result's PSNR in dB, and its gap to the best average."""
    import pandas as pd

    found = tables.of(NAME)
    lines, gaps = [], []
    for task, label in TASKS.items():
        own = rows.picked(found, {"task": task})
        for (optim, variant), cell in own.groupby(["set.optim", "set.variant"], sort=False) if len(own) else ():
            written, gap = line(cell)
            lines.append({"noise": label, "optimizer": optim, "size": str(variant).partition("/")[2], **written})
            gaps.append(gap)
    notes = (
        "PSNR in dB. Gap: of the result (the average at the step that the rule chose) to the best average of the same "
        "run, which is chosen with the truth (an oracle). Ended: runs that the rule ended before their last step.",
        *verdict(gaps),
        rows.footnote(tables, NAME, lines),
    )
    return Table("Pictures of one's own", pd.DataFrame(lines, columns=list(HEADINGS)), notes)


def line(cell: DataFrame) -> tuple[dict[str, str], Series]:
    """Returns the columns that say how the runs of a cell ended, and each run's gap to its best average in dB."""
    by_kind = {kind: of_kind(cell, kind) for kind in ("observation", "stopped", "peak_average")}
    gap = by_kind["peak_average"].psnr - by_kind["stopped"].psnr
    below = by_kind["stopped"].psnr < by_kind["observation"].psnr
    outside = [f"{image}: {gap[image, seed]:.2f}" for image, seed in gap.index[(gap > WORST) | below]]
    stopped = by_kind["stopped"]
    ended = ~stopped.stop_reason.str.startswith("optim.steps")
    return {
        "runs": f"{len(gap)}",
        "noisy": f"{by_kind['observation'].psnr.mean():.2f}",
        "result": f"{stopped.psnr.mean():.2f}",
        "gap": f"{gap.mean():.2f}",
        "worst": f"{gap.max():.2f}",
        "step": f"{stopped.step.mean():.0f}",
        "ended": f"{int(ended.sum())}",
        "outside the limits": ", ".join(outside) or "–",
    }, gap


def verdict(gaps: list[Series]) -> tuple[str, ...]:
    """Returns a sentence about the gaps of all runs."""
    if not gaps:
        return ()
    every = np.concatenate([np.asarray(gap, dtype=float) for gap in gaps])
    return (
        f"All {len(every)} runs: mean gap {every.mean():.2f} dB (limit {MEAN}), worst {every.max():.2f} dB (limit "
        f"{WORST}); {int((every > WORST).sum())} beyond it.",
    )


def of_kind(cell: DataFrame, kind: str) -> DataFrame:
    """Returns the rows of one output kind by picture and seed."""
    return cell[cell.kind == kind].set_index(["set.image", "seeds"])
