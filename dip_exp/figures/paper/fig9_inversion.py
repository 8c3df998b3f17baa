"""Natural pre-images: what the layers of a classifier keep of a picture, by two priors (CVPR 2018, Fig. 9)."""

from typing import TYPE_CHECKING

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts import labels
from dip_exp.figures.parts.grids import Cell, grid, swept

if TYPE_CHECKING:
    from dip_exp.figures.parts.pictures import Drawn

NAME = "fig9_inversion"

PRIORS = {"invert/network": "deep prior", "invert/pixels_tv": "total variation"}


def draw(tables: Tables) -> "Drawn":
    """Returns a grid: one row per prior, one column per layer from shallow to deep; the picture itself comes first."""
    layers = swept(tables, NAME, "task.layer")
    cells: list[Cell | None] = []
    for variant, name in PRIORS.items():
        first = {"variant": "invert/network", "task.layer": layers[0]} if layers else {}
        cells.append(Cell("picture", first, "observation") if not cells else None)
        cells += [Cell(layer, {"variant": variant, "task.layer": layer}, "last", name) for layer in layers]
    title = f"What the layers keep of a picture ({labels.net('AlexNet', tables.scale)})"
    return grid(tables, NAME, title, cells, len(layers) + 1)
