"""Does stochastic gradient Langevin dynamics overfit? Denoising at three times the paper's steps, beside Adam.

Not of the paper: Cheng et al. (CVPR 2019) say that it does not. PSNR of the running average against steps; the line
across is the mean of the samples after burn-in, which is their result. In miniature the noise is a quarter of theirs:
it was set on another picture (coffee), where theirs is too much for so few steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts import labels, rows, style
from dip_exp.figures.parts.score_table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame, Series

NAME = "sgld"

LONG = {"sgld/long_adam": ("Adam", style.BLACK), "sgld/long": ("SGLD", style.VERMILION)}
VARIANTS = {
    "sgld/denoise": labels.TASKS["denoise"],
    "sgld/no_noise": "denoising, no noise (Adam)",
    "sgld/superres": labels.TASKS["superres"],
    "sgld/inpaint": labels.TASKS["inpaint"],
    "sgld/long": "denoising, three times the steps",
    "sgld/long_adam": "the same by Adam",
}


def draw(tables: Tables) -> Figure | None:
    """Returns one panel per picture with the PSNR of the running average against steps, or None if nothing has run."""
    import matplotlib.pyplot as plt

    found = tables.of(NAME)
    pictures = [
        image
        for image in dict.fromkeys(tables.listed(NAME).get("set.image", []))
        if any(len(rows.picked(found, {"variant": variant, "image": image})) for variant in LONG)
    ]
    if not pictures:
        return None
    figure, grid = plt.subplots(1, len(pictures), figsize=(style.TWO_COLUMNS, 2.3), squeeze=False)
    legend = {}
    for axes, image in zip(grid.flat, pictures, strict=True):
        for variant, (label, colour) in LONG.items():
            done = rows.picked(found, {"variant": variant, "image": image})
            for run_id in dict.fromkeys(done.run_id):
                curve = tables.curve(run_id)
                axes.plot(curve.step, curve.psnr_average, color=colour, label=label)
            posterior = done[done.kind == "posterior"].psnr
            if len(posterior):
                axes.axhline(posterior.mean(), color=colour, linewidth=0.7, linestyle="--", label=f"{label}, samples")
        axes.set_xscale("log")
        axes.set_xlim(left=axes.get_xlim()[1] / 60)
        low, high = axes.get_ylim()
        axes.set_ylim(max(low, high - 8), high)
        legend |= {str(line.get_label()): line for line in axes.get_lines()}
        axes.set_title(image, loc="left")
        axes.set_xlabel("step")
        style.light_grid(axes)
    grid[0, 0].set_ylabel("PSNR of the average, dB")
    figure.legend(legend.values(), legend.keys(), loc="lower right", ncol=len(legend), bbox_to_anchor=(0.99, 0))
    figure.subplots_adjust(left=0.07, right=0.99, top=0.9, bottom=0.32, wspace=0.25)
    style.footer(figure, rows.small_print(tables, NAME, "dashed: mean of the samples after burn-in"))
    return figure


def table(tables: Tables) -> Table:
    """Returns, by task, the final scores of the average and the samples, and how far the average falls below its
    peak."""
    import pandas as pd

    found, lines = tables.of(NAME), []
    for variant, title in VARIANTS.items():
        done = rows.picked(found, {"variant": variant})
        if not len(done):
            continue
        last, peak = _by_picture(done, "average"), _by_picture(done, "peak_average")
        posterior = _by_picture(done, "posterior")
        top = done[done.kind == "peak_average"]
        lines.append(
            {
                "": title,
                "pictures": f"{len(last)}",
                "average, last step": f"{last.mean():.2f}",
                "its peak": f"{peak.mean():.2f}",
                "lost": f"{(peak - last).mean():.2f}",
                "peak at": f"{(top.step / top.steps).median():.2f}",
                "mean of samples": f"{posterior.mean():.2f}" if len(posterior) else "–",
                "samples - average": f"{(posterior - last).mean():+.2f}" if len(posterior) else "–",
            }
        )
    notes = (
        "PSNR in dB, mean over pictures (protocol of the task). Peak: the best running average by the truth (an "
        "oracle); lost: how far below it the last one is, which is how much the fit overfits; peak at: median share of "
        "the steps.",
    )
    headings = ["", "pictures"] if not lines else list(lines[0])
    return Table(
        "Langevin dynamics", pd.DataFrame(lines, columns=headings), (*notes, rows.footnote(tables, NAME, lines))
    )


def _by_picture(done: DataFrame, kind: str) -> Series:
    return done[done.kind == kind].groupby("image").psnr.mean()
