"""Orthogonalised momentum beside Adam, task by task: how soon it is as far, and how far it goes.

Not of the paper. Curves are PSNR of the running average, as a difference to what Adam ends with on the same picture and
seed; steps are shares of Adam's own number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts import labels, rows, style
from dip_exp.figures.parts.checks import Check
from dip_exp.figures.parts.score_table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

NAME = "muon"

TASKS = labels.of_tasks(
    *("superres", "superres_x8", "denoise", "denoise_s50", "inpaint"),
    *("inpaint_text", "inpaint_region", "inpaint_sparse", "jpeg", "flash"),
)
COLOURS = {"adam": style.BLACK, "muon": style.VERMILION}
LABELS = {"adam": "Adam", "muon": "optim=muon"}

GOALS = {"superres": 1 / 4, "superres_x8": 1 / 4, "inpaint": 1 / 4, "denoise": 1 / 3, "denoise_s50": 1 / 3}
"""The share of Adam's steps within which Muon should reach Adam's best."""


class Pair(NamedTuple):
    """Both optimizers on one picture and seed. curves: {optimizer: (steps, PSNR of the average)}. seconds: per step, by
    optimizer."""

    curves: dict[str, tuple[np.ndarray, np.ndarray]]
    seconds: dict[str, float]

    @property
    def steps(self) -> float:
        """Adam's number of steps."""
        return float(self.curves["adam"][0][-1])

    @property
    def final(self) -> float:
        """Adam's PSNR at its last step."""
        return float(self.curves["adam"][1][-1])

    def best(self, optimizer: str) -> float:
        return float(self.curves[optimizer][1].max())

    def gain_at(self, share: float, optimizer: str = "muon") -> float:
        """Returns the PSNR at a share of Adam's steps, minus Adam's final PSNR."""
        steps, values = self.curves[optimizer]
        return float(np.interp(np.log(share * self.steps), np.log(steps), values)) - self.final

    def reached(self, level: float) -> float:
        """Returns the share of Adam's steps at which Muon reaches a PSNR; infinite if it never does."""
        steps, values = self.curves["muon"]
        above = steps[values >= level]
        return float(above[0]) / self.steps if len(above) else float("inf")


def pairs(tables: Tables, task: str, experiment: str = NAME) -> list[Pair]:
    """Returns a pair for every picture and seed of a task that both optimizers have finished."""
    found = rows.picked(tables.of(experiment), {"task": task})
    if not len(found):
        return []
    found = found[found.members.isna()]
    known = []
    for _, group in found.groupby(["set.image", "seed"]):
        own = {name: rows.picked(group, {"variant": f"study/{name}"}) for name in LABELS}
        if all(len(one) for one in own.values()):
            curves = {name: _curve(tables, one) for name, one in own.items()}
            known.append(Pair(curves, {name: float(one.seconds_per_step.iloc[0]) for name, one in own.items()}))
    return known


def _curve(tables: Tables, run: DataFrame) -> tuple[np.ndarray, np.ndarray]:
    curve = tables.curve(run.run_id.iloc[0])
    return curve.step.to_numpy(dtype=float), curve.psnr_average.to_numpy(dtype=float)


def draw(tables: Tables) -> Figure | None:
    """Returns one panel per task with the mean and range over pictures and seeds, or None if nothing has run."""
    import matplotlib.pyplot as plt

    known = {task: pairs(tables, task) for task in TASKS}
    shown = [task for task in TASKS if known[task]]
    if not shown:
        return None
    columns = 5
    lines = -(-len(shown) // columns)
    figure, grid = plt.subplots(
        lines, columns, figsize=(style.TWO_COLUMNS, 1.75 * lines + 0.7), squeeze=False, sharex=True
    )
    shares = np.geomspace(0.03, 1, 60)
    for axes, task in zip(grid.flat, shown, strict=False):
        for name in LABELS:
            gains = np.array([[pair.gain_at(share, name) for share in shares] for pair in known[task]])
            axes.plot(shares, gains.mean(axis=0), color=COLOURS[name], label=LABELS[name])
            axes.fill_between(
                shares, gains.min(axis=0), gains.max(axis=0), color=COLOURS[name], alpha=0.15, linewidth=0
            )
        axes.axhline(0, color=style.GREY, linewidth=0.6, linestyle=":")
        axes.axvline(0.25, color=style.GREY, linewidth=0.6, linestyle=":")
        axes.set_xscale("log")
        axes.set_xticks([0.05, 0.25, 1], ["1/20", "1/4", "1"])
        axes.minorticks_off()
        axes.set_ylim(-4.5, 3)
        axes.set_title(TASKS[task], loc="left")
        style.light_grid(axes)
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel("dB above Adam's end")
    for number, axes in enumerate(grid.flat):
        if number < len(shown) <= number + columns:
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("share of Adam's steps")
    grid[0, 0].legend(loc="upper left", fontsize=6)
    figure.subplots_adjust(left=0.07, right=0.99, top=0.93, bottom=0.2, wspace=0.22, hspace=0.35)
    count = sum(len(each) for each in known.values())
    style.footer(figure, rows.small_print(tables, NAME, f"{count} pairs of runs; band: range over pictures and seeds"))
    return figure


def table(tables: Tables) -> Table:
    """Returns, by task, when Muon reaches Adam's result, and its final gain."""
    return compared(tables, NAME, "Adam and orthogonalised momentum")


def compared(tables: Tables, experiment: str, title: str) -> Table:
    """Returns the same table for any experiment that runs both optimizers."""
    import pandas as pd

    lines = []
    for task, label in TASKS.items():
        each = pairs(tables, task, experiment)
        if not each:
            continue
        shares = np.array([pair.reached(pair.final) for pair in each])
        bests = np.array([pair.reached(pair.best("adam")) for pair in each])
        dear = float(np.median([pair.seconds["muon"] / pair.seconds["adam"] for pair in each]))
        tops = np.array([pair.curves["muon"][0][pair.curves["muon"][1].argmax()] / pair.steps for pair in each])
        lines.append(
            {
                "task": label,
                "runs": f"{len(each)}",
                "Adam, last step": str(rows.spread([pair.final for pair in each])),
                "at 1/4": _signed([pair.gain_at(1 / 4) for pair in each]),
                "at 1/3": _signed([pair.gain_at(1 / 3) for pair in each]),
                "at 1": _signed([pair.gain_at(1) for pair in each]),
                "best to best": _signed([pair.best("muon") - pair.best("adam") for pair in each]),
                "steps to Adam's last": _share(shares),
                "to Adam's best": _share(bests),
                "time of a step": f"× {dear:.2f}",
                "top at": _share(tops),
            }
        )
    notes = (
        "PSNR in dB of the running average (Adam's constant 0.99, the other's 0.95), mean ± standard deviation over "
        "pictures and seeds. At 1/4, 1/3, 1: the other optimizer's at that share of Adam's steps, less Adam's last.",
        "Steps, top: median share of Adam's steps; in brackets, in how many pairs the level was reached at all. "
        "Best and top are chosen with the truth (oracles).",
        rows.footnote(tables, experiment, lines),
    )
    headings = ["task", "runs"] if not lines else list(lines[0])
    return Table(title, pd.DataFrame(lines, columns=headings), notes)


def _signed(values: list[float]) -> str:
    spread = rows.spread(values)
    return f"{spread.mean:+.2f} ± {spread.deviation:.2f}" if spread.count > 1 else f"{spread.mean:+.2f}"


def _share(shares: np.ndarray) -> str:
    finite = np.isfinite(shares)
    middle = float(np.median(shares))
    text = f"{middle:.2f}" if np.isfinite(middle) else "–"
    return text if finite.all() else f"{text} ({finite.sum()} of {len(shares)})"


def checks(tables: Tables) -> list[Check]:
    """Returns whether the median pair of each task reaches Adam's best within the task's share of Adam's steps."""
    found = []
    for task, goal in GOALS.items():
        each = pairs(tables, task)
        if each:
            share = float(np.median([pair.reached(pair.best("adam")) for pair in each]))
            name = f"goal, {TASKS[task]}: Adam's best within {goal:.2f} of its steps"
            found.append(Check(name, share <= goal, f"median {share:.3f}"))
    return found
