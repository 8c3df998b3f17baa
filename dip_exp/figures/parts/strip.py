"""Rows of pictures with captions, and a magnified detail below each."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from dip_exp.figures.parts import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Zoom = Literal["detail", "difference"] | None

Box = tuple[int, int, int]
"""(top, left, side) of a square, in pixels."""


@dataclass(frozen=True)
class Panel:
    """One picture (H, W, 1 or 3) in [0, 1] with its caption.

    picture: None if it is missing; `absent` then says why. title, note: the lines above it. theirs: the PSNR in dB that
    the paper or its authors report. of: text before the title. The last two appear only in tables of captions.
    """

    title: str
    note: str
    picture: np.ndarray | None
    absent: str = ""
    theirs: str = ""
    of: str = ""


def strip(panels: list[Panel], *, title: str, footer: str, zoom: Zoom = "detail", per_row: int = 6) -> "Figure":
    """Returns a figure of the panels in rows of `per_row`; with `zoom`, each has the same detail enlarged below it.

    The detail is a square with a third of the shorter side. It is where the first picture has most detail or, with
    `zoom` of "difference", where the second picture differs most from the first.
    """
    import matplotlib.pyplot as plt

    footer = style.wrapped(footer)
    shown = [panel.picture for panel in panels if panel.picture is not None]
    zoom = zoom if shown else None
    columns = min(per_row, len(panels))
    lines = -(-len(panels) // columns)
    aspect = shown[0].shape[0] / shown[0].shape[1] if shown else 0.75
    width = style.TWO_COLUMNS
    cell = (width - 0.1) / columns - 0.06
    heights = [cell * aspect, cell] if zoom else [cell * aspect]
    top, bottom = 0.34, 0.16 + 0.12 * footer.count("\n")
    caption = 0.36
    height = top + lines * (sum(heights) + caption + 0.06 * len(heights)) + bottom
    figure = plt.figure(figsize=(width, height))
    figure.text(0.01, 1 - 0.14 / height, title, fontsize=9, va="center", fontweight="bold")
    box = None
    if zoom:
        compared = zoom == "difference" and len(shown) > 1 and shown[0].shape == shown[1].shape
        box = _busiest(np.abs(shown[1] - shown[0]).mean(axis=2) if compared else _detail(shown[0]))
    for index, panel in enumerate(panels):
        row, column = divmod(index, columns)
        left = (0.05 + column * (cell + 0.06)) / width
        y = height - top - caption - row * (sum(heights) + caption + 0.06 * len(heights))
        for level, size in enumerate(heights):
            y -= size + (0.06 if level else 0)
            axes = figure.add_axes((left, y / height, cell / width, size / height))
            _show(axes, panel, box if level else None, None if level else box)
            if level == 0:
                above = {"xy": (0, 1), "xycoords": "axes fraction", "textcoords": "offset points", "va": "bottom"}
                axes.annotate(panel.title, xytext=(0, 11), fontsize=7.5, **above)
                axes.annotate(panel.note, xytext=(0, 2.5), fontsize=6.5, color=style.GREY, **above)
    style.footer(figure, footer)
    return figure


def _show(axes: "Axes", panel: Panel, part: Box | None, marked: Box | None) -> None:
    from matplotlib.patches import Rectangle

    axes.set_xticks([])
    axes.set_yticks([])
    if panel.picture is None and not panel.absent:  # an empty place
        axes.set_axis_off()
        return
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set(color=style.VERMILION if part else "#BBBBBB", linewidth=1.0 if part else 0.4)
    if panel.picture is None:
        axes.set_facecolor("#EEEEEE")
        middle = {"transform": axes.transAxes, "ha": "center", "va": "center"}
        axes.text(0.5, 0.5, panel.absent, fontsize=6, color=style.GREY, **middle)
        return
    shown = np.broadcast_to(panel.picture, (*panel.picture.shape[:2], 3))
    if part:
        top, left, side = part
        shown = shown[top : top + side, left : left + side]
    axes.imshow(shown, interpolation="none", vmin=0, vmax=1, aspect="auto")
    if marked:
        top, left, side = marked
        edge = {"edgecolor": style.VERMILION, "linewidth": 0.9, "facecolor": "none"}
        axes.add_patch(Rectangle((left - 0.5, top - 0.5), side, side, **edge))


def _detail(picture: np.ndarray) -> np.ndarray:
    """Returns the magnitude of the brightness gradient at each pixel, (H, W)."""
    down, right = np.gradient(picture.mean(axis=2))
    return np.hypot(down, right)


def _busiest(interest: np.ndarray) -> Box:
    """Returns (top, left, side) of the square with the largest mean interest. interest: (H, W)."""
    from skimage.util import view_as_windows

    side = max(8, min(interest.shape) // 3)
    if min(interest.shape) <= side:
        return 0, 0, min(interest.shape)
    step = max(1, side // 8)
    inside = view_as_windows(interest, (side, side), step).mean(axis=(2, 3))
    row, column = np.unravel_index(int(inside.argmax()), inside.shape)
    return int(row) * step, int(column) * step, side
