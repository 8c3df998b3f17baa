"""The paper's numbers beside ours, from the tables and the overlays' declarations (`config.Number`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dip_exp.config import Number
from dip_exp.experiments import sweeps
from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts import rows

if TYPE_CHECKING:
    from pandas import DataFrame, Series

PROTOCOLS = {"rgb": "RGB", "grey": "grey", "gray": "grey", "sr_authors": "Y"}
SCORES = {"psnr": "PSNR", "fit": "PSNR to the observation", "loss": "mean squared error"}
PRINTED = "fig2_curves"
"""The only curves that are in print. The others are computed from iterates that the authors published."""

NOTHING = "–"


@dataclass(frozen=True)
class Line:
    """One of the paper's numbers beside ours, as printed: all cells are text.

    protocol: channels and output kind. printed: the number printed in the paper. pictures: the mean over pictures of
    the printed scores or of the authors' published pictures. A dash replaces either if it does not exist. ours: empty
    if nothing has run. command: computes the missing runs; empty if none is missing.
    """

    what: str
    protocol: str
    printed: str
    pictures: str
    ours: str
    difference: str
    command: str


def numbers(experiment: str) -> list[Number]:
    """Returns the numbers that an experiment's overlay declares."""
    return [Number(**declared) for declared in (sweeps.about(experiment) or {}).get("numbers", [])]


def lines(tables: Tables, experiments: Iterable[str]) -> list[Line]:
    """Returns one line per number of the experiments, means over pictures before curves. A number that two experiments
    declare appears once, preferably from the one that has runs."""
    found: dict[tuple[str, ...], Line] = {}
    each = [(name, number) for name in experiments for number in numbers(name)]
    for name, number in sorted(each, key=lambda pair: (bool(pair[1].curve), not pair[0].startswith("tab"))):
        key = (number.table, number.method, number.printed, number.kind, number.images, number.curve)
        line = _curve(tables, name, number) if number.curve else _mean(tables, name, number)
        if key not in found or (line.ours and not found[key].ours):
            found[key] = line
    return list(found.values())


def markdown(found: Sequence[Line]) -> str:
    """Returns the lines as a Markdown table."""
    head = [
        "| | protocol: output kind | paper | authors' pictures | ours | difference |",
        "|---|---|---|---|---|---|",
    ]
    body = [
        f"| {one.what} | {one.protocol} | {one.printed} | {one.pictures} | "
        f"{one.ours or f'not run yet: `{one.command}`'} | {one.difference} |"
        for one in found
    ]
    return "\n".join([*head, *body])


def both(tables: Tables, experiment: str, run: DataFrame, kind: str) -> tuple[float, float]:
    """Returns (ours, theirs) for one run's picture of a kind (or `step<n>`); NaN where there is no number. `ours`
    follows the declared score (`Number.score`)."""
    step = int(run.steps.iloc[0]) if kind == "last" else int(kind.removeprefix("step") if "step" in kind else 0)
    for number in numbers(experiment):
        if not rows.picked(_of_number(run, number), number.select).run_id.nunique():
            continue
        if number.curve and step:
            return _at(tables, number, [run.run_id.iloc[0]], step), _published_curve(tables, number).get(step, np.nan)
        if number.table and number.kind == kind:
            name = _name(_image(run).iloc[0])
            own = run[run.kind == kind].psnr
            return float(own.iloc[0]) if len(own) else np.nan, _per_picture(tables, number, [name]).get(name, np.nan)
    return np.nan, np.nan


def _mean(tables: Tables, experiment: str, number: Number) -> Line:
    """Returns the line of a mean over pictures. The authors' mean is also given over only those pictures that have
    run."""
    listed, found = (_of_number(frame, number) for frame in (tables.listed(experiment), tables.of(experiment)))
    names = list(dict.fromkeys(_name(image) for image in listed["set.image"]))
    done = found[found.kind == number.kind].dropna(subset="psnr")
    ours = {_name(str(image)): float(own.psnr.mean()) for image, own in done.groupby("set.image")}
    theirs = _per_picture(tables, number, names)
    printed = _printed(tables, number, names[0] if len(names) == 1 else "mean")
    same = [name for name in names if name in ours]
    gap = np.nan
    if ours and theirs:
        gap = float(np.mean([ours[name] - theirs[name] for name in same]))
    elif len(same) == len(names) and printed is not None:
        gap = float(np.mean(list(ours.values()))) - printed
    pictures = f"{np.mean(list(theirs.values())):.2f}" if theirs else NOTHING
    if theirs and 0 < len(same) < len(names):
        pictures += f"; of these {len(same)}: {np.mean([theirs[name] for name in same]):.2f}"
    counted = f"{len(same)} of {len(names)} picture{'s' * (len(names) > 1)}, "
    return Line(
        number.what,
        f"{_protocol(tables, number)}: {number.printed or number.kind}",
        NOTHING if printed is None else f"{printed:.2f}",
        pictures,
        f"{np.mean(list(ours.values())):.2f} ({counted}{_made_on(done)})" if ours else "",
        f"{gap:+.2f}" if np.isfinite(gap) else NOTHING,
        rows.command(tables, experiment) if len(same) < len(names) else "",
    )


def _curve(tables: Tables, experiment: str, number: Number) -> Line:
    """Returns the line of some iterates of a curve."""
    done = _of_number(tables.of(experiment), number)
    digits = 4 if number.score == "loss" else 2
    theirs = _published_curve(tables, number)
    runs = list(dict.fromkeys(done.run_id))
    ours = {step: _at(tables, number, runs, step) for step in number.steps}
    cells = _slashed([theirs.get(step, np.nan) for step in number.steps], f".{digits}f")
    in_print = number.curve.startswith(PRINTED)
    return Line(
        f"{number.what}, after {' / '.join(map(str, number.steps))} steps",
        f"{SCORES[number.score]}: {number.kind}",
        cells if in_print else NOTHING,
        NOTHING if in_print else cells,
        f"{_slashed(list(ours.values()), f'.{digits}f')} ({_made_on(done)})" if runs else "",
        _slashed([ours[step] - theirs.get(step, np.nan) for step in number.steps], f"+.{digits}f") if runs else NOTHING,
        "" if runs else rows.command(tables, experiment),
    )


def _slashed(values: list[float], digits: str) -> str:
    return " / ".join(f"{value:{digits}}" if np.isfinite(value) else NOTHING for value in values)


def _made_on(done: DataFrame) -> str:
    seeds = sorted(set(done.seeds))
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}; {rows.made_on(done)}"


def _image(frame: DataFrame) -> Series:
    """Returns the picture of each row's job as the sweep sets it; empty if a variant sets it."""
    return frame["set.image"] if "set.image" in frame else frame.run_id.map(lambda _: "")


def _name(image: str) -> str:
    return image.rpartition("/")[2]


def _of_number(frame: DataFrame, number: Number) -> DataFrame:
    """Returns the rows whose jobs a number refers to."""
    chosen = rows.picked(frame, number.select)
    return chosen[_image(chosen).str.startswith(number.images)] if number.images and len(chosen) else chosen


def _at(tables: Tables, number: Number, runs: list[str], step: int) -> float:
    """Returns the mean over runs of the score after a step; NaN if that step was not kept."""
    values = []
    for run_id in runs:
        curve = tables.curve(run_id)
        one = curve[curve.step == step]
        if len(one):
            score = {"psnr": one.psnr, "loss": one.loss, "fit": -10 * np.log10(one.loss)}[number.score]
            values.append(float(score.iloc[0]))
    return float(np.mean(values)) if values else np.nan


def _published_curve(tables: Tables, number: Number) -> dict[int, float]:
    """Returns {iteration: value} of the curve that a number compares with."""
    name, _, run = number.curve.partition("/")
    table = tables.reference(name)
    of_run, iteration, value = table.columns
    chosen = table[table[of_run] == run]
    return dict(zip(chosen[iteration].astype(int), chosen[value].astype(float), strict=True))


def _paper(tables: Tables, number: Number) -> DataFrame:
    """Returns the paper's printed rows for a number's table, method and output kind."""
    paper = tables.reference("paper")
    paper = paper[(paper.table == number.table) & (paper.method == number.method) & (paper.kind == number.printed)]
    return paper[paper.printed]


def _printed(tables: Tables, number: Number, picture: str) -> float | None:
    paper = _paper(tables, number)
    values = paper[paper.picture == picture].value
    return float(values.iloc[0]) if len(values) else None


def _per_picture(tables: Tables, number: Number, names: list[str]) -> dict[str, float]:
    """Returns {picture: dB}: the printed scores if all pictures have one, else those of the authors' published
    pictures. Returns {} if these are of another kind or do not cover all pictures."""
    if not number.pictures:
        return {}
    paper, published = _paper(tables, number), tables.reference("published")
    published = published[(published.task == number.table) & (published.method == number.method)]
    for names_of, values in ((paper.picture, paper.value), (published.image, published.value)):
        known = dict(zip(names_of, values.astype(float), strict=True))
        if known.keys() >= set(names):
            return {name: known[name] for name in names}
    return {}


def _protocol(tables: Tables, number: Number) -> str:
    known = tables.reference("published")
    metric: str = known[(known.task == number.table) & (known.method == number.method)].metric.iloc[0]
    return PROTOCOLS[metric] if metric in PROTOCOLS else metric.partition(",")[0]
