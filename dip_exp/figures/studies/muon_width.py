"""Orthogonalised momentum beside Adam on networks of the paper's width: is a narrow network's gain a wide one's?"""

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts.score_table import Table
from dip_exp.figures.studies import muon

NAME = "muon_width"


def table(tables: Tables) -> Table:
    """Returns the columns of the study `muon` for two of its tasks, at 128 channels."""
    return muon.compared(tables, NAME, "Adam and orthogonalised momentum, 128 channels wide")
