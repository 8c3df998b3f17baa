"""How orthogonalised momentum depends on its step and on the average's constant: on coffee, where both were set."""

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts import rows
from dip_exp.figures.parts.score_table import Table

NAME = "muon_tuning"


def table(tables: Tables) -> Table:
    """Returns the PSNR of the average at half of Adam's steps: one row per task and constant, one column per step
    size."""
    import pandas as pd

    found = tables.of(NAME)
    found = found[found.kind == "average"]
    rates = sorted(set(found["set.optim.kernel_lr"]), key=float) if len(found) else []
    lines = []
    for task in ("superres", "denoise", "inpaint"):
        for constant in ("0.95", "0.98", "0.99"):
            picks = {"task": task, "optim.average": constant}
            cells = {
                f"lr {rate}": str(rows.spread(rows.picked(found, picks | {"optim.kernel_lr": rate}).psnr))
                for rate in rates
            }
            lines.append({"task": task, "average": constant, **cells})
    notes = (
        "PSNR in dB of the running average at half of Adam's number of steps; coffee, seed 0.",
        rows.footnote(tables, NAME, lines),
    )
    return Table("Orthogonalised momentum, tuned on coffee", pd.DataFrame(lines), notes)
