"""Classical restorers beside the network on the same observations: where it wins, and where it loses.

Not of the paper. The network's picture is the one that the rule `emv` chose, without the truth; a restorer's parameters
follow from the noise by one stated rule, and those that are told the noise level are told the true one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts import labels, rows
from dip_exp.figures.parts.score_table import Table

if TYPE_CHECKING:
    from pandas import DataFrame, Series

NAME = "restorers"

TASKS = labels.of_tasks(
    *("denoise_s15", "denoise", "denoise_s50", "denoise_poisson", "denoise_impulse_squared", "denoise_speckle", "jpeg"),
    *("inpaint", "inpaint_text", "inpaint_region", "superres", "flash"),
)

OURS = "stopped_emv"

HEADINGS = ("task", "pictures", "network", "peak (oracle)", "classical restorers", "above the best", "wins")


class Compared(NamedTuple):
    """A task's scores in dB by picture, over the pictures that all methods have run on. classical: {restorer: scores},
    sorted by falling mean."""

    network: Series
    peak: Series
    classical: dict[str, Series]

    @property
    def above(self) -> Series:
        """The network's dB minus those of the restorer that is best on average, by picture."""
        return self.network - next(iter(self.classical.values()))


def compared(tables: Tables, task: str) -> Compared | None:
    """Returns the comparison of a task, or None if no picture has runs of all methods."""
    import pandas as pd

    found = rows.picked(tables.of(NAME), {"task": task})
    if not len(found):
        return None
    # Known pixels are pasted into every inpainted picture, so only the missing pixels are compared.
    found = found.assign(score=found.psnr_missing.fillna(found.psnr))
    classical = found[found.kind.str.startswith("baseline")].dropna(subset=["score"])
    each = {str(name): _by_picture(own) for name, own in classical.groupby("baseline")}
    ours = {kind: _by_picture(found[found.kind == kind]) for kind in (OURS, "peak_average")}
    shared: DataFrame = pd.concat({**ours, **each}, axis=1, join="inner")
    if not len(shared):
        return None
    order = sorted(each, key=lambda name: -float(shared[name].mean()))
    return Compared(shared[OURS], shared["peak_average"], {name: shared[name] for name in order})


def _by_picture(found: DataFrame) -> Series:
    """Returns the mean score of each picture over the network's seeds. A restorer's score is the same for every
    seed."""
    return found.groupby("set.image").score.mean()


def table(tables: Tables) -> Table:
    """Returns one row per task: the network, its peak, every classical restorer, and the network's gain over the best
    of them."""
    import pandas as pd

    lines = [
        dict(zip(HEADINGS, (label, *_cells(found)), strict=True))
        for task, label in TASKS.items()
        if (found := compared(tables, task)) is not None
    ]
    notes = (
        "PSNR in dB, mean over pictures (of several seeds, over each picture's mean). Network: the running average at "
        "the step that emv chose. Peak: at its best step, which is chosen with the truth (an oracle). Inpainting: of "
        "the missing pixels, for what is known is pasted into every picture.",
        "Above the best: the network less the restorer that is best on all pictures together, mean ± standard "
        "deviation over pictures. Wins: on how many pictures it is above it.",
        rows.footnote(tables, NAME, lines),
    )
    return Table("Classical restorers", pd.DataFrame(lines, columns=list(HEADINGS)), notes)


def _cells(found: Compared) -> tuple[str, ...]:
    above = rows.spread(found.above)
    return (
        f"{len(found.network)}",
        f"{found.network.mean():.2f}",
        f"{found.peak.mean():.2f}",
        ", ".join(f"{name} {values.mean():.2f}" for name, values in found.classical.items()),
        f"{above.mean:+.2f} ± {above.deviation:.2f}",
        f"{int((found.above > 0).sum())} of {above.count}",
    )
