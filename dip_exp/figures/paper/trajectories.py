"""PSNR against step, beside the iterates that the authors published."""

from typing import TYPE_CHECKING, cast

import numpy as np

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts import rows, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame, Series

NAME = "trajectories"

TITLES = {
    "F16": "F16: denoising, σ = 25",
    "zebra": "zebra: super-resolution by 4 (RGB)",
    "snail": "snail: fit to the JPEG itself",
    "kate": "kate: text inpainting",
    "library": "library: irregular holes",
    "vase": "vase: a large hole",
    "mini_denoise": "denoising, σ = 25",
    "mini_superres": "super-resolution by 4 (Y)",
    "mini_jpeg": "JPEG, quality 10",
    "mini_text": "text inpainting",
    "mini_library": "irregular holes",
    "mini_region": "a large hole",
    "cave": "cave: flash and no-flash",
    "mini_flash": "flash, a synthetic pair",
}
FROM_LOSS = ("snail", "cave")
"""Runs without a truth. Their PSNR is that of the fit to the observation, -10 log10 of the loss."""


def draw(tables: Tables) -> "Figure":
    """Returns one small plot per finished variant: our iterates, their running average, and the authors' iterates."""
    import matplotlib.pyplot as plt

    listed, done = tables.listed(NAME), set(tables.of(NAME)["set.variant"])
    variants = [variant for variant in dict.fromkeys(listed["set.variant"]) if variant in done]
    lines, columns = -(-len(variants) // 3), min(len(variants), 3)
    height = 4.1 if lines > 1 else 2.6
    figure, axes = plt.subplots(lines, columns, figsize=(style.TWO_COLUMNS, height), squeeze=False)
    for number, (place, variant) in enumerate(zip(axes.flat, variants, strict=False)):
        _one(place, tables, variant)
        if number + columns >= len(variants):
            place.set_xlabel("step (logarithmic)")
    averaged = any(variant.rpartition("/")[2] not in FROM_LOSS for variant in variants)
    for place in axes.flat[len(variants) :]:
        place.set_visible(False)
    for place in axes[:, 0]:
        place.set_ylabel("PSNR, dB")
    handles = [
        *axes.flat[0].plot([], [], color=style.BLUE, alpha=0.5, linewidth=0.8, label="ours, iterate"),
        *(axes.flat[0].plot([], [], color=style.BLUE, label="ours, running average") if averaged else []),
    ]
    if tables.scale == "paper":
        handles += axes.flat[0].plot([], [], color=style.BLACK, linestyle="--", linewidth=1, label="authors, iterate")
    figure.legend(handles=handles, loc="upper right", ncols=len(handles), bbox_to_anchor=(0.99, 1.0))
    figure.subplots_adjust(
        left=0.07 if lines > 1 else 0.08,
        right=0.99,
        top=1 - 0.41 / height,
        bottom=0.656 / height,
        wspace=0.22,
        hspace=0.38,
    )
    style.footer(figure, rows.small_print(tables, NAME, "iterates: mean over seeds; shaded: their range"))
    return figure


def _one(axes: "Axes", tables: Tables, variant: str) -> None:
    name = variant.rpartition("/")[2]
    axes.set_title(TITLES[name], loc="left")
    axes.set_xscale("log")
    style.light_grid(axes)
    top = -np.inf
    steps, raw, average = _curves(tables, variant, name)
    if len(steps):
        axes.plot(steps, raw.mean(axis=0), color=style.BLUE, alpha=0.5, linewidth=0.8)
        if len(raw) > 1:
            axes.fill_between(steps, raw.min(axis=0), raw.max(axis=0), color=style.BLUE, alpha=0.15, linewidth=0)
        if np.isfinite(average).any():
            axes.plot(steps, average.mean(axis=0), color=style.BLUE)
        top = np.nanmax([np.nanmax(raw), np.nanmax(average) if np.isfinite(average).any() else -np.inf])
    if tables.scale == "paper":
        theirs = tables.reference("trajectories")
        theirs = theirs[(theirs.run == name) & (theirs.iteration > 0)]
        axes.plot(theirs.iteration, theirs.psnr_db, color=style.BLACK, linestyle="--", linewidth=1)
        top = max(top, theirs.psnr_db.max())
    axes.set_xlim(10, None)
    if np.isfinite(top):
        axes.set_ylim(top - 16, top + 1)


def _curves(tables: Tables, variant: str, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns (steps (n,), iterates (seeds, n), averages (seeds, n)), PSNR in dB."""
    found = tables.of(NAME)
    runs = sorted(set(rows.picked(found, {"variant": variant}).run_id))
    each = [tables.curve(run_id) for run_id in runs]
    if not each:
        return np.empty(0), np.empty((0, 0)), np.empty((0, 0))
    raw = [curve_psnr(curve, of_fit=name in FROM_LOSS) for curve in each]
    average = np.array([c.psnr_average for c in each], dtype=float)
    return each[0].step.to_numpy(dtype=float), np.array(raw, dtype=float), average


def curve_psnr(curve: "DataFrame", *, of_fit: bool) -> "Series":
    """Returns the PSNR of the iterates in dB. of_fit: against the observation, for runs without a truth."""
    return cast("Series", -10 * np.log10(curve.loss)) if of_fit else curve.psnr
