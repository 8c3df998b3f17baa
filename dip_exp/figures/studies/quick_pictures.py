"""How far `preset=quick` gets above the classical restoration that it begins at, by noise and size.

Not of the paper. The run is told neither the noise's kind nor its level. The best average of a run is chosen with the
truth (an oracle).
"""

from __future__ import annotations

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts import rows
from dip_exp.figures.parts.score_table import Table
from dip_exp.figures.studies.own_pictures import ENDING, TASKS, line, of_kind, verdict

NAME = "quick_pictures"

HEADINGS = ("noise", "size", "runs", "noisy", "classical", "result", "gain", "least", *ENDING)


def table(tables: Tables) -> Table:
    """Returns one row per noise and size: the PSNR in dB of the start and of the result, and its gap to the best."""
    import pandas as pd

    found = tables.of(NAME)
    lines, gaps, gains = [], [], []
    for task, label in TASKS.items():
        own = rows.picked(found, {"task": task})
        for variant, cell in own.groupby("set.variant", sort=False) if len(own) else ():
            written, gap = line(cell)
            classical = of_kind(cell, "baseline").psnr
            gain = of_kind(cell, "stopped").psnr - classical
            written |= {
                "classical": f"{classical.mean():.2f}",
                "gain": f"{gain.mean():+.2f}",
                "least": f"{gain.min():+.2f}",
            }
            lines.append({"noise": label, "size": str(variant).partition("/")[2], **written})
            gaps.append(gap)
            gains += list(gain)
    notes = (
        "PSNR in dB. Classical: the same method as made z, but told the noise level where it can use it. Gain: of the "
        "result (the average at the step that the rule chose) over that; least: of the run that gained least. Gap: to "
        "the best average of the same run, which is chosen with the truth (an oracle); worst: of one run. Ended: runs "
        "that the rule ended before their last step.",
        *((f"{sum(one > 0 for one in gains)} of {len(gains)} runs are above the classical method.",) if gains else ()),
        *verdict(gaps),
        rows.footnote(tables, NAME, lines),
    )
    return Table("preset=quick on pictures of one's own", pd.DataFrame(lines, columns=list(HEADINGS)), notes)
