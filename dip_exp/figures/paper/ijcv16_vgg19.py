"""Natural pre-images of VGG-19's layers (IJCV 2020, Fig. 16)."""

from typing import TYPE_CHECKING

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts import labels
from dip_exp.figures.parts.grids import Cell, grid, swept

if TYPE_CHECKING:
    from dip_exp.figures.parts.pictures import Drawn

NAME = "ijcv16_vgg19"


def draw(tables: Tables) -> "Drawn":
    """Returns the picture, then one pre-image per layer, from shallow to deep."""
    layers = swept(tables, NAME, "task.layer")
    cells = [Cell(layer, {"task.layer": layer}, "last", "deep prior") for layer in layers]
    first = [Cell("picture", {"task.layer": layers[0]}, "observation")] if layers else []
    title = f"What the layers keep of a picture ({labels.net('VGG-19', tables.scale)})"
    return grid(tables, NAME, title, [*first, *cells], min(len(layers) + 1, 7))
