"""The effect of the prior: one loss over pixels, pixels with total variation, and weights (IJCV 2020, Fig. 10)."""

from typing import TYPE_CHECKING

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts.pictures import Column, picture_row

if TYPE_CHECKING:
    from dip_exp.figures.parts.pictures import Drawn

NAME = "supp_prior"


def draw(tables: Tables) -> "Drawn":
    """Returns truth, bicubic interpolation and the three results, left to right."""
    columns = [
        Column("truth", "truth"),
        Column("baseline", "{baseline}"),
        Column("last", "no prior (pixels)", {"variant": "prior/pixels"}),
        Column("last", "total variation", {"variant": "prior/pixels_tv"}),
        Column("last", "deep prior", {"variant": "prior/network"}),
    ]
    return picture_row(tables, NAME, "The effect of the prior: super-resolution by 4, one loss", columns)
