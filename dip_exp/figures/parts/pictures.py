"""Figures that are rows of pictures: the run and output kind of each column, and its caption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dip_exp.experiments.tables import Tables
from dip_exp.figures import comparison
from dip_exp.figures.parts import rows
from dip_exp.figures.parts.score_table import Table
from dip_exp.figures.parts.strip import Panel, Zoom, strip
from dip_exp.images import may_be_committed

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    Drawn = Figure | Table


@dataclass(frozen=True)
class Column:
    """One picture of a row.

    kind: the output kind, or `step<n>` for an iterate. title: the caption, in which `{baseline}` and `{steps}` are
    filled in. job: the sweep settings {key: value} that select the run; None for the first job.
    """

    kind: str
    title: str
    job: dict[str, str] | None = None


def picture_row(
    tables: Tables,
    experiment: str,
    title: str,
    columns: list[Column],
    *,
    score: str = "psnr",
    zoom: Zoom = "detail",
    per_row: int = 6,
    more: str = "",
) -> Drawn:
    """Returns a row of the first seed's pictures, each with its score (`psnr`, or `psnr_missing` for inpainting). If
    the repository may show none of the pictures, returns their captions as a table."""
    found = tables.of(experiment)
    panels = [panel for column in columns if (panel := _panel(tables, experiment, found, column, score)) is not None]
    over_seeds = _over_seeds(found, columns, score)
    footer = rows.small_print(tables, experiment, *([over_seeds] if over_seeds else []), *([more] if more else []))
    return shown(tables, panels, title=title, footer=footer, zoom=zoom, per_row=per_row)


def shown(tables: Tables, panels: Sequence[Panel], *, title: str, footer: str, zoom: Zoom, per_row: int) -> Drawn:
    """Returns the panels as a figure, or as a table of captions if none of their pictures is available."""
    if tables.local or any(panel.picture is not None for panel in panels):
        return strip(list(panels), title=title, footer=footer, zoom=zoom, per_row=per_row)
    import pandas as pd

    scored = [panel for panel in panels if panel.note.endswith(" dB") or panel.theirs]
    lines = [
        {
            "": " ".join(f"{panel.of} {panel.title}".split()),
            "ours, dB": panel.note.removesuffix(" dB").strip() or "–",
            "authors', dB": panel.theirs or "–",
        }
        for panel in scored
    ]
    absent = (
        "The pictures are of a set whose licence is unclear: they are in results/figures/local where they were made."
    )
    return Table(title, pd.DataFrame(lines), (absent, f"({footer.replace(chr(10), '; ')})"), words=1)


def _panel(tables: Tables, experiment: str, found: DataFrame, column: Column, score: str) -> Panel | None:
    """Returns one panel, or None if its run is missing."""
    of_job = _picked(found, column)
    if not len(of_job):
        return None
    first = of_job[of_job.seed == of_job.seed.min()]
    row = first[first.kind == column.kind]
    value = row[score].iloc[0] if len(row) else float("nan")
    if value != value and len(row):  # the observation has no missing pixels of its own to score
        value = row.psnr.iloc[0]
    facts = _facts(first)
    if column.kind.startswith("step"):
        curve = tables.curve(first.run_id.iloc[0])
        at = curve[curve.step == int(column.kind.removeprefix("step"))]
        value = at.psnr.iloc[0] if len(at) else value
    ours, theirs = comparison.both(tables, experiment, first, column.kind)
    value = value if value == value else ours  # for an iterate without a truth: its fit to the observation
    picture = tables.panel(first.run_id.iloc[0], column.kind)
    absent = why_absent(tables, first.image.iloc[0]) if picture is None else ""
    return Panel(
        column.title.format(**facts),
        f"{value:.2f} dB" if value == value else " ",
        picture,
        absent,
        f"{theirs:.2f}" if theirs == theirs else "",
    )


def why_absent(tables: Tables, image: str) -> str:
    """Returns why a picture is not shown: its licence is not free, or its run's panels were not collected."""
    if not may_be_committed(image) and not tables.local:
        return "not in the\nrepository\n(licence)"
    return f"not collected:\nmake collect\nSCALE={tables.scale}"


def _facts(of_job: DataFrame) -> dict[str, str]:
    """Returns the values that a title can name. `baseline` is the main classical restorer, never a rival."""
    row = of_job[~of_job.kind.str.startswith("baseline_")].iloc[0]
    return {"baseline": row.baseline, "steps": f"{int(row.steps):,}"}


def _picked(found: DataFrame, column: Column) -> DataFrame:
    if column.job is None:
        return found[found.job == found.job.iloc[0]]
    return rows.picked(found, column.job)


def _over_seeds(found: DataFrame, columns: list[Column], score: str) -> str:
    """Returns the footer's line of means and standard deviations over seeds; empty with a single seed."""
    texts = []
    for column in columns:
        picked = _picked(found, column)
        values = rows.spread(picked[picked.kind == column.kind][score])
        if values.count > 1 and values.deviation > 0:
            texts.append(f"{column.title.split(chr(10))[0].format(**_facts(picked))}: {values}")
    return f"mean ± standard deviation over seeds, dB: {'; '.join(texts)}" if texts else ""
