"""Learning curves under orthogonalised momentum: a picture is still fitted before noise, and all of it sooner."""

from typing import TYPE_CHECKING

from dip_exp.experiments.tables import Tables
from dip_exp.figures.paper import fig2_curves
from dip_exp.figures.parts import rows, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "muon_curves"


def draw(tables: Tables) -> "Figure":
    """Returns our curves under Adam beside those under Muon, mean and range over seeds."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(style.TWO_COLUMNS, 3.1), sharey=True)
    for target in fig2_curves.TARGETS:
        fig2_curves.plot(left, tables, target)
        fig2_curves.plot(right, tables, target, NAME)
    fig2_curves.dress(left, f"Adam, scale={tables.scale}")
    fig2_curves.dress(right, "orthogonalised momentum")
    for axes in (left, right):
        axes.set_xlim(1, None)
    left.set_ylabel("mean squared error to the target")
    right.legend(loc="upper right", fontsize=6)
    figure.subplots_adjust(left=0.08, right=0.99, top=0.92, bottom=0.25, wspace=0.06)
    style.footer(figure, rows.small_print(tables, NAME, "dotted: 1/12, the variance of uniform noise"))
    return figure
