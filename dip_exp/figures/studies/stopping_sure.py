"""When to stop where the noise is Gaussian and its level known: SURE beside the passive rules."""

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts.score_table import Table
from dip_exp.figures.studies import stopping

NAME = "stopping_sure"


def table(tables: Tables) -> Table:
    """Returns the columns of `stopping`, with the rows of SURE."""
    return stopping.compared(tables, NAME, "When to stop, SURE")
