"""In: finished runs of several seeds on one observation. Out: their mean, a derived record that lists its members."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dip_exp import config, images, metrics, record, report, sweeps

KIND = "average"
"""The output kind that is averaged over runs: the paper's 31.00 dB is the mean of two such pictures."""


@dataclass(frozen=True)
class Listed:
    """A job of an experiment, or a mean of some. seeds: "0", or "0+1". first: of those that SEEDS=1 asks
    for."""

    run_id: str
    label: str
    seeds: str
    first: bool


def make(results: Path, experiment: str, jobs: Iterable[Listed]) -> list[Listed]:
    """Returns the means an experiment asks for (`about.mean_of` runs, seed after seed), making those it can.

    A mean is made where all its members lie in `results/runs`, and made anew each time: a member may have been forced.
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
            found.append(Listed(_identity(members), label, seeds, start == 0))
            _make(results, members, seeds)
    return found


def _identity(members: list[str]) -> str:
    text = json.dumps({"numerics": config.NUMERICS, "mean of": sorted(members), "kind": KIND})
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _make(results: Path, members: list[str], seeds: str) -> None:
    folder = record.RunFolder(results, _identity(members))
    folders = [record.RunFolder(results, run_id) for run_id in members]
    records = [done for one in folders if (done := one.record()) is not None]
    if len(records) < len(members):
        return
    mean = _mean(folders)
    if mean is None:
        return
    picture, truth = mean
    first = records[0]
    protocol = metrics.PROTOCOLS[first["protocol"]]
    score = {"psnr": metrics.psnr(picture, truth, protocol), "ssim": metrics.ssim(picture, truth, protocol)}
    folder.path.mkdir(parents=True, exist_ok=True)
    record.write_arrays(folder.path / "outputs.npz", {"mean": picture, "truth": truth})
    images.write(folder.path / "mean.png", picture)
    sums = {key: sum(one[key] for one in records) for key in ("seconds", "rollbacks")}
    folder.finish(
        {
            **{key: value for key, value in first.items() if key not in ("identity", "command", "attempt", "sha256")},
            **sums,
            "dirty": any(one["dirty"] for one in records),
            "commit": " ".join(dict.fromkeys(str(one["commit"]) for one in records)),
            "run_id": folder.run_id,
            "members": members,
            "mean_of": KIND,
            "seeds": seeds,
            "scores": {"mean": score},
            "steps_of": {},
        }
    )


def _mean(folders: list[record.RunFolder]) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns the mean of the members' pictures and their truth, (1, C, H, W) each; None where one left no truth."""
    pictures, truths = [], []
    for folder in folders:
        with np.load(folder.path / "outputs.npz") as arrays:
            if "truth" not in arrays:
                report.note(
                    f"{folder.run_id} left no truth in outputs.npz: no mean with it  [force=true runs it again]"
                )
                return None
            pictures.append(arrays[KIND].astype(np.float64))
            truths.append(arrays["truth"])
    if any(not np.array_equal(truths[0], truth) for truth in truths):
        raise ValueError(f"mean: the runs {', '.join(one.run_id for one in folders)} are not of one picture")
    return np.mean(pictures, axis=0).clip(0, 1).astype(np.float32), truths[0]
