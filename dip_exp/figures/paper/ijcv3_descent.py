"""One energy, descended over pixels, over pixels with total variation, over weights: the paths (IJCV 2020, Fig. 3)."""

from typing import TYPE_CHECKING

import numpy as np

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts import rows, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

NAME = "ijcv3_descent"

TITLE = "Descending one energy, over pixels and over weights"
VARIANTS = {
    "descent/pixels": ("over pixels", style.BLACK, ":"),
    "descent/pixels_tv": ("over pixels, with total variation", style.ORANGE, "--"),
    "descent/network": ("over a network's weights", style.BLUE, "-"),
}


def draw(tables: Tables) -> "Figure":
    """Returns the plane of truth and observation with the path of every run.

    A picture's distances to the truth and to the observation (root mean square, in units of the distance between the
    two) are the same in the plane as in the space of pictures. The plot does not show on which side of the line between
    them it lies.
    """
    import matplotlib.pyplot as plt

    found = tables.of(NAME)
    figure, (wide, near) = plt.subplots(1, 2, figsize=(style.TWO_COLUMNS, 3.2), width_ratios=(1, 1.3))
    for variant, (label, colour, line) in VARIANTS.items():
        of_variant = rows.picked(found, {"variant": variant})
        for number, run_id in enumerate(dict.fromkeys(of_variant.run_id)):
            noise = of_variant[(of_variant.run_id == run_id) & (of_variant.kind == "observation")].psnr.iloc[0]
            along, off, psnr = path(tables.curve(run_id), noise)
            best = int(np.argmax(psnr))
            for axes in (wide, near):
                look = {"color": colour, "linestyle": line, "linewidth": 1.1}
                axes.plot(along, off, label=None if number else label, **look)
                axes.plot(along[best], off[best], "o", color=colour, markersize=3.5)
            if number == 0:
                place = {"xytext": (5, 5), "textcoords": "offset points", "fontsize": 7, "color": colour}
                near.annotate(f"{psnr[best]:.1f} dB", (along[best], off[best]), **place)
    for axes, title in ((wide, "from the start"), (near, "near the truth")):
        axes.plot(0, 0, "*", color=style.VERMILION, markersize=9, zorder=5, label="truth")
        axes.plot(1, 0, "s", color=style.VERMILION, markersize=5, zorder=5, label="noisy observation")
        axes.set_xlabel("toward the observation")
        axes.set_title(title, loc="left")
    wide.set_ylabel("away from the line of the two")
    wide.set_ylim(-0.2, None)
    near.set_xlim(-0.1, 1.12)
    near.set_ylim(-0.04, 0.95)
    handles, labels = near.get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncols=5, columnspacing=1.2, handlelength=1.8)
    figure.subplots_adjust(left=0.07, right=0.99, top=0.85, bottom=0.25, wspace=0.18)
    notes = ("dots: where a path is nearest to the truth", "units: the distance of truth and observation")
    style.footer(figure, rows.small_print(tables, NAME, "; ".join(notes)))
    return figure


def path(curve: "DataFrame", observation_psnr: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns (along, off, psnr) of a run's kept steps. (along, off) is the point in the plane whose distances to the
    truth at (0, 0) and to the observation at (1, 0) are the iterate's, in units of the distance between the two."""
    apart = 10 ** (-observation_psnr / 10)
    to_y = curve.data.where(curve.data.notna(), curve.loss).to_numpy(dtype=float) / apart
    psnr = curve.psnr.to_numpy(dtype=float)
    to_x = 10 ** (-psnr / 10) / apart
    along = (1 + to_x - to_y) / 2
    return along, np.sqrt(np.clip(to_x - along**2, 0, None)), psnr
