"""Blind denoising beside a classical restorer (CVPR 2018, Fig. 4)."""

from typing import TYPE_CHECKING

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts.pictures import Column, picture_row

if TYPE_CHECKING:
    from dip_exp.figures.parts.pictures import Drawn

NAME = "fig4_denoise"


def draw(tables: Tables) -> "Drawn":
    """Returns truth, input, last iterate, running average, baseline, left to right."""
    columns = [
        Column("truth", "truth"),
        Column("observation", "input, σ = 25"),
        Column("last", "deep prior, last"),
        Column("average", "deep prior, average"),
        Column("baseline", "{baseline}"),
    ]
    return picture_row(tables, NAME, "Blind denoising", columns)
