"""A picture from two per cent of its pixels (CVPR 2018, supplement, Fig. 14)."""

from typing import TYPE_CHECKING

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts.pictures import Column, picture_row

if TYPE_CHECKING:
    from dip_exp.figures.parts.pictures import Drawn

NAME = "supp14_sparse"


def draw(tables: Tables) -> "Drawn":
    """Returns truth, known pixels, result and biharmonic interpolation, left to right."""
    columns = [
        Column("truth", "truth"),
        Column("observation", "2 % of the pixels"),
        Column("stopped", "deep prior"),
        Column("baseline", "{baseline}"),
    ]
    return picture_row(tables, NAME, "A picture from two per cent of its pixels", columns, zoom=None)
