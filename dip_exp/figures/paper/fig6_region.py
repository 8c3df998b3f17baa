"""A large hole filled with two step sizes (CVPR 2018, Fig. 6)."""

from typing import TYPE_CHECKING

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts.pictures import Column, picture_row

if TYPE_CHECKING:
    from dip_exp.figures.parts.pictures import Drawn

NAME = "fig6_region"


def draw(tables: Tables) -> "Drawn":
    """Returns truth, damaged picture, the two step sizes and biharmonic interpolation, left to right."""
    columns = [
        Column("truth", "truth"),
        Column("observation", "damaged"),
        Column("stopped", "deep prior, lr 0.01", {"optim.lr": "0.01"}),
        Column("stopped", "deep prior, lr 0.0001", {"optim.lr": "0.0001"}),
        Column("baseline", "{baseline}"),
    ]
    more = "scores: PSNR over the missing pixels alone; nothing is pasted into the pictures"
    title = "A large hole: the step size matters"
    return picture_row(tables, NAME, title, columns, score="psnr_missing", zoom=None, more=more)
