"""In: an experiment's finished runs with several seeds on one observation. Out: their means, as derived records."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dip_exp import images, metrics
from dip_exp.atomic import write_arrays
from dip_exp.experiments import sweeps
from dip_exp.metrics import calibration
from dip_exp.runs import page, report
from dip_exp.runs.folder import RunFolder
from dip_exp.runs.mean import combine, derived, identity, load

KIND = "average"
"""The output kind that is averaged over runs: the paper's 31.00 dB is the mean of two such pictures."""


@dataclass(frozen=True)
class Listed:
    """A job of an experiment, or a mean of several. seeds: "0", or "0+1". first: whether SEEDS=1 includes it."""

    run_id: str
    label: str
    seeds: str
    first: bool


def make(results: Path, experiment: str, jobs: Iterable[Listed]) -> list[Listed]:
    """Returns the means that an experiment asks for (`about.mean_of` consecutive seeds each), and makes those it can.

    A mean is made if all its members are in `results/runs`. It is remade every time, because a member may have been
    forced.
    """
    of = (sweeps.about(experiment) or {}).get("mean_of", 1)
    if of < 2:
        return []
    by_label: dict[str, list[Listed]] = {}
    for job in jobs:
        by_label.setdefault(job.label, []).append(job)
    found = []
    for label, runs in by_label.items():
        for start in range(0, len(runs) - of + 1, of):
            members = [job.run_id for job in runs[start : start + of]]
            seeds = "+".join(job.seeds for job in runs[start : start + of])
            found.append(Listed(identity(members, KIND), label, seeds, start == 0))
            _make(results, members, seeds)
    return found


def _make(results: Path, members: list[str], seeds: str) -> None:
    folder = RunFolder(results, identity(members, KIND))
    folders = [RunFolder(results, run_id) for run_id in members]
    records = [done for one in folders if (done := one.record()) is not None]
    if len(records) < len(members):
        return
    runs = [load(one) for one in folders]
    for one, pictures in zip(folders, runs, strict=True):
        if "truth" not in pictures:
            report.note(f"{one.run_id} left no truth in outputs.npz: no mean with it  [force=true runs it again]")
            return
    found = combine(runs, KIND, [KIND])
    assert found.truth is not None
    picture = found.means[KIND]
    folder.path.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, np.ndarray] = {"mean": picture, "std": found.std, "truth": found.truth}
    if found.missing is not None:
        arrays["missing"] = found.missing
    write_arrays(folder.path / "outputs.npz", arrays)
    images.write(folder.path / "mean.png", picture)
    images.write(folder.path / "std.png", calibration.shown(found.std)[0])
    scores = found.scores(metrics.PROTOCOLS[records[0]["protocol"]])
    made = {"mean_of": KIND, "result": "mean", "scores": {"mean": scores[KIND]}, **found.spread("mean", len(runs))}
    page.finish(folder, derived(records, folder.run_id, seeds, made, ("seconds", "rollbacks")))
