"""The figures that are rows of pictures: which run and kind each column shows, and what stands above it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dip_exp.figures import rows, style
from dip_exp.figures.strip import Panel, Zoom, strip
from dip_exp.tables import Frame, Tables

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Column:
    """One picture of a row.

    kind: the output kind, or `step<n>` for an iterate. title: what stands above it; `{baseline}` and `{steps}` are
    filled in. job: the settings of the sweep that pick the run, as `{key: value}`; none for the first.
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
) -> "Figure":
    """Returns a row of the first seed's pictures, each with its score (`psnr`, or `psnr_missing` in inpainting).

    Where nothing has run, a placeholder with the command.
    """
    found = tables.of(experiment)
    if not len(found):
        return style.placeholder(title, rows.command(tables, experiment))
    panels = [panel for column in columns if (panel := _panel(tables, found, column, score)) is not None]
    over_seeds = _over_seeds(found, columns, score)
    footer = rows.small_print(tables, experiment, *([over_seeds] if over_seeds else []), *([more] if more else []))
    return strip(panels, title=title, footer=footer, zoom=zoom, per_row=per_row)


def _panel(tables: Tables, found: Frame, column: Column, score: str) -> Panel | None:
    """Returns one panel; None where its run is missing."""
    of_job = _picked(found, column)
    if not len(of_job):
        return None
    first = of_job[of_job.seed == of_job.seed.min()]
    row = first[first.kind == column.kind]
    value = row[score].iloc[0] if len(row) else float("nan")
    if value != value and len(row):  # the observation has no missing pixels of its own to be scored on
        value = row.psnr.iloc[0]
    facts = _facts(first)
    if column.kind.startswith("step"):
        curve = tables.curve(first.run_id.iloc[0])
        at = curve[curve.step == int(column.kind.removeprefix("step"))]
        value = at.psnr.iloc[0] if len(at) else value
    picture = tables.panel(first.run_id.iloc[0], column.kind)
    absent = why_absent(tables, first.image.iloc[0]) if picture is None else ""
    return Panel(column.title.format(**facts), f"{value:.2f} dB" if value == value else " ", picture, absent)


def why_absent(tables: Tables, image: str) -> str:
    """Returns why a picture is not shown: its set may not be committed, or its run's pictures were never collected."""
    if "/" in image and not tables.local:  # of a set that is fetched
        return "not in the\nrepository\n(licence)"
    return f"not collected:\nmake collect\nSCALE={tables.scale}"


def _facts(of_job: Frame) -> dict[str, str]:
    """Returns what a title may name; a row of another classical restorer than the main one names that."""
    row = of_job[~of_job.kind.str.startswith("baseline_")].iloc[0]
    return {"baseline": row.baseline, "steps": f"{int(row.steps):,}"}


def _picked(found: Frame, column: Column) -> Frame:
    if column.job is None:
        return found[found.job == found.job.iloc[0]]
    return rows.picked(found, column.job)


def _over_seeds(found: Frame, columns: list[Column], score: str) -> str:
    """Returns the small print with mean and spread, where there is more than one seed."""
    texts = []
    for column in columns:
        picked = _picked(found, column)
        values = rows.spread(picked[picked.kind == column.kind][score])
        if values.count > 1 and values.deviation > 0:
            texts.append(f"{column.title.split(chr(10))[0].format(**_facts(picked))}: {values}")
    return f"mean ± standard deviation over seeds, dB: {'; '.join(texts)}" if texts else ""
