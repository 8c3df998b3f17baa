"""How every figure looks: sizes for a paper's columns, one palette, captions that say what was measured."""

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
"""Okabe and Ito's palette: told apart by every kind of colour vision."""

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
"""Of small print, in a line of two columns' width."""


@contextmanager
def styled() -> Iterator[None]:
    """Draws with the project's settings, and without a screen."""
    import matplotlib as mpl

    mpl.use("Agg")
    with mpl.rc_context(SETTINGS):
        yield


def footer(figure: "Figure", text: str, *, left: float = 0.01) -> None:
    """Writes small print along the bottom of a figure: scale, seeds, source. Lines too long are broken."""
    broken = wrapped(text, figure.get_figwidth())
    figure.text(left, 0.005, broken, fontsize=6, color=GREY, ha="left", va="bottom", linespacing=1.35)


def wrapped(text: str, width: float = TWO_COLUMNS) -> str:
    """Returns small print broken to lines that a figure of a width, in inches, has room for."""
    room = int(width / TWO_COLUMNS * CHARACTERS)
    return "\n".join(part for line in text.split("\n") for part in wrap(line, room, subsequent_indent="    "))


def light_grid(axes: "Axes") -> None:
    """Draws thin lines behind the data at the ticks of y."""
    axes.grid(True, axis="y", color="#DDDDDD", linewidth=0.5)
    axes.set_axisbelow(True)
