"""The page of many runs: a table to filter and to sort, runs side by side, tables and figures."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dip_exp.pages.document import rendered
from dip_exp.pages.one_run import Number

RUNS, CURVES = "runs.js", "curves.js"
"""The scripts beside the page that hold its data. The second is read once curves are to be seen."""


@dataclass(frozen=True)
class Grid:
    """A table as text. head: the names of its columns. notes: sentences under it. words: how many of the first columns
    hold words, which are left-aligned."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    words: int = 2


@dataclass(frozen=True)
class Shown:
    """What an experiment came to. about: sentences on it. picture: the address of its figure, or ""."""

    name: str
    scale: str
    about: Sequence[str]
    picture: str = ""
    grid: Grid | None = None


@dataclass(frozen=True)
class IndexPage:
    """What the page of many runs shows. count: how many runs. against: the paper's numbers beside ours, or None."""

    title: str
    subtitle: str
    count: int
    against: Grid | None
    shown: Sequence[Shown]


def html(page: IndexPage) -> str:
    """Returns the page. It reads `RUNS` and `CURVES` in its folder."""
    data = {"runs": RUNS, "curves": CURVES}
    return rendered("index.html", ["viewer.js", "plot.js", "index.js"], closed=False, page=page, data=data)


def runs_script(rows: Sequence[Mapping[str, object]]) -> str:
    """Returns the script that holds the rows of the table: equal keys in all, each named once."""
    columns = list(rows[0]) if rows else []
    return _call("dip_exp_runs", {"columns": columns, "rows": [[row[name] for name in columns] for row in rows]})


def curves_script(curves: Mapping[str, Mapping[str, Sequence[Number]]]) -> str:
    """Returns the script that holds the curves, {run: {column: values}}."""
    return _call("dip_exp_curves", curves)


def _call(name: str, value: object) -> str:
    return f"{name}({json.dumps(value, allow_nan=False, separators=(',', ':'))});\n"
