"""How the stop rules depend on their settings: on coffee, where they were set."""

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts import rows
from dip_exp.figures.parts.score_table import Table
from dip_exp.figures.studies import stopping

NAME = "stopping_tuning"


def table(tables: Tables) -> Table:
    """Returns the gap to the peak: one row per rule and setting, one column per task."""
    import pandas as pd

    found = tables.of(NAME)
    kinds = [kind for kind in dict.fromkeys(found.kind) if str(kind).startswith("stopped_")] if len(found) else []
    lines = []
    for kind in sorted(kinds):
        line = {"rule": kind.removeprefix("stopped_")}
        for task, (label, _) in stopping.TASKS.items():
            own = found[found["set.task"] == task]
            chosen, peak = own[own.kind == kind], own[own.kind == "peak_average"]
            if len(chosen) and len(peak):
                end = "" if chosen.ended.notna().all() else " (not ended)"
                line[label] = f"{float(peak.psnr.iloc[0]) - float(chosen.psnr.iloc[0]):.2f}{end}"
            else:
                line[label] = "–"
        lines.append(line)
    notes = (
        "dB of the average at the chosen step below the peak of the average (an oracle), coffee, seed 0; –: the "
        "rule cannot judge the task, or never ended the run. wmv_1, wmv_2: a window of 100 and 200 steps, the "
        "average's memory and twice that; emv_half, emv_1: half the memory and all of it; impatient: 100 steps of "
        "patience, not 300; few, all: 2,048 and all pixel values, not 16,384; discrepancy_95: tau 0.95; "
        "plateau_2_10: 200 steps and a fall of 10 %, the others 5 % (plateau_4: 10 %).",
        rows.footnote(tables, NAME, lines),
    )
    return Table("Stop rules, tuned on coffee", pd.DataFrame(lines, columns=["rule"] if not lines else None), notes)
