"""What has not run yet, and what it should cost."""

import shlex
from statistics import median

from dip_exp import sets, sweeps
from dip_exp.figures import rows
from dip_exp.tables import Frame, Tables


def section(tables: Tables, experiments: list[str]) -> str:
    """Returns the table, in Markdown, of the experiments with runs missing; empty where none is."""
    lines = []
    for name in experiments:
        listed, todo = tables.listed(name), missing(tables, name)
        if len(todo):
            shown = (sweeps.about(name) or {})["title"]
            cost, command = hours(tables, name), rows.command(tables, name)
            lines.append(f"| {name} | {shown} | {len(todo)} of {len(_single(listed))} | {cost} | `{command}` |")
    if not lines:
        return ""
    note = (
        "Hours: extrapolated, by pixels, from the seconds of runs of the same settings on other pictures (on their "
        "device); a dash where there is none. `ARGS=--dry-run` estimates them for your machine."
    )
    head = ["| experiment | shows | runs missing | hours | command |", "|---|---|---|---|---|"]
    return "\n\n".join(["## Not run yet", "\n".join([*head, *lines]), note])


def missing(tables: Tables, experiment: str) -> Frame:
    """Returns the jobs of an experiment whose runs are in no table; means of runs are made, not run."""
    listed = _single(tables.listed(experiment))
    return listed[~listed.run_id.isin(tables.runs.run_id)]


def hours(tables: Tables, experiment: str) -> str:
    """Returns the hours that the missing runs of an experiment should take, where that can be told: "3.5 for 14"."""
    known = [seconds for job in missing(tables, experiment).job if (seconds := _seconds(tables, experiment, job))]
    if not known:
        return "–"
    some = f" for {len(known)} of them" if len(known) < len(missing(tables, experiment)) else ""
    return f"{sum(known) / 3600:.1f}{some}"


def _single(listed: Frame) -> Frame:
    return listed[~listed.seeds.str.contains("+", regex=False)] if len(listed) else listed


def _seconds(tables: Tables, experiment: str, job: str) -> float | None:
    """Returns what a job should take by the runs of the same settings on other pictures; None where there is none."""
    settings, image = _settings(job)
    sizes = {entry.option: entry.width * entry.height for entry in sets.manifest() if entry.is_picture}
    sizes |= {row.image: row.width * row.height for row in tables.runs.itertuples() if row.image not in sizes}
    alike = [
        one.run_id
        for one in tables.jobs.itertuples()
        if _settings(one.job)[0] == settings and (one.experiment == experiment or "task" in settings)
    ]
    runs = tables.runs[tables.runs.run_id.isin(alike)].drop_duplicates("run_id")
    if not len(runs) or image not in sizes:
        return None
    return median(runs.seconds / (runs.width * runs.height)) * sizes[image]


def _settings(job: str) -> tuple[dict[str, str], str]:
    """Returns what a job's words set but for the picture, and the picture."""
    words = dict(word.split("=", 1) for word in shlex.split(job))
    return words, words.pop("image", "")
