"""Figures that are grids of pictures: one row per prior (or sample), one column per layer, unit or network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts import rows
from dip_exp.figures.parts.pictures import shown, why_absent
from dip_exp.figures.parts.strip import Panel, Zoom

if TYPE_CHECKING:
    from pandas import DataFrame

    from dip_exp.figures.parts.pictures import Drawn


@dataclass(frozen=True)
class Cell:
    """One picture of a grid. job: the sweep settings that select its run. kind: the output kind."""

    title: str
    job: dict[str, str]
    kind: str = "stopped"
    note: str = " "


def grid(
    tables: Tables,
    experiment: str,
    title: str,
    cells: Sequence[Cell | None],
    per_row: int,
    *more: str,
    zoom: Zoom = None,
) -> Drawn:
    """Returns a figure of the cells in rows of `per_row`, with the first seed of each; None leaves a place empty. If
    the repository may show none of the pictures, returns their captions as a table."""
    found = tables.of(experiment)
    panels = [Panel(" ", " ", None) if cell is None else _panel(tables, found, cell) for cell in cells]
    footer = rows.small_print(tables, experiment, *more)
    return shown(tables, panels, title=title, footer=footer, zoom=zoom, per_row=per_row)


def _panel(tables: Tables, found: DataFrame, cell: Cell) -> Panel:
    of_job = rows.picked(found, cell.job)
    if not len(of_job):
        return Panel(_spoken(cell.title), cell.note, None, "not run yet")
    first = of_job[of_job.seed == of_job.seed.min()]
    picture = tables.panel(first.run_id.iloc[0], cell.kind)
    absent = why_absent(tables, first.image.iloc[0]) if picture is None else ""
    return Panel(_spoken(cell.title), cell.note, picture, absent)


def _spoken(setting: str) -> str:
    """Returns a setting's value without the command line's escaping of spaces."""
    return setting.replace("\\ ", " ")


def swept(tables: Tables, experiment: str, key: str) -> list[str]:
    """Returns the values that an experiment's sweep gives a setting, in order."""
    listed = tables.listed(experiment)
    return list(dict.fromkeys(listed[f"set.{key}"])) if f"set.{key}" in listed else []
