"""Blind restoration of a JPEG-compressed picture: after few, enough and far too many steps (CVPR 2018, Fig. 3)."""

from typing import TYPE_CHECKING

from dip_exp.figures.pictures import Column, picture_row
from dip_exp.tables import Tables

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "fig3_jpeg"


def draw(tables: Tables) -> "Figure":
    """Returns corrupted, iterates, result and overfitted picture, left to right."""
    short, long = ("2400", "50000") if tables.scale == "paper" else ("2400", "6000")
    columns = [
        Column("truth", "truth"),
        Column("observation", "corrupted (JPEG)"),
        Column("step100", "100 steps", {"optim.steps": short}),
        Column("last", "{steps} steps", {"optim.steps": short}),
        Column("stopped", "average of them", {"optim.steps": short}),
        Column("last", "{steps} steps: too many", {"optim.steps": long}),
    ]
    if tables.scale == "paper":  # the snail is an observation: there is no truth
        columns = columns[1:]
    return picture_row(tables, NAME, "Blind restoration of a JPEG-compressed picture", columns)
