"""In: finished runs of experiments. Out: the committed tables. Rows are added or replaced by run_id, never deleted."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import StringIO
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dip_exp import images
from dip_exp.atomic import drop_unfinished, write_text
from dip_exp.experiments import means, sweeps, tables
from dip_exp.metrics import kinds
from dip_exp.runs.folder import RunFolder, lock_of, sound
from dip_exp.runs.record import Record

if TYPE_CHECKING:
    from pandas import DataFrame, Series

CURVE_POINTS = 70
"""Number of a curve's steps to keep, evenly spaced on a logarithmic axis. Steps with snapshots are kept in addition."""


Row = dict[str, object]
"""A row of a table, by column."""


@dataclass(frozen=True)
class Collected:
    """An experiment's progress at one scale.

    listed: number of its jobs. finished: number of jobs whose runs are in the tables. seconds: their total time.
    refused: for each finished run that was refused, the reason; a run shared by two experiments appears once.
    """

    experiment: str
    listed: int
    finished: int
    seconds: float
    refused: tuple[str, ...] = ()


def collect(results: Path, scale: str, experiments: Iterable[str], *, allow_dirty: bool = False) -> list[Collected]:
    """Collects the finished runs of experiments into `results/tables/<scale>` and returns each experiment's progress.

    Takes only runs on an experiment's job list, so that private runs never get in. Refuses a run whose record names no
    clean commit, unless `allow_dirty` is set, and takes the others.
    """
    with lock_of(results, f"tables-{scale}"):  # two sweeps that end at once must not lose rows
        return _collect(results, scale, experiments, allow_dirty)


def tell_refused(collected: Iterable[Collected]) -> int:
    """Prints on standard error which runs were refused and why. Returns their number."""
    told = [why for one in collected for why in one.refused]
    if told:
        print(
            "\n".join([*told, f"error: runs not taken into the tables: {len(told)}; the others were"]), file=sys.stderr
        )
    return len(told)


def _collect(results: Path, scale: str, experiments: Iterable[str], allow_dirty: bool) -> list[Collected]:
    target = tables.folder(results, scale)
    before = tables.Tables(results, scale)
    rows, curves, calibrations, jobs = [], [], [], []
    known, taken = set(before.runs.run_id), set()
    refused: dict[str, tuple[str, str]] = {}
    names = list(experiments)
    for name in names:
        listed = [*finished_jobs(results, name, scale, known, allow_dirty=allow_dirty)]
        listed += means.make(results, name, listed)
        for job in listed:
            jobs.append({"experiment": name, "run_id": job.run_id, "seed": job.seeds, "job": job.label})
            done = RunFolder(results, job.run_id).record()
            if done is None:
                continue
            if not (allow_dirty or is_accounted_for(done)):
                told_of = {job.run_id, *done.get("members", [])} & refused.keys()
                if not _is_in(before.runs, done) and not told_of:
                    refused[job.run_id] = (name, _why_refused(done, name, scale, job))
                continue
            if job.run_id not in taken:  # a run that two experiments share gets its rows once
                rows += rows_of(done)
                curves += _curve(results, done)
                calibrations += _calibration(done)
                taken.add(job.run_id)
            if job.first:
                _panels(results, scale, name, done)
    target.mkdir(parents=True, exist_ok=True)
    drop_unfinished(target)
    runs = _upsert(target / "runs.csv", tables.RUN_COLUMNS, rows, "run_id", ["run_id", "kind"])
    _upsert(target / "curves.csv", tables.CURVE_COLUMNS, curves, "run_id", ["run_id", "step"])
    calibrated = target / "calibration.csv"
    if calibrations or calibrated.is_file():
        _upsert(calibrated, tables.CALIBRATION_COLUMNS, calibrations, "run_id", ["run_id", "bin"])
    listing = _upsert(target / "jobs.csv", tables.JOB_COLUMNS, jobs, "experiment", ["experiment"], gone=names)
    why = {name: tuple(text for of, text in refused.values() if of == name) for name in names}
    return [_progress(name, listing, runs, why[name]) for name in names]


def is_accounted_for(done: Record) -> bool:
    """Returns whether the record's commit fully identifies the code: a clean tree of a git checkout."""
    return done["dirty"] is False


def _is_in(runs: DataFrame, done: Record) -> bool:
    """Returns whether the tables have this very run (same seconds and commit), not just one with the same run_id."""
    own = runs[runs.run_id == done["run_id"]]
    return bool(((own.seconds == done["seconds"]) & (own.commit.fillna("") == (done["commit"] or ""))).any())


def _why_refused(done: Record, name: str, scale: str, job: means.Listed) -> str:
    differs = f"was made from a tree that differs from its commit, {str(done['commit'])[:7]}"
    tree = differs if done["dirty"] else "was made outside a git checkout"
    again = " and ".join(
        f"python run.py experiment={name} scale={scale} {job.label} seed={seed} force=true"
        for seed in job.seeds.split("+")
    )
    return (
        f"collect: run {done['run_id']} of {name} {tree}; rows are taken from clean trees alone  "
        f"[commit, then {again}; or, for private use, scripts/collect.py --allow-dirty]"
    )


def finished_jobs(
    results: Path, name: str, scale: str, known: set[str], *, allow_dirty: bool = False
) -> Iterator[means.Listed]:
    """Yields an experiment's jobs for one seed, and for each further seed of which more than half the jobs are done.

    Because of that limit, a few runs shared with another experiment do not count as a further seed. Refused runs do not
    count either.
    """

    def has_run(run_id: str) -> bool:
        done = RunFolder(results, run_id).record()
        return run_id in known or (done is not None and (allow_dirty or is_accounted_for(done)))

    seen: set[str] = set()
    for seeds in count(1):
        new = [job for job in sweeps.jobs(name, scale, seeds) if job.run_id not in seen]
        done = [job for job in new if has_run(job.run_id)]
        if not new or (seeds > 1 and 2 * len(done) <= len(new)):
            return
        seen |= {job.run_id for job in new}
        yield from (means.Listed(job.run_id, job.label, str(job.seed), seeds == 1) for job in new)


def _progress(name: str, listing: DataFrame, runs: DataFrame, refused: tuple[str, ...]) -> Collected:
    wanted = listing[listing.experiment == name].run_id
    done = runs[runs.run_id.isin(wanted)].drop_duplicates("run_id")
    seconds = done[done.members.isna()].seconds.sum()
    return Collected(name, len(wanted), len(done), float(seconds), refused)


def rows_of(done: Record) -> list[Row]:
    """Returns a record as rows of runs.csv, one per output kind. An unscored run has one row, of kind `stopped`."""
    settings, choices, picture, classical = done["config"], done["choices"], done["picture"], done["baseline"]
    facts = {
        "run_id": done["run_id"],
        **{group: choices.get(group) for group in ("task", "arch", "input", "optim", "stop", "image")},
        "picture": picture["name"],
        "channels": picture["channels"],
        "role": picture["role"],
        **dict(zip(("width", "height"), picture["size"], strict=True)),
        **{key: settings[key] for key in ("seed", "degrade_seed", "precision")},
        "lr": settings["optim"]["lr"],
        "weights": done["weights"],
        "steps": done["steps"],
        "stop_reason": done["stop"]["reason"],
        **({} if classical is None else {"baseline": classical["name"], "baseline_seconds": classical["seconds"]}),
        **{key: done["versions"].get(key) for key in ("torch", "dip_exp")},
        "members": " ".join(done.get("members", [])) or None,
    }
    same = ("rollbacks", "protocol", "seconds", "seconds_per_step", "peak_memory_bytes", "device", "threads")
    facts.update({key: done[key] for key in (*same, "commit", "dirty")})
    if "members" in done:
        facts["seed"] = done["seeds"]
    scores = done["scores"] or {"stopped": {}}
    return [
        {
            **facts,
            **_rival(done, kind),
            "kind": kind,
            "step": done["steps_of"].get(kind),
            "ended": _ended(done, kind),
            **row,
        }
        for kind, row in scores.items()
    ]


def _ended(done: Record, kind: str) -> int | None:
    """Returns the step at which a rule ended the run, or would have ended it; None if the run took all its steps."""
    told = done["stop"]["told"].get(kind)
    if told is not None:
        return told["ended"]
    return done["steps"] if kind == kinds.STOPPED and done["stop"]["ended"] else None


def _rival(done: Record, kind: str) -> Row:
    """Returns the name and seconds of a rival, for its row; {} for other kinds."""
    own = done["rivals"].get(kind)
    return {} if own is None else {"baseline": own["name"], "baseline_seconds": own["seconds"]}


def _calibration(done: Record) -> list[Row]:
    """Returns the calibration of a run's map of standard deviations, one row per bin; [] without a map."""
    found = done.get("calibration")
    if found is None:
        return []
    numbers = {key: found[key] for key in ("kind", "ratio", "rank_correlation", "ause")}
    bins = enumerate(zip(found["std"], found["error"], strict=True), 1)
    return [{"run_id": done["run_id"], "bin": n, "std": std, "error": error, **numbers} for n, (std, error) in bins]


def _curve(results: Path, done: Record) -> list[Row]:
    import pandas as pd

    path = RunFolder(results, done["run_id"]).path / "history.csv"
    if not path.is_file():
        return []
    history = pd.read_csv(path)
    last = len(history)
    spread = {round(last ** (point / (CURVE_POINTS - 1))) for point in range(CURVE_POINTS)}
    pictures = {int(picture.stem) for picture in (path.parent / "snapshots").glob("*.png")}
    kept = sorted(spread | {step for step in pictures if step <= last})
    thinned = history.iloc[[step - 1 for step in kept]]
    rounded = thinned.reindex(columns=list(tables.CURVE_COLUMNS[2:])).map(lambda value: float(f"{value:.5g}"))
    return [
        {"run_id": done["run_id"], "step": step, **{str(name): value for name, value in row.items()}}
        for step, row in zip(kept, rounded.to_dict("records"), strict=True)
    ]


def _panels(results: Path, scale: str, name: str, done: Record) -> None:
    about = sweeps.about(name) or {}
    folder = RunFolder(results, done["run_id"]).path
    free = images.may_be_committed(done["choices"]["image"])
    place = tables.folder(results, scale) / "panels" if free else results / "panels" / scale
    with np.load(folder / "outputs.npz") as arrays:
        pictures = {kind: arrays[kind] for kind in about["panels"] if kind in arrays}
    for step in about["iterates"]:
        path = folder / "snapshots" / f"{step:06d}.png"
        if path.is_file():
            pictures[f"step{step}"] = images.read(path).x
    if pictures:
        place.mkdir(parents=True, exist_ok=True)
    for kind, picture in pictures.items():
        images.write(place / f"{done['run_id']}-{kind}.png", picture)


def _upsert(
    path: Path,
    columns: tuple[str, ...],
    rows: list[Row],
    key: str,
    order: list[str],
    gone: Iterable[str] = (),
) -> DataFrame:
    """Writes the table, with the rows of equal `key` replaced and the others kept verbatim, and returns it.

    gone: further values of `key` whose rows are dropped.
    """
    import pandas as pd

    text = pd.DataFrame(rows, columns=list(columns)).to_csv(index=False, float_format="%.10g")
    new = _as_text(StringIO(text))
    before = _as_text(path) if path.is_file() else new.iloc[:0]
    kept = before[~before[key].isin({*new[key], *gone})]
    whole = pd.concat([kept, new]).reindex(columns=list(columns)).fillna("")
    whole = whole.sort_values(order, kind="stable", key=_in_order)
    write_text(path, whole.to_csv(index=False, lineterminator="\n"))
    return tables.read_table(path, columns)


def _as_text(source: Path | StringIO) -> DataFrame:
    import pandas as pd

    with sound(source):
        return pd.read_csv(source, dtype=str, keep_default_na=False)


def _in_order(column: Series) -> Series:
    """Returns a sort key: steps and bins compare as numbers, names as text."""
    return column.astype(int) if column.name in ("step", "bin") else column
