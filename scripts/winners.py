"""Writes which classical restorer does better than the network on which damage, from the committed runs of
experiment=restorers: dip_exp/runs/winners.csv, which a run's closing lines quote.

    python scripts/winners.py

A restorer counts that is better on average by `LEAD` dB and on more than half of the pictures.
"""

import csv
import sys
from io import StringIO
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from dip_exp.atomic import write_text  # noqa: E402
from dip_exp.experiments.tables import Tables  # noqa: E402
from dip_exp.figures.studies import restorers  # noqa: E402
from dip_exp.runs import winners  # noqa: E402

LEAD = 0.1
"""dB; less is no reason to send anyone elsewhere."""


def text(tables: Tables) -> str:
    """Returns the contents of winners.csv."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(winners.COLUMNS)
    for task in restorers.TASKS:
        found = restorers.compared(tables, task)
        if found is None:
            continue
        name, (ahead, better) = next(iter(found.classical)), (-found.above.mean(), int((found.above < 0).sum()))
        if ahead >= LEAD and 2 * better > len(found.above):
            writer.writerow([task, name, f"{ahead:.1f}", better, len(found.above)])
    return out.getvalue()


if __name__ == "__main__":
    write_text(ROOT / "dip_exp/runs" / winners.FILE, text(Tables(ROOT / "results", "mini")))
