"""Learning curves: the network fits a natural picture at once and noise late (CVPR 2018, Fig. 2)."""

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts import rows, style
from dip_exp.figures.parts.checks import Check

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME = "fig2_curves"

TARGETS = {
    "natural": ("image", "picture", style.BLUE),
    "noisy": ("image_noise", "picture + noise", style.GREEN),
    "scrambled": ("shuffled", "picture, pixels permuted", style.VERMILION),
    "uniform": ("uniform", "uniform noise", style.PURPLE),
}
"""{our name: (the paper's curve, legend label, colour as in the paper)}."""

UNIFORM_VARIANCE = 1 / 12
VARIANCE = {"paper": 0.0626, "mini": 0.0592}
"""Variance within a channel of each scale's picture: the loss that remains if only the mean is fitted."""

FIRST = 9  # the first step of the paper's curves


def draw(tables: Tables) -> "Figure":
    """Returns the paper's digitised curves beside ours, mean and range over seeds."""
    import matplotlib.pyplot as plt

    found = tables.of(NAME)
    figure, (left, right) = plt.subplots(1, 2, figsize=(style.TWO_COLUMNS, 3.1), sharey=True)
    published = tables.reference("fig2_curves")
    for ours, (theirs, label, colour) in TARGETS.items():
        curve = published[published.target == theirs]
        left.plot(curve.iteration, curve.mse, color=colour, label=label)
        plot(right, tables, ours)
    dress(left, "paper (digitised)")
    dress(right, f"ours, scale={tables.scale}")
    left.set_ylabel("mean squared error to the target")
    left.legend(loc="upper right", bbox_to_anchor=(1.0, 0.92))
    figure.subplots_adjust(left=0.08, right=0.99, top=0.92, bottom=0.28, wspace=0.06)
    marks = "   ".join(f"{'pass' if check.passed else 'FAIL'}: {check.name}" for check in checks(tables))
    band = "band: range over seeds" if found.seed.nunique() > 1 else "one seed"
    style.footer(figure, rows.small_print(tables, NAME, f"{band}; dotted: 1/12, the variance of uniform noise", marks))
    return figure


def plot(axes: "Axes", tables: Tables, target: str, experiment: str = NAME) -> None:
    """Draws our curve of one target, mean and range over seeds."""
    steps, values = curves(tables, target, experiment)
    _, label, colour = TARGETS[target]
    if len(values):
        axes.plot(steps, values.mean(axis=0), color=colour, label=label)
        if len(values) > 1:
            axes.fill_between(steps, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.25, linewidth=0)


def dress(axes: "Axes", title: str) -> None:
    """Styles the axes of learning curves."""
    axes.set_xscale("log")
    axes.set_xlim(FIRST, None)
    axes.set_ylim(0, 0.1)
    axes.axhline(UNIFORM_VARIANCE, color=style.GREY, linewidth=0.6, linestyle=":")
    axes.set_xlabel("step (logarithmic)")
    axes.set_title(title, loc="left")
    style.light_grid(axes)


def curves(tables: Tables, target: str, experiment: str = NAME) -> tuple[np.ndarray, np.ndarray]:
    """Returns (steps (n,), losses (seeds, n)) of one target."""
    found = tables.of(experiment)
    runs = sorted(set(rows.picked(found, {"task.target": target}).run_id))
    each = [tables.curve(run_id) for run_id in runs]
    if not each:
        return np.empty(0), np.empty((0, 0))
    steps = each[0].step.to_numpy(dtype=float)
    return steps, np.array([np.interp(np.log(steps), np.log(c.step.astype(float)), c.loss) for c in each])


def _mean(tables: Tables, target: str) -> tuple[np.ndarray, np.ndarray]:
    steps, values = curves(tables, target)
    return steps, values.mean(axis=0) if len(values) else values


def checks(tables: Tables) -> list[Check]:
    """Returns the checks of the curves: at paper scale against the paper's curves, in the miniature for ordering and
    plateaus.

    A miniature is fitted ten times sooner. Late in its fit, permuted pixels (one permutation for three channels) cost
    less than noise, so its ordering is by the steps that a target takes to reach a quarter of its first loss.
    """
    known = {target: _mean(tables, target) for target in TARGETS}
    if any(len(steps) == 0 for steps, _ in known.values()):
        return []
    mini = tables.scale == "mini"
    window = (FIRST, 30) if mini else (30, 100)
    return [
        _fitted_in_order(known) if mini else _order(known),
        _plateau(known, "uniform", UNIFORM_VARIANCE, *window, name="uniform noise waits at 1/12"),
        _plateau(known, "scrambled", VARIANCE[tables.scale], *window, name="permuted pixels wait at their variance"),
        *([] if mini else _paper_scale(known)),
    ]


def _fitted_in_order(known: dict[str, tuple[np.ndarray, np.ndarray]]) -> Check:
    reached = []
    for steps, losses in known.values():
        below = steps[losses < losses[0] / 4]
        reached.append(float(below[0]) if len(below) else float("inf"))
    detail = "a quarter of the first loss at steps " + ", ".join(f"{step:.0f}" for step in reached)
    return Check("fitted in order: picture, + noise, permuted, uniform", _increasing(reached), detail)


def _paper_scale(known: dict[str, tuple[np.ndarray, np.ndarray]]) -> list[Check]:
    def at(target: str, step: float) -> float:
        steps, losses = known[target]
        return float(np.interp(step, steps, losses))

    half = known["uniform"][0][known["uniform"][1] < UNIFORM_VARIANCE / 2]
    lingers = [at("noisy", step) for step in (300, 500, 1000)]
    return [
        Check(
            "uniform noise halves near step 500",
            bool(len(half)) and 250 <= half[0] <= 1000,
            f"at {half[0]:.0f}" if len(half) else "not reached",
        ),
        Check("the picture is below 0.01 by step 50", at("natural", 50) < 0.01, f"{at('natural', 50):.4f} at 50"),
        Check(
            "picture + noise lingers near σ² (0.0096), steps 300 to 1000",
            all(0.006 < value < 0.0125 for value in lingers),
            ", ".join(f"{value:.4f}" for value in lingers),
        ),
    ]


def _between(steps: np.ndarray, losses: np.ndarray, first: float, last: float) -> np.ndarray:
    return losses[(steps >= first) & (steps <= last)]


def _order(known: dict[str, tuple[np.ndarray, np.ndarray]]) -> Check:
    steps = known["natural"][0]
    losses = [np.interp(steps, known[target][0], known[target][1]) for target in TARGETS]
    wrong = [float(s) for i, s in enumerate(steps) if s >= FIRST and not _increasing([c[i] for c in losses])]
    detail = "at every kept step" if not wrong else f"not at steps {wrong[0]:.0f} to {wrong[-1]:.0f}"
    return Check("picture < + noise < permuted < uniform", not wrong, detail)


def _increasing(values: list[float]) -> bool:
    return all(a < b for a, b in pairwise(values))


def _plateau(
    known: dict[str, tuple[np.ndarray, np.ndarray]], target: str, level: float, first: int, last: int, *, name: str
) -> Check:
    steps, losses = known[target]
    losses = _between(steps, losses, first, last)
    passed = bool(len(losses)) and bool((np.abs(losses / level - 1) < 0.1).all())
    detail = f"{losses.min():.4f} to {losses.max():.4f} in steps {first} to {last}, level {level:.4f}"
    return Check(name, passed, detail)
