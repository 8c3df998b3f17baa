"""Other priors than the paper's network: what each reaches, and what it costs.

Not of the paper but for its own, `dip`. Every method's settings are those of one other picture (coffee), set there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts import labels, rows
from dip_exp.figures.parts.score_table import Table

if TYPE_CHECKING:
    from pandas import DataFrame

NAME = "priors"

TASKS = labels.of_tasks()
METHODS = {
    "dip": "deep image prior",
    "tv": "total variation alone",
    "dip_tv": "deep image prior and total variation",
    "narrow": "deep image prior, half as wide",
    "deep_decoder": "deep decoder",
    "fourier": "Fourier features as z",
    "projector": "deep random projector",
}
SAME_WEIGHTS = {"dip": "dip_tv"}
"""Methods with the same network: the first one's runs may be older than the column `weights`."""

HEADINGS = (
    *("task", "method", "runs", "average, last step", "above dip", "peak (oracle)"),
    *("steps", "seconds", "MB", "weights"),
)


def table(tables: Tables) -> Table:
    """Returns one row per task and method: PSNR in dB, steps, seconds, memory, and the number of optimised
    parameters."""
    import pandas as pd

    lines = []
    for task in TASKS:
        found = {
            method: rows.picked(tables.of(NAME), {"task": task, "variant": f"priors/{method}"}) for method in METHODS
        }
        lines += [_line(found, task, method) for method in METHODS if len(found[method])]
    notes = (
        "PSNR in dB of the running average, mean ± standard deviation over pictures and seeds; above dip: that of the "
        "differences at one picture and seed. Peak: of the best step, which is chosen with the truth (an oracle).",
        "Seconds: a run's, mean. MB: the peak of the whole process, mean; some 500 of them are there before a fit. "
        "Weights: how many numbers are optimised, z among them where it is one, on the largest picture.",
        rows.footnote(tables, NAME, lines),
    )
    return Table("Priors at equal cost", pd.DataFrame(lines, columns=list(HEADINGS)), notes)


def _line(found: dict[str, DataFrame], task: str, method: str) -> dict[str, str]:
    own, peak = (_of_kind(found[method], kind) for kind in ("average", "peak_average"))
    above = rows.spread(own.psnr - _of_kind(found["dip"], "average").psnr)
    cells = (
        *(TASKS[task], METHODS[method], f"{len(own)}", str(rows.spread(own.psnr))),
        "–" if method == "dip" or not above.count else f"{above.mean:+.2f} ± {above.deviation:.2f}",
        str(rows.spread(peak.psnr)),
        *(f"{own[column].mean():.0f}" for column in ("steps", "seconds")),
        f"{own.peak_memory_bytes.mean() / 1e6:.0f}",
        _weights(own, found[SAME_WEIGHTS.get(method, method)]),
    )
    return dict(zip(HEADINGS, cells, strict=True))


def _of_kind(found: DataFrame, kind: str) -> DataFrame:
    """Returns the rows of one output kind, indexed by picture and seed."""
    return found[found.kind == kind].set_index(["set.image", "seeds"])


def _weights(*runs: DataFrame) -> str:
    """Returns the largest number of weights in the first frame that has any."""
    known = [frame.weights.dropna() for frame in runs]
    return next((f"{most.max():,.0f}" for most in known if len(most)), "–")
