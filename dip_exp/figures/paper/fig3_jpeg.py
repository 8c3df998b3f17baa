"""Blind restoration of a JPEG-compressed picture: after few, enough and far too many steps (CVPR 2018, Fig. 3)."""

from typing import TYPE_CHECKING

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts.pictures import Column, picture_row

if TYPE_CHECKING:
    from dip_exp.figures.parts.pictures import Drawn

NAME = "fig3_jpeg"


def draw(tables: Tables) -> "Drawn":
    """Returns corrupted, iterates, result and overfitted picture, left to right."""
    if tables.scale == "paper":  # the snail is an observation without a truth
        short, long = {"optim.steps": "2400"}, {"optim.steps": "50000"}
        columns = [
            Column("observation", "corrupted (JPEG)"),
            Column("step100", "100 steps", short),
            Column("last", "{steps} steps", short),
            Column("stopped", "average of them", short),
            Column("last", "{steps} steps: too many", long),
        ]
    else:  # one run: its first steps equal those of a shorter run
        columns = [
            Column("truth", "truth"),
            Column("observation", "corrupted (JPEG)"),
            Column("step100", "100 steps"),
            Column("step2000", "2,000 steps"),
            Column("last", "{steps} steps"),  # the miniature is too short to overfit
        ]
    more = "PSNR of the fit to the JPEG itself: there is no truth" if tables.scale == "paper" else ""
    return picture_row(tables, NAME, "Blind restoration of a JPEG-compressed picture", columns, more=more)
