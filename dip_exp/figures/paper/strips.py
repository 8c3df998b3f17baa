"""Optimisation as restoration: the iterates of every task, with their step and PSNR."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dip_exp.experiments.tables import Tables
from dip_exp.figures.paper.trajectories import FROM_LOSS, curve_psnr
from dip_exp.figures.parts import rows
from dip_exp.figures.parts.grids import swept
from dip_exp.figures.parts.pictures import shown, why_absent
from dip_exp.figures.parts.strip import Panel

if TYPE_CHECKING:
    from pandas import DataFrame

    from dip_exp.figures.parts.pictures import Drawn

NAME = "strips"

TITLE = "Optimisation as restoration: what the network gives after so many steps"
TITLES = {
    "F16": "denoising",
    "zebra": "enlarging by 4",
    "snail": "JPEG",
    "kate": "text",
    "library": "holes",
    "vase": "a large hole",
    "cave": "flash",
    "mini_denoise": "denoising",
    "mini_superres": "enlarging by 4",
    "mini_jpeg": "JPEG",
    "mini_text": "text",
    "mini_library": "holes",
    "mini_region": "a large hole",
    "mini_flash": "flash",
}
STEPS = {"paper": (50, 200, 500, 1000, 2000), "mini": (10, 50, 100, 200, 500)}


def draw(tables: Tables) -> Drawn:
    """Returns one row per finished task: the observation, some iterates, the last iterate. If the repository may show
    none of the pictures, returns their captions as a table."""
    found = tables.of(NAME)
    panels = [panel for variant in swept(tables, NAME, "variant") for panel in _row(tables, found, variant)]
    footer = rows.small_print(
        tables, NAME, "PSNR of the iterate in dB, first seed; of the fit to it where there is no truth"
    )
    return shown(tables, panels, title=TITLE, footer=footer, zoom=None, per_row=len(STEPS[tables.scale]) + 2)


def _row(tables: Tables, found: DataFrame, variant: str) -> list[Panel]:
    name = variant.rpartition("/")[2]
    title = TITLES[name]
    of_run = rows.picked(found, {"variant": variant})
    steps = STEPS[tables.scale]
    if not len(of_run):
        return []
    first = of_run[of_run.seed == of_run.seed.min()]
    run_id, last, image = first.run_id.iloc[0], int(first.steps.iloc[0]), first.image.iloc[0]
    curve, absent = tables.curve(run_id), why_absent(tables, image)
    published = tables.reference("trajectories") if tables.scale == "paper" else of_run.iloc[:0]
    theirs = {row.iteration: f"{row.psnr_db:.2f}" for row in published.itertuples() if row.run == name}
    of = f"{title}:"
    panels = [Panel(title, "observed", tables.panel(run_id, "observation"), absent)]
    psnr = curve_psnr(curve, of_fit=name in FROM_LOSS)
    for step in steps:
        at = psnr[curve.step == step]
        note = f"{at.iloc[0]:.2f} dB" if len(at) else " "
        shown = Panel(f"{step:,} steps", note, tables.panel(run_id, f"step{step}"), absent, theirs.get(step, ""), of)
        panels.append(shown if step < last else Panel(" ", " ", None))  # the run had already ended
    end = f"{psnr.iloc[-1]:.2f} dB"
    panels.append(Panel(f"{last:,} steps", end, tables.panel(run_id, "last"), absent, theirs.get(last, ""), of))
    return panels
