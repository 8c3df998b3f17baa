"""Several z for one hole: how far the completions differ (IJCV 2020, Fig. 13)."""

from typing import TYPE_CHECKING

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts.grids import swept
from dip_exp.figures.parts.pictures import Column, picture_row

if TYPE_CHECKING:
    from dip_exp.figures.parts.pictures import Drawn

NAME = "ijcv13_diversity"


def draw(tables: Tables) -> "Drawn":
    """Returns the damaged picture, then one completion per z."""
    inputs = swept(tables, NAME, "input.seed")
    columns = [Column("observation", "damaged")]
    columns += [Column("stopped", f"z {int(seed) + 1}", {"input.seed": seed}) for seed in inputs]
    more = "the same network at the start, z drawn anew; score: over the missing pixels"
    return picture_row(tables, NAME, "One hole, several z", columns, score="psnr_missing", zoom="difference", more=more)
