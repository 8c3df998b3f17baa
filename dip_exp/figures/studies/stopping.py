"""When to stop: every rule's choice against the best picture of its run, task by task.

Not of the paper. Passive rules watch one run that goes far too long, so that all of them judge the same one; rules that
change what is descended have runs of their own, compared with the best of the watched run on the same picture and seed.
The gap is in dB of the running average, to its own peak (an oracle: it is chosen with the truth).
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts import labels, rows, style
from dip_exp.figures.parts.score_table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME = "stopping"

STEPS = {
    **dict.fromkeys(("denoise_s15", "denoise"), 900),
    "denoise_s50": 600,
    **dict.fromkeys(("denoise_poisson", "denoise_impulse_squared", "denoise_speckle"), 900),
    "inpaint": 1500,
    "superres": 700,
}
TASKS = {task: (labels.TASKS[task], steps) for task, steps in STEPS.items()}
"""{task: (label, its number of steps under stop=fixed at scale=mini)}."""

RULES = {
    "fixed": ("fixed number of steps", style.GREY, "|"),
    "wmv": ("windowed variance", style.BLUE, "o"),
    "emv": ("exponential variance", style.SKY, "s"),
    "discrepancy": ("discrepancy", style.VERMILION, "^"),
    "plateau": ("plateau of the loss", style.ORANGE, "D"),
    "heldout": ("held-out pixels", style.GREEN, "v"),
    "sure": ("SURE", style.PURPLE, "P"),
}

HORIZON = 2400.0
"""Number of steps of a watched run under the paper's optimizer (scale=mini)."""

FAR = 1.0
"""A choice more than this many dB below the peak counts as a failure."""


class Choice(NamedTuple):
    """A rule's choice in one run. peak, peak_step: PSNR and step of the oracle. ended: the step at which the rule would
    have ended the run, or None if it would not have. out_of: the run's number of steps. slowdown: seconds per step
    relative to the watched run."""

    psnr: float
    step: float
    ended: float | None
    out_of: float
    peak: float
    peak_step: float
    slowdown: float

    @property
    def gap(self) -> float:
        return self.peak - self.psnr


def choices(tables: Tables, task: str, rule: str, experiment: str = NAME) -> list[Choice]:
    """Returns a rule's choices in all finished runs of a task."""
    whole = tables.of(experiment)
    if not len(whole):
        return []
    whole = whole[whole["set.task"] == task]
    found = []
    for _, own in whole.groupby(["set.image", "seed"]):
        variant = own["set.variant"].str.removeprefix("stopping/").str.removesuffix("_fast")
        watched = own[variant == "watch"]
        peak = watched[watched.kind == "peak_average"]
        if not len(peak):
            continue
        peak, horizon = peak.iloc[0], float(peak.iloc[0].steps)
        against = (float(peak.psnr), float(peak.step))
        if rule == "fixed":
            step = float(TASKS[task][1]) * horizon / HORIZON
            found.append(Choice(at_step(tables, peak.run_id, step), step, step, horizon, *against, 1.0))
            continue
        chosen = watched[watched.kind == f"stopped_{rule}"]
        slowdown = 1.0
        if not len(chosen):
            mine = own[variant == rule]
            chosen = mine[mine.kind == "stopped"]
            if len(chosen):
                slowdown = float(chosen.iloc[0].seconds_per_step) / float(peak.seconds_per_step)
        if len(chosen):
            one = chosen.iloc[0]
            ended = float(one.ended) if np.isfinite(one.ended) else None
            found.append(Choice(float(one.psnr), float(one.step), ended, horizon, *against, slowdown))
    return found


def at_step(tables: Tables, run_id: str, step: float) -> float:
    """Returns the PSNR of a run's average at a step, interpolated between the kept steps of its curve."""
    curve = tables.curve(run_id)
    return float(np.interp(np.log(step), np.log(curve.step.to_numpy(float)), curve.psnr_average.to_numpy(float)))


def draw(tables: Tables) -> "Figure | None":
    """Returns a figure: above, one picture's watched run per task with every rule's choice; below, the gaps of all
    runs. Returns None if no run was watched."""
    import matplotlib.pyplot as plt

    shown = [task for task in TASKS if choices(tables, task, "wmv")]
    if not shown:
        return None
    figure = plt.figure(figsize=(style.TWO_COLUMNS, 6.6))
    grid = figure.add_gridspec(3, 4, height_ratios=[1, 1, 1.25], left=0.065, right=0.99, top=0.96, bottom=0.13)
    grid.update(wspace=0.28, hspace=0.55)
    for place, task in enumerate(shown):
        axes = figure.add_subplot(grid[place // 4, place % 4])
        _curve(axes, tables, task)
        if place % 4 == 0:
            axes.set_ylabel("PSNR of the average, dB")
        if place // 4 == (len(shown) - 1) // 4:
            axes.set_xlabel("step")
    below = figure.add_subplot(grid[2, :])
    _gaps(below, tables, shown)
    count = sum(len(choices(tables, task, "wmv")) for task in shown)
    note = (
        f"{count} watched runs. Above: astronaut, first seed. Below: every run, bars are means; dB below the peak "
        f"of the average, an oracle"
    )
    style.footer(figure, rows.small_print(tables, NAME, note))
    return figure


def _curve(axes: "Axes", tables: Tables, task: str) -> None:
    found = tables.of(NAME)
    watched = found[(found["set.task"] == task) & found["set.variant"].str.contains("watch")]
    watched = watched.sort_values(["set.image", "seed"])  # puts astronaut first, if it has run
    run_id = watched.run_id.iloc[0]
    own = watched[watched.run_id == run_id]
    curve = tables.curve(run_id)
    axes.plot(curve.step, curve.psnr_average, color=style.BLACK, linewidth=1)
    peak = own[own.kind == "peak_average"].psnr.iloc[0]
    for rule, (_, colour, marker) in RULES.items():
        step: float
        if rule == "fixed":
            step = TASKS[task][1]
            value = at_step(tables, run_id, step)
        else:
            row = own[own.kind == f"stopped_{rule}"]
            if not len(row):
                continue
            step, value = float(row.step.iloc[0]), float(row.psnr.iloc[0])
        size = 60 if marker == "|" else 22
        axes.scatter(
            [step], [value], color=colour, marker=marker, s=size, zorder=3, linewidth=1.2 if size > 50 else 0.5
        )
    axes.set_xscale("log")
    axes.set_xlim(100, None)
    axes.set_ylim(peak - 5, peak + 0.6)
    axes.set_title(TASKS[task][0], loc="left")
    axes.set_xticks([100, 300, 1000], ["100", "300", "1000"])
    axes.minorticks_off()
    style.light_grid(axes)


def _gaps(axes: "Axes", tables: Tables, shown: list[str]) -> None:
    found = {rule: [[one.gap for one in choices(tables, task, rule)] for task in shown] for rule in RULES}
    judging = {rule: look for rule, look in RULES.items() if any(found[rule])}
    width = 0.8 / len(judging)
    for number, (rule, (label, colour, marker)) in enumerate(judging.items()):
        for place, gaps in enumerate(found[rule]):
            if not gaps:
                continue
            x = place - 0.4 + (number + 0.5) * width
            axes.bar([x], [np.mean(gaps)], width * 0.9, color=colour, alpha=0.35)
            axes.scatter([x] * len(gaps), gaps, color=colour, s=5, linewidth=0, zorder=3)
        axes.scatter([], [], color=colour, marker=marker, s=18, label=label)
    axes.set_xticks(range(len(shown)), [TASKS[task][0].replace(" ", "\n", 1) for task in shown])
    axes.set_ylabel("dB below the peak")
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(0, 12)
    axes.set_yticks([0, 0.5, 1, 3, 10], ["0", "0.5", "1", "3", "10"])
    axes.tick_params(axis="x", length=0)
    style.light_grid(axes)
    axes.legend(ncol=7, loc="upper center", bbox_to_anchor=(0.48, 1.2), columnspacing=0.7, fontsize=6.5)


def table(tables: Tables) -> Table:
    """Returns, by task and rule, how far below the peak it stops, and what it saves."""
    return compared(tables, NAME, "When to stop")


def compared(tables: Tables, experiment: str, title: str) -> Table:
    """Returns the same table for any experiment with watched runs."""
    import pandas as pd

    lines = []
    for task, (label, _) in TASKS.items():
        for rule, (name, _, _) in RULES.items():
            found = choices(tables, task, rule, experiment)
            if found:
                lines.append({"task": label, "rule": name, **_line(found)})
    notes = (
        "Gap: dB of the average at the step a rule chose below the peak of the average of the watched run on the same "
        "picture and seed (an oracle), mean ± standard deviation, and the worst; below zero where a rule's own run "
        "went further. A choice more than 1 dB below counts as far.",
        "Chosen, ended: median share of the watched run's steps. Not ended: runs that a rule would have let go to "
        "their end; its choice is then its best so far, or the last picture. Step: time of a step, a watched run's "
        "being 1 (timed beside other work).",
        "Fixed: the task's own number of steps, set on coffee as the rules' settings were; σ 15, Poisson, impulse and "
        "speckle have that of σ 25.",
        rows.footnote(tables, experiment, lines),
    )
    return Table(title, pd.DataFrame(lines, columns=["task", "rule"] if not lines else list(lines[0])), notes)


def _line(found: list[Choice]) -> dict[str, str]:
    gaps = np.array([one.gap for one in found])
    spread = rows.spread(gaps)
    ended = [one.ended / one.out_of for one in found if one.ended is not None]
    return {
        "runs": f"{len(found)}",
        "gap, dB": f"{spread.mean:.2f} ± {spread.deviation:.2f}",
        "worst": f"{gaps.max():.2f}",
        "far": f"{(gaps > FAR).sum()}",
        "chosen": f"{np.median([one.step / one.out_of for one in found]):.2f}",
        "ended": f"{np.median(ended):.2f}" if ended else "–",
        "not ended": f"{len(found) - len(ended)}",
        "step": f"× {np.median([one.slowdown for one in found]):.2f}",
    }
