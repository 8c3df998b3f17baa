"""When to stop where the noise is Gaussian and its level known: SURE beside the passive rules."""

from dip_exp.figures import stopping
from dip_exp.figures.scored import Table
from dip_exp.tables import Tables

NAME = "stopping_sure"


def table(tables: Tables) -> Table:
    """Returns the columns of `stopping`, with the rows of SURE."""
    return stopping.compared(tables, NAME, "When to stop, SURE")
