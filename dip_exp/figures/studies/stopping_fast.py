"""When to stop under orthogonalised momentum: the same rules, whose memory follows that of the average."""

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts.score_table import Table
from dip_exp.figures.studies import stopping

NAME = "stopping_fast"


def table(tables: Tables) -> Table:
    """Returns the columns of `stopping`, with shares of a third of its steps."""
    return stopping.compared(tables, NAME, "When to stop, under orthogonalised momentum")
