"""A picture for every class of a classifier (after the authors' poster)."""

from typing import TYPE_CHECKING

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts import labels
from dip_exp.figures.parts.grids import Cell, grid, swept

if TYPE_CHECKING:
    from dip_exp.figures.parts.pictures import Drawn

NAME = "classes1000"


def draw(tables: Tables) -> "Drawn":
    """Returns the finished classes, in order, at most a hundred."""
    found = tables.of(NAME)
    done = set(found["set.task.unit"]) if len(found) else set()
    classes = [name for name in swept(tables, NAME, "task.unit") if name in done][:100]
    cells = [Cell(name, {"task.unit": name}, "last") for name in classes]
    return grid(
        tables,
        NAME,
        f"A picture for every class ({labels.net('VGG-16', tables.scale)})",
        cells,
        min(len(cells), 10) or 1,
    )
