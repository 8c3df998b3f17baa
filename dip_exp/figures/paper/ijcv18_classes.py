"""Pictures that a classifier takes for a class, by two priors (IJCV 2020, Fig. 18)."""

from typing import TYPE_CHECKING

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts import labels
from dip_exp.figures.parts.grids import Cell, grid, swept

if TYPE_CHECKING:
    from dip_exp.figures.parts.pictures import Drawn

NAME = "ijcv18_classes"

PRIORS = {"maximize/network": "deep prior", "maximize/pixels_tv": "total variation"}


def draw(tables: Tables) -> "Drawn":
    """Returns a grid: one row per prior, one column per class."""
    classes = swept(tables, NAME, "task.unit")
    cells = [
        Cell(name, {"variant": variant, "task.unit": name}, "last", prior)
        for variant, prior in PRIORS.items()
        for name in classes
    ]
    return grid(
        tables, NAME, f"Pictures that excite a class ({labels.net('VGG-16', tables.scale)})", cells, len(classes) or 1
    )
