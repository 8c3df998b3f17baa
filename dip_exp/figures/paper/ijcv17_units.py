"""Pictures that excite a channel of a convolutional layer (IJCV 2020, Fig. 17)."""

from typing import TYPE_CHECKING

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts import labels
from dip_exp.figures.parts.grids import Cell, grid, swept

if TYPE_CHECKING:
    from dip_exp.figures.parts.pictures import Drawn

NAME = "ijcv17_units"


def draw(tables: Tables) -> "Drawn":
    """Returns one picture per channel, layer after layer."""
    layers, units = swept(tables, NAME, "task.layer"), swept(tables, NAME, "task.unit")
    cells = [
        Cell(layer, {"task.layer": layer, "task.unit": unit}, "last", f"channel {unit}")
        for layer in layers
        for unit in units
    ]
    return grid(
        tables,
        NAME,
        f"Pictures that excite a channel ({labels.net('AlexNet', tables.scale)})",
        cells,
        min(len(cells), 6) or 1,
    )
