"""Enhancement: coarse pictures of early-stopped fits, and what they lack added once more (IJCV 2020, Fig. 19)."""

from typing import TYPE_CHECKING

import numpy as np

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts import rows
from dip_exp.figures.parts.pictures import why_absent
from dip_exp.figures.parts.strip import Panel, strip

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "ijcv19_enhance"

TITLE = "Enhancement: coarse above, boosted (the picture and its detail once more) below"
STEPS = {"paper": (100, 500, 1000, 2000), "mini": (50, 100, 200, 500)}


def draw(tables: Tables) -> "Figure":
    """Returns the picture and one column per stopping step: coarse above boosted, x0 + (x0 - coarse)."""
    found = tables.of(NAME)
    run_id, image = found.run_id.iloc[0], found.image.iloc[0]
    x0 = tables.panel(run_id, "observation")
    coarse = {step: tables.panel(run_id, f"step{step}") for step in STEPS[tables.scale]}
    absent = why_absent(tables, image)
    above = [Panel("picture", " ", x0, absent)]
    below = [Panel(" ", " ", None)]
    for step, picture in coarse.items():
        boosted = None if picture is None or x0 is None else np.clip(2 * x0 - picture, 0, 1)
        above.append(Panel(f"{step:,} steps", "coarse", picture, absent))
        below.append(Panel(f"{step:,} steps", "boosted", boosted, absent))
    footer = rows.small_print(tables, NAME, "strength 1: x0 + (x0 - coarse), from 8-bit iterates of the first seed")
    return strip(above + below, title=TITLE, footer=footer, zoom="detail", per_row=len(above))
