"""In: the committed tables, and the runs of this machine. Out: results/report, whose index.html shows all of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from dip_exp.atomic import write_bytes, write_text
from dip_exp.errors import first_line
from dip_exp.experiments import sweeps
from dip_exp.experiments.collect import rows_of
from dip_exp.experiments.tables import RUN_COLUMNS, Tables, folder
from dip_exp.figures import comparison, gallery
from dip_exp.metrics import kinds
from dip_exp.pages import index
from dip_exp.pages.index import Grid, IndexPage, Shown
from dip_exp.pages.one_run import Number, thinned
from dip_exp.pages.pictures import opened, thumbnail
from dip_exp.runs import page, report
from dip_exp.runs.folder import RunFolder
from dip_exp.runs.record import Record, result_among

if TYPE_CHECKING:
    from pandas import DataFrame

SCALES = ("paper", "mini")
PLACE = "report"

THUMB = 96
"""The longest side of a thumbnail, in pixels."""

POINTS = 120
"""Points of a curve at most."""

CURVE = ("step", "loss", "psnr_average")
"""The columns of a curve that are compared."""

FACTS = (
    *("task", "arch", "input", "optim", "lr", "stop", "picture", "width", "height", "seed", "degrade_seed"),
    *("precision", "steps", "seconds", "device", "weights", "commit"),
)
"""The columns of runs.csv that a run's row has too."""

Row = dict[str, Any]
"""A run as the page's script reads it: numbers, texts, and lists and dicts of them."""

Kept = Mapping[str, Path]
"""The pictures of a run, {output kind: path}."""


def build(results: Path, *, pages: bool = False) -> Path:
    """Writes results/report and returns the path of its index.html. Prints what it shows.

    It holds all runs of the committed tables, and those in results/runs. pages: first write the page of each of the
    latter that has none. Raises OSError.
    """
    place = results / PLACE
    place.mkdir(parents=True, exist_ok=True)
    here = dict(_here(results, pages=pages))
    rows, curves, pictures = [], {}, _panels(results)
    for scale in SCALES:
        tables = Tables(results, scale, local=True)
        rows += _rows(tables.runs, scale, _experiments(tables))
        curves |= {str(run): _curve(tables, str(run)) for run in tables.curves.run_id.unique()}
    known = {row["id"] for row in rows}
    for run_id, done in here.items():
        path = RunFolder(results, run_id).path
        with _left_out(path):
            rows += [] if run_id in known else _of_record(done)
            pictures[run_id] = {**pictures.get(run_id, {}), **_of_run(path, done)}
        with _left_out(path / "history.csv"):
            whole = thinned(page.curve(path / "history.csv"), most=POINTS)
            if whole:
                curves[run_id] = {name: whole[name] for name in CURVE}
    for row in rows:
        if row["id"] in here:
            _choose(row, here[row["id"]]["result"])
        _show(row, pictures.get(row["id"], {}), results)
    write_text(place / index.RUNS, index.runs_script(rows))
    write_text(place / index.CURVES, index.curves_script({run: one for run, one in curves.items() if one.get("step")}))
    shown = [one for scale in SCALES for one in _figures(Tables(results, scale, local=True), results)]
    subtitle = f"{len(rows):,} runs, {len(here):,} of them in {results / 'runs'}; made by make report"
    write_text(place / "index.html", index.html(IndexPage("Runs", subtitle, len(rows), _against(results), shown)))
    report.note(f"{place / 'index.html'}: {len(rows):,} runs, {len(here):,} of them computed here")
    return place / "index.html"


def _here(results: Path, *, pages: bool) -> Iterator[tuple[str, Record]]:
    """Yields the finished runs in results/runs, by the names of their folders. A damaged one is told of and left
    out."""
    for path in sorted((results / "runs").glob("[!.]*")):
        one = RunFolder(results, path.name)
        with _left_out(path):
            done = one.record()
            if done is None:
                continue
            if done["run_id"] != path.name:
                raise ValueError(f"its record is that of the run {done['run_id']}")
            if pages:
                page.ensure(one)
            yield path.name, done


@contextmanager
def _left_out(path: Path) -> Iterator[None]:
    """Tells of a file or folder that cannot be read, and goes on without it."""
    try:
        yield
    except Exception as error:  # it may be damaged in any way, and the others are to be shown
        report.note(f"left out: {path}: {first_line(error) or type(error).__name__}")


def _experiments(tables: Tables) -> dict[str, list[str]]:
    """Returns {run_id: its experiments}."""
    return {str(run): sorted(set(jobs.experiment)) for run, jobs in tables.jobs.groupby("run_id")}


def _of_record(done: Record) -> list[Row]:
    """Returns the row of a run that is in no table."""
    import pandas as pd

    found = pd.DataFrame(rows_of(done)).reindex(columns=list(RUN_COLUMNS))
    experiment = done["choices"].get("experiment")
    return _rows(found, done["config"]["scale"], {done["run_id"]: [experiment] if experiment else []})


def _rows(runs: DataFrame, scale: str, experiments: Mapping[str, list[str]]) -> list[Row]:
    """Returns one row per run of a table like runs.csv."""
    found = []
    for run, of in runs.groupby("run_id", sort=False):
        scores = {
            str(kind): [_number(psnr), _number(ssim)]
            for kind, psnr, ssim in zip(of.kind, of.psnr, of.ssim, strict=True)
        }
        best = [value for kind in kinds.ORACLES if kind in scores and (value := scores[kind][0]) is not None]
        facts = {name: _plain(of.iloc[0][name]) for name in FACTS}
        row = {"id": str(run), "scale": scale, "experiments": experiments.get(str(run), []), **facts, "scores": scores}
        row |= {"classical": scores.get(kinds.BASELINE, [None])[0], "best": max(best, default=None)}
        _choose(row, result_among(scores))
        found.append(row)
    return found


def _choose(row: Row, result: str) -> None:
    """Makes an output kind the result of a run's row."""
    row["result"] = result
    row["psnr"], row["ssim"] = row["scores"].get(result, [None, None])


def _plain(value: Any) -> Number | str:
    """Returns a table's cell as JSON has it."""
    if isinstance(value, str):
        return value
    number = _number(value)
    return int(number) if number is not None and number == int(number) else number


def _number(value: Any) -> float | None:
    return None if value is None or value != value else float(f"{float(value):.6g}")


def _curve(tables: Tables, run: str) -> dict[str, list[Number]]:
    kept = tables.curve(run)
    columns = {name: [_number(value) for value in kept[name]] for name in CURVE[1:]}
    return {"step": [int(step) for step in kept.step], **columns}


# -- pictures ----------------------------------------------------------------------------------------------------------


def _panels(results: Path) -> dict[str, dict[str, Path]]:
    """Returns the collected pictures, {run_id: {output kind: path}}: those of the repository, and local ones."""
    found: dict[str, dict[str, Path]] = {}
    for scale in SCALES:
        for place in (results / "panels" / scale, folder(results, scale) / "panels"):
            for path in sorted(place.glob("*-*.png")):
                run, _, kind = path.stem.partition("-")
                found.setdefault(run, {})[kind] = path
    return found


def _of_run(path: Path, done: Record) -> dict[str, Path]:
    """Returns the pictures in a run's folder, by output kind."""
    names = dict.fromkeys([kinds.OBSERVATION, *done["scores"], done["result"]])
    found = {name: path / f"{name}.png" for name in names if (path / f"{name}.png").is_file()}
    restored = path / "restored.png"
    return found if done["result"] in found or not restored.is_file() else {**found, done["result"]: restored}


def _show(row: Row, pictures: Kept, results: Path) -> None:
    """Adds the addresses of a run's pictures, thumbnail and page to its row."""
    place, one = results / PLACE, RunFolder(results, row["id"])
    row["pictures"] = {kind: _address(path, place) for kind, path in pictures.items()}
    row["thumb"], row["thumb_of"] = _thumb(row["id"], pictures, row["result"], place)
    row["page"] = _address(one.page, place) if one.page.is_file() else None


def _thumb(run: str, pictures: Kept, result: str, place: Path) -> tuple[str | None, str]:
    """Writes a run's thumbnail, unless there is a newer one, and returns its address and output kind: of the result, or
    of another estimate that is no oracle; (None, "") without one."""
    kind = next((kind for kind in (result, *kinds.of_the_seed(pictures)) if kind in pictures), "")
    path = place / "thumbs" / f"{run}-{kind}.webp"
    if kind and not (path.is_file() and path.stat().st_mtime >= pictures[kind].stat().st_mtime):
        path.parent.mkdir(exist_ok=True)
        with _left_out(pictures[kind]):
            write_bytes(path, thumbnail(opened(pictures[kind])[0], THUMB))
    return (_address(path, place), kind) if kind and path.is_file() else (None, "")


def _address(path: Path, place: Path) -> str:
    """Returns a file's address as seen from a folder."""
    return quote(Path(os.path.relpath(path, place)).as_posix())


# -- tables and figures ------------------------------------------------------------------------------------------------


def _against(results: Path) -> Grid | None:
    """Returns the paper's numbers beside ours; None without tables of the paper's scale."""
    tables = Tables(results, "paper")
    if not len(tables.jobs):
        return None
    lines = comparison.lines(tables, sweeps.of_the_paper())
    rows = [
        (one.what, one.protocol, one.printed, one.pictures, one.ours or f"not run yet: {one.command}", one.difference)
        for one in lines
    ]
    head = ("", "protocol: output kind", "paper", "authors' pictures", "ours", "difference")
    return Grid("The paper's numbers and ours", head, rows, words=6)


def _figures(tables: Tables, results: Path) -> Iterable[Shown]:
    """Yields the experiments of a scale that have runs, each with its figure and table."""
    for name in gallery.names() if len(tables.jobs) else ():
        if not len(tables.of(name)):
            continue
        table = gallery.table_of(name, tables)
        grid = table and Grid(
            table.title, list(map(str, table.cells)), table.cells.astype(str).values.tolist(), table.notes, table.words
        )
        drawn = [results / "figures" / place / f"{name}.png" for place in (f"local/{tables.scale}", tables.scale)]
        picture = next((_address(path, results / PLACE) for path in drawn if path.is_file()), "")
        yield Shown(name, tables.scale, gallery.described(name), picture, grid)
