"""Runs that are still missing, and their estimated cost."""

from __future__ import annotations

import shlex
from statistics import median
from typing import TYPE_CHECKING

from dip_exp.experiments import sweeps
from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts import rows
from dip_exp.images import sets

if TYPE_CHECKING:
    from pandas import DataFrame


def section(tables: Tables, experiments: list[str]) -> str:
    """Returns a Markdown table of the experiments with missing runs; empty if none is missing."""
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


def missing(tables: Tables, experiment: str) -> DataFrame:
    """Returns an experiment's jobs whose runs are in no table. Means are excluded, because they are not run."""
    listed = _single(tables.listed(experiment))
    return listed[~listed.run_id.isin(tables.runs.run_id)]


def hours(tables: Tables, experiment: str) -> str:
    """Returns the estimated hours of an experiment's missing runs ("3.5 for 14 of them"); a dash if unknown."""
    jobs = [_settings(job) for job in missing(tables, experiment).job]
    paces, sizes = _paces(tables, experiment), _sizes(tables)
    known = [paces[of] * sizes[image] for of, image in jobs if of in paces and image in sizes]
    if not known:
        return "–"
    some = f" for {len(known)} of them" if len(known) < len(jobs) else ""
    return f"{sum(known) / 3600:.1f}{some}"


def _single(listed: DataFrame) -> DataFrame:
    return listed[~listed.seeds.str.contains("+", regex=False)] if len(listed) else listed


def _paces(tables: Tables, experiment: str) -> dict[frozenset[str], float]:
    """Returns {settings: median seconds per pixel} of runs comparable to an experiment's jobs: its own runs, and other
    experiments' runs whose settings name the task."""
    done = tables.runs.drop_duplicates("run_id").merge(tables.jobs[["experiment", "run_id", "job"]], on="run_id")
    found: dict[frozenset[str], list[float]] = {}
    single = done[done.members.isna()]
    columns = (single[name] for name in ("experiment", "job", "seconds", "width", "height"))
    for name, job, seconds, width, height in zip(*columns, strict=True):
        of, _ = _settings(str(job))
        if name == experiment or any(word.startswith("task=") for word in of):
            found.setdefault(of, []).append(seconds / (width * height))
    return {of: median(each) for of, each in found.items()}


def _sizes(tables: Tables) -> dict[str, float]:
    """Returns {picture: number of pixels}: from the manifest for sets, and from finished runs for other pictures."""
    once = tables.runs.drop_duplicates("image")
    columns = zip(once.image, once.width, once.height, strict=True)
    sizes = {str(image): float(width * height) for image, width, height in columns}
    return sizes | {entry.option: entry.width * entry.height for entry in sets.manifest() if entry.is_picture}


def _settings(job: str) -> tuple[frozenset[str], str]:
    """Returns a job's settings without the picture, and the picture."""
    words = shlex.split(job)
    images = [word.removeprefix("image=") for word in words if word.startswith("image=")]
    return frozenset(word for word in words if not word.startswith("image=")), images[0] if images else ""
