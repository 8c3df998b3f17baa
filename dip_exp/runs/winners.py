"""In: a run's record. Out: a line that names the classical restorer which is known to do better on its damage.

winners.csv holds what the committed runs of `experiment=restorers` say: `python scripts/winners.py` writes it.
"""

import csv
from functools import cache
from importlib.resources import files
from pathlib import Path

from dip_exp.runs.record import Record, restorers

FILE = "winners.csv"
COLUMNS = ("task", "restorer", "ahead", "better", "pictures")
"""task: of conf/task. ahead: mean dB above the network. better: on how many of the `pictures`."""

EXTRA = {"BM3D": "rivals=all makes it too, with pip install -e '.[bm3d]'"}
"""How to get the picture of a restorer that a run does not make by default."""


@cache
def known() -> dict[str, dict[str, str]]:
    """Returns, by task, the row of the classical restorer that does better there."""
    text = files("dip_exp.runs").joinpath(FILE).read_text(encoding="utf-8")
    return {row["task"]: row for row in csv.DictReader(text.splitlines())}


def line(done: Record, folder: Path) -> str:
    """Returns the sentence for the end of a run; "" if no restorer is known to do better, or if its score is there."""
    row = known().get(done.get("choices", {}).get("task", ""))
    if row is None:
        return ""
    made = restorers(done)
    kind = next((kind for kind, one in made.items() if one and one["name"] == row["restorer"]), None)
    if kind is not None and kind in done["scores"]:
        return ""
    if kind is not None:
        where = f"; its picture: {folder / kind}.png"
    else:
        where = f"; {EXTRA[row['restorer']]}" if row["restorer"] in EXTRA else ""
    return (
        f"note: {row['restorer']}, a classical method, did better on such damage: by {row['ahead']} dB on average, on "
        f"{row['better']} of {row['pictures']} pictures (experiment=restorers, narrow networks){where}"
    )
