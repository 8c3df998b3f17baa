"""Super-resolution by 4 beside bicubic interpolation (CVPR 2018, Figs. 1 and 5)."""

from typing import TYPE_CHECKING

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts.pictures import Column, picture_row

if TYPE_CHECKING:
    from dip_exp.figures.parts.pictures import Drawn

NAME = "fig5_superres"


def draw(tables: Tables) -> "Drawn":
    """Returns truth, bicubic, last iterate, running average, left to right."""
    columns = [
        Column("truth", "truth"),
        Column("baseline", "{baseline}"),
        Column("last", "deep prior, last"),
        Column("stopped", "deep prior, average"),
    ]
    return picture_row(tables, NAME, "Super-resolution by 4", columns)
