"""Text taken off a picture (CVPR 2018, Fig. 7 top)."""

from typing import TYPE_CHECKING

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts.pictures import Column, picture_row

if TYPE_CHECKING:
    from dip_exp.figures.parts.pictures import Drawn

NAME = "fig7_text"


def draw(tables: Tables) -> "Drawn":
    """Returns truth, damaged picture, result and biharmonic interpolation, left to right."""
    columns = [
        Column("truth", "truth"),
        Column("observation", "damaged"),
        Column("stopped", "deep prior"),
        Column("baseline", "{baseline}"),
    ]
    more = "scores: PSNR over the missing pixels alone; nothing is pasted into the pictures"
    return picture_row(
        tables, NAME, "Text taken off a picture", columns, score="psnr_missing", zoom="difference", more=more
    )
