"""Is a map of standard deviations any good? What it predicts against the error, in 20 bins of equal count.

Not of the paper. The spread over five runs of Adam, about their mean, and that over the samples of one run of
stochastic gradient Langevin dynamics (`sgld`), about theirs. On the diagonal a map is calibrated; above it, it is too
sure. For half of the pixels, the missing ones alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts import labels, rows, style
from dip_exp.figures.parts.score_table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

NAME = "calibration"
SAMPLED = "sgld"
"""The experiment whose samples are compared with the runs."""

TASKS = labels.of_tasks()
LEVELS = 255
"""The axes are in 8-bit levels."""


class Method(NamedTuple):
    """A source of maps. kind: the output kind that the map belongs to. single: the output kind that it is compared
    with."""

    label: str
    colour: str
    kind: str
    single: str


RUNS = Method("mean of five runs", style.BLACK, "mean", "average")
SAMPLES = Method("samples of one run (SGLD)", style.VERMILION, "posterior", "average")
LONG = Method("the same, three times the steps", style.ORANGE, "posterior", "average")
STILL = Method("samples of one run, no noise (Adam)", style.SKY, "posterior", "average")
METHODS = {RUNS: "", SAMPLES: "", LONG: "long", STILL: "no_noise"}
"""{method: the variant that made its rows}; empty if the variant is called like the task."""


def finished(tables: Tables, task: str, method: Method) -> DataFrame:
    """Returns the score rows of a method's runs of a task: means and their members, or the sampler's runs."""
    if method is RUNS:
        return rows.picked(tables.of(NAME), {"task": task})
    variant = METHODS[method] or task
    found = rows.picked(tables.of(SAMPLED), {"variant": f"{SAMPLED}/{variant}"})
    return found[found.task == task] if len(found) else found


def maps(tables: Tables, task: str, method: Method) -> list[DataFrame]:
    """Returns the bins of a method's maps, one frame per map."""
    known = tables.calibration
    known = known[(known.kind == method.kind) & known.run_id.isin(finished(tables, task, method).run_id)]
    return [one.sort_values("bin") for _, one in known.groupby("run_id")]


def draw(tables: Tables) -> Figure | None:
    """Returns one panel per task, with predicted standard deviation against RMS error and one line per picture. Returns
    None if there are no maps."""
    import matplotlib.pyplot as plt

    known = {task: {method: maps(tables, task, method) for method in METHODS} for task in TASKS}
    if not any(each for of_task in known.values() for each in of_task.values()):
        return None
    figure, grid = plt.subplots(1, len(TASKS), figsize=(style.TWO_COLUMNS, 3.0), squeeze=False, sharey=True)
    for axes, (task, of_task) in zip(grid.flat, known.items(), strict=True):
        for method, each in of_task.items():
            for number, one in enumerate(each):
                label = _legend(method, each) if number == 0 else None
                axes.plot(LEVELS * one["std"], LEVELS * one["error"], ".-", color=method.colour, label=label, ms=2.5)
        axes.axline((1, 1), (10, 10), color=style.GREY, linewidth=0.7, linestyle=":")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_title(TASKS[task], loc="left")
        axes.set_xlabel("predicted deviation, levels of 255")
        style.light_grid(axes)
        if any(of_task.values()):
            axes.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.24), fontsize=6, handlelength=1.2)
    grid[0, 0].set_ylabel("RMS error, levels of 255")
    figure.subplots_adjust(left=0.07, right=0.99, top=0.92, bottom=0.44, wspace=0.1)
    said = "a line a picture; dotted: error as predicted; legend: RMS error over prediction, rank correlation ρ"
    more = f"beside it {SAMPLED}: {_missing(tables, SAMPLED)}; {said}"
    style.footer(figure, rows.small_print(tables, NAME, more))
    return figure


def _legend(method: Method, each: list[DataFrame]) -> str:
    ratio, rank = (_median(each, column) for column in ("ratio", "rank_correlation"))
    return f"{method.label}: {ratio:.1f}, ρ {rank:.2f}"


def _median(each: list[DataFrame], column: str) -> float:
    return float(np.median([one[column].iloc[0] for one in each]))


def _missing(tables: Tables, experiment: str) -> str:
    listed, done = tables.listed(experiment), tables.of(experiment).run_id.nunique()
    missing = len(listed) - done
    return f"{done} runs" + (f", {missing} missing: {rows.command(tables, experiment)}" if missing else "")


def table(tables: Tables) -> Table:
    """Returns, by task and method, the gain from averaging and the quality of the map."""
    import pandas as pd

    lines = []
    for task, title in TASKS.items():
        for method in METHODS:
            each = maps(tables, task, method)
            if not each:
                continue
            scored = finished(tables, task, method)
            mean = scored[scored.kind == method.kind]
            single = scored[(scored.kind == method.single) & scored.members.isna() & scored.image.isin(mean.image)]
            gain = _gain(single, mean)
            lines.append(
                {
                    "task": title,
                    "method": method.label,
                    "pictures": f"{len(each)}",
                    "one run, average": f"{single.psnr.mean():.2f}",
                    "mean": f"{mean.psnr.mean():.2f}",
                    "gain": f"{gain.mean:+.2f}" + (f" ± {gain.deviation:.2f}" if gain.count > 1 else ""),
                    "error / prediction": f"{_median(each, 'ratio'):.2f}",
                    "rank correlation": f"{_median(each, 'rank_correlation'):.2f}",
                    "AUSE": f"{_median(each, 'ause'):.2f}",
                }
            )
    notes = (
        "PSNR in dB, mean over pictures; gain: of the mean over runs (of the samples) over the running average of one "
        "run, mean ± standard deviation over pictures. Predictions: medians over pictures, of channel values (missing "
        "ones alone for half of the pixels).",
        "Error / prediction: RMS error of the mean over RMS predicted standard deviation; 1 is calibrated (1.1 for a "
        "mean of five whose runs and truth were draws of one law). Rank correlation: of prediction and absolute error. "
        "AUSE: area under the sparsification error; 0 is best.",
        *(rows.footnote(tables, name, tables.of(name)) for name in (NAME, SAMPLED)),
    )
    headings = ["task", "method"] if not lines else list(lines[0])
    return Table(
        "Mean over runs, mean over samples, and their spread",
        pd.DataFrame(lines, columns=headings),
        notes,
    )


def _gain(single: DataFrame, mean: DataFrame) -> rows.Spread:
    """Returns the gain of the mean over single runs, as a spread over pictures."""
    one, other = (frame.groupby("image").psnr.mean() for frame in (single, mean))
    return rows.spread((other - one).to_numpy())
