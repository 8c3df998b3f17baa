"""Flash and no-flash picture merged (CVPR 2018, Fig. 10)."""

from typing import TYPE_CHECKING

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts.pictures import Column, picture_row

if TYPE_CHECKING:
    from dip_exp.figures.parts.pictures import Drawn

NAME = "fig10_flash"


def draw(tables: Tables) -> "Drawn":
    """Returns flash, no-flash, joint bilateral filter and deep prior, left to right."""
    columns = [
        Column("guide", "flash"),
        Column("observation", "no flash"),
        Column("baseline", "{baseline}"),
        Column("last", "deep prior"),
    ]
    if tables.scale == "mini":
        columns.insert(2, Column("truth", "no flash, no noise"))
    pair = "" if tables.scale == "paper" else "; a synthetic pair, made of one picture"
    return picture_row(tables, NAME, f"Flash and no-flash{pair}", columns)
