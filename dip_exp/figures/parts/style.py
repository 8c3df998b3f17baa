"""The style of every figure: sizes for a paper's columns, one palette, and footers that say what was measured."""

from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import wrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ONE_COLUMN, TWO_COLUMNS = 3.5, 7.2  # inches

BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, BLACK, GREY = (
    *("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#777777"),
)
"""Okabe and Ito's palette, distinguishable with every kind of colour vision."""

SETTINGS: Any = {
    "font.size": 8,
    "font.family": "DejaVu Sans",
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.3,
    "figure.dpi": 100,
    "savefig.dpi": 150,
    "pdf.fonttype": 42,
    "svg.hashsalt": "dip_exp",
}


CHARACTERS = 150
"""Number of footer characters that fit in a line of two columns' width."""


@contextmanager
def styled() -> Iterator[None]:
    """Draws with the project's settings, without a display."""
    import matplotlib as mpl

    mpl.use("Agg")
    with mpl.rc_context(SETTINGS):
        yield


def footer(figure: "Figure", text: str, *, left: float = 0.01) -> None:
    """Writes small text along the bottom of a figure: scale, seeds, source. Long lines are wrapped."""
    broken = wrapped(text, figure.get_figwidth())
    figure.text(left, 0.005, broken, fontsize=6, color=GREY, ha="left", va="bottom", linespacing=1.35)


def wrapped(text: str, width: float = TWO_COLUMNS) -> str:
    """Returns footer text wrapped to fit a figure of a width in inches."""
    room = int(width / TWO_COLUMNS * CHARACTERS)
    return "\n".join(part for line in text.split("\n") for part in wrap(line, room, subsequent_indent="    "))


def light_grid(axes: "Axes") -> None:
    """Draws thin horizontal lines at the y ticks, behind the data."""
    axes.grid(True, axis="y", color="#DDDDDD", linewidth=0.5)
    axes.set_axisbelow(True)
