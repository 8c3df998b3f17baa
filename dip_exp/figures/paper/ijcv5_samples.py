"""Samples from the prior: outputs of networks that nobody fitted (IJCV 2020, Fig. 5)."""

from typing import TYPE_CHECKING

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts.grids import Cell, grid

if TYPE_CHECKING:
    from dip_exp.figures.parts.pictures import Drawn

NAME = "ijcv5_samples"

NETWORKS = {
    "hourglass1": "Hourglass-1",
    "hourglass3": "Hourglass-3",
    "hourglass5": "Hourglass-5",
    "skip": "with skips",
    "skip_nearest": "skips, nearest",
}


def draw(tables: Tables) -> "Drawn":
    """Returns a grid: one column per network, one row per draw of its weights. z is the same everywhere."""
    cells = [
        Cell(title, {"variant": f"samples/{name}", "seed": str(seed)}, note=f"θ {seed + 1}")
        for seed in range(2)
        for name, title in NETWORKS.items()
    ]
    title = "Samples from the prior: $f_θ(z)$ for random θ, the same z"
    return grid(tables, NAME, title, cells, len(NETWORKS), "contrast as it is: nothing is stretched")
