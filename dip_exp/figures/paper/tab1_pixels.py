"""Half of the pixels missing (CVPR 2018, Table 1; Fig. 7 bottom)."""

from typing import TYPE_CHECKING

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts.pictures import Column, picture_row
from dip_exp.figures.parts.score_table import Block, Table, score_table

if TYPE_CHECKING:
    from dip_exp.figures.parts.pictures import Drawn

NAME = "tab1_pixels"


def table(tables: Tables) -> Table:
    """Returns the PSNR over the whole picture, without and with the known pixels pasted back."""
    ours = {"biharmonic": "baseline", "last": "last", "average": "stopped", "average, pasted": "pasted"}
    theirs = {"Papyan et al.*": "papyan", "deep prior*": "deep_prior"} if tables.scale == "paper" else {}
    measure = ("last", "deep prior*") if theirs else None
    notes = (
        "PSNR in dB, whole picture, ± standard deviation over seeds; biharmonic interpolation keeps the known pixels, "
        "so that it compares with the pasted column.",
        "* Scored from the pictures the authors published."
        if theirs
        else "The paper's means over eleven pictures, last iterate, nothing pasted: 33.48; Papyan et al. 31.19.",
    )
    return score_table(
        tables, NAME, "Half of the pixels missing", [Block("50 %", "inpaint50", {}, ours, theirs, measure)], notes
    )


def draw(tables: Tables) -> "Drawn":
    """Returns truth, known pixels, result and biharmonic interpolation of the first picture, left to right."""
    columns = [
        Column("truth", "truth"),
        Column("observation", "half of the pixels"),
        Column("last", "deep prior, last"),
        Column("stopped", "deep prior, average"),
        Column("baseline", "{baseline}"),
    ]
    return picture_row(tables, NAME, "Half of the pixels missing", columns)
