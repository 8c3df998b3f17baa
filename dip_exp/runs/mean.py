"""In: runs with several seeds on one observation. Out: their mean and spread, as a derived record that lists its
members.

`runs=5` uses this directly; `dip_exp.experiments.means` uses it for an experiment's jobs. No torch.
"""

import hashlib
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from omegaconf import DictConfig

from dip_exp import config as cfgs
from dip_exp import images, metrics
from dip_exp.atomic import write_arrays
from dip_exp.component import Settings, located
from dip_exp.errors import Refused
from dip_exp.images.sheet import side_by_side
from dip_exp.metrics import calibration, kinds
from dip_exp.runs import page, report
from dip_exp.runs.delivery import delivery
from dip_exp.runs.folder import RunFolder, writing
from dip_exp.runs.order import identify
from dip_exp.runs.record import Record
from dip_exp.runs.run import run
from dip_exp.shapes import Bool, Float32, Float64, Num

EVERY = "every kind"
"""Stands for all output kinds in a mean's identity. The mean of an experiment covers a single kind."""


Pictures = Mapping[str, Float32[np.ndarray, "1 _ _ _"]]
"""{output kind: picture} of one run."""

Scores = dict[str, dict[str, float | None]]
"""{output kind: {score: value}}."""


@dataclass(frozen=True)
class Combined:
    """The pixelwise combination of several runs. All arrays are (1, C, H, W).

    means: {kind: mean, clipped to [0, 1]}. std: standard deviation (n - 1) of kind `result` over the runs. truth,
    missing: those of the observation, or None.
    """

    means: dict[str, Float32[np.ndarray, "1 _ _ _"]]
    result: str
    std: Float32[np.ndarray, "1 C H W"]
    truth: Float32[np.ndarray, "1 C H W"] | None
    missing: Num[np.ndarray, "1 _ H W"] | Bool[np.ndarray, "1 _ H W"] | None

    def scores(self, protocol: metrics.Protocol) -> Scores:
        """Returns the scores of every mean that has the truth's shape; {} without a truth."""
        truth = self.truth
        if truth is None:
            return {}
        missing = None if self.missing is None else self.missing > 0.5
        shaped = {kind: picture for kind, picture in self.means.items() if picture.shape == truth.shape}
        return {kind: metrics.scores(picture, truth, protocol, missing) for kind, picture in shaped.items()}

    def spread(self, kind: str, of: int) -> Record:
        """Returns the record's facts about the spread. kind: the name of the result in that record."""
        return calibration.facts(kind, self.std, self.means[self.result], self.truth, self.missing, of=of)


def combine(runs: Sequence[Pictures], result: str, averaged: Iterable[str] | None = None) -> Combined:
    """Returns the combination of several runs, each given as {output kind: picture (1, C, H, W)}.

    result: the kind whose spread is computed. averaged: the kinds to average; by default, all kinds that depend on the
    seed and that every run has. Raises ValueError if the runs' truths differ.
    """
    first = runs[0]
    for number, one in enumerate(runs, 1):
        if ("truth" in one) != ("truth" in first) or (
            "truth" in one and not np.array_equal(one["truth"], first["truth"])
        ):
            raise ValueError(
                f"mean: run {number} of {len(runs)} is not of the first one's picture: their truths differ"
            )
    if averaged is None:
        averaged = [kind for kind in kinds.of_the_seed(first) if all(kind in one for one in runs)]
    means = {kind: np.mean(_stack(runs, kind), axis=0).clip(0, 1).astype(np.float32) for kind in averaged}
    std = np.std(_stack(runs, result), axis=0, ddof=1).astype(np.float32)
    return Combined(means, result, std, first.get("truth"), first.get("missing"))


def _stack(runs: Sequence[Pictures], kind: str) -> list[Float64[np.ndarray, "1 C H W"]]:
    return [one[kind].astype(np.float64) for one in runs]


def identity(members: Iterable[str], kind: str = EVERY) -> str:
    """Returns the run_id of the mean of these runs. Their order does not matter."""
    text = json.dumps({"numerics": cfgs.NUMERICS, "mean of": sorted(members), "kind": kind})
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def derived(records: Sequence[Record], run_id: str, seeds: str, made: Record, sums: Iterable[str]) -> Record:
    """Returns the record of a mean: the first member's shared fields, the sums of the fields in `sums`, and the fields
    in `made`. seeds: joined by +, as in "0+1"."""
    first = records[0]
    own = ("identity", "command", "attempt", "sha256", "result", "remarks", "spread", "calibration", "cpu_seconds")
    return {
        **{key: value for key, value in first.items() if key not in own},
        **{key: sum(one[key] for one in records) for key in sums},
        "device": "+".join(dict.fromkeys(one["device"] for one in records)),
        "dirty": _dirty(records),
        "commit": " ".join(dict.fromkeys(str(one["commit"]) for one in records)),
        "run_id": run_id,
        "members": [one["run_id"] for one in records],
        "seeds": seeds,
        "steps_of": {},
        "remarks": [],
        **made,
    }


def _dirty(records: Sequence[Record]) -> bool | None:
    """Returns whether any run came from a tree that differs from its commit; None if that is unknown for some run."""
    each = [one["dirty"] for one in records]
    return True if True in each else None if None in each else False


def load(folder: RunFolder) -> dict[str, Float32[np.ndarray, "1 _ _ _"]]:
    """Returns a finished run's pictures by output kind, with `truth` and `missing` if it has them."""
    with np.load(folder.path / "outputs.npz") as arrays:
        return dict(arrays)


# -- runs=k ------------------------------------------------------------------------------------------------------------


def run_mean(
    cfg: DictConfig, choices: dict[str, str], command: list[str], *, tabled: bool = False, several: bool = False
) -> Record:
    """Returns the record of the mean of `cfg.runs` runs. With `out`, the mean is written there.

    The members are ordinary runs with seeds seed, seed + 1, ...: each has its folder, is reused if finished and resumed
    if interrupted. tabled: the run is a job of an experiment; this is refused, because experiments define means of
    their own. several: as for a run. Raises Refused, Failed and Interrupted as a run does.
    """
    count = cfgs.plain(cfg)["runs"]
    if tabled:
        raise Refused(
            f"runs: given {count} for the jobs of an experiment's own sweep, which has seeds and means of its own; "
            f"must be 1  [seeds={count}; conf/experiment/{choices['experiment']}.yaml: about.mean_of]"
        )
    members = [_member(cfg, number) for number in range(count)]
    named = [identify(member, choices) for member in members]
    results = located(named[0].config["results"])
    folder = RunFolder(results, identity(one.run_id for one in named))
    force = named[0].config["force"]
    folders = [RunFolder(results, one.run_id) for one in named]
    out = delivery(cfgs.plain(cfg), several=several)
    if out is not None:
        out.check(folder.path)
    done = None if force else folder.record()
    if done is not None and done["attempts"] == attempts(folders):
        report.note("already finished (nothing was computed; force=true does all of it again)")
        page.ensure(folder)
    else:
        done = _computed(folder, folders, members, choices, command)
    report.combined(done, folder.path)
    if out is not None:
        out.deliver(folder.path)
        report.delivered(out.path)
    return done


def _computed(
    folder: RunFolder, folders: list[RunFolder], members: list[DictConfig], choices: dict[str, str], command: list[str]
) -> Record:
    """Runs the members and writes their mean; returns its record."""
    count, seeds = len(members), [member["seed"] for member in members]
    for number, (member, seed) in enumerate(zip(members, seeds, strict=True), 1):
        report.note(f"\nrun {number} of {count}, seed {seed}")
        run(member, choices, _command(command, seed))
    with writing(folder.path):
        lock = folder.lock(lambda: report.note("another process is at this mean: waiting for it"))
        try:
            source = identify(members[0], choices).image.read()
            return _write(folder, folders, source, {**cfgs.plain(members[0]), "runs": count}, command)
        finally:
            lock.release()


def _member(cfg: DictConfig, number: int) -> DictConfig:
    member = cfg.copy()
    member["seed"], member["runs"], member["out"] = cfg["seed"] + number, 1, None
    return member


def _command(command: list[str], seed: int) -> list[str]:
    """Returns the command that computes one member alone."""
    return [*(word for word in command if not word.startswith(("seed=", "runs=", "out="))), f"seed={seed}"]


def attempts(folders: list[RunFolder]) -> list[int] | None:
    """Returns the attempt number of each member's record, or None if a member is not finished. A forced member has a
    new attempt number, so the mean is recomputed."""
    records = [folder.record() for folder in folders]
    return None if None in records else [one["attempt"] for one in records if one is not None]


def _write(
    folder: RunFolder, folders: list[RunFolder], source: images.Picture, config: Settings, command: list[str]
) -> Record:
    """Writes the folder of a mean, its record last, and returns the record. source: the picture of its runs."""
    records = [done for one in folders if (done := one.record()) is not None]
    first, runs = records[0], [load(one) for one in folders]
    result = first["result"]
    found = combine(runs, result)
    shown = [kind for kind in runs[0] if kind == kinds.OBSERVATION or kind.startswith(kinds.BASELINE)]
    given = {kind: runs[0][kind] for kind in shown}
    scores = {kind: row for kind, row in first["scores"].items() if kind in given}
    scores |= found.scores(metrics.PROTOCOLS[first["protocol"]])
    folder.begin(afresh=True)
    restored = found.means[result]
    for kind, picture in found.means.items():
        images.write(folder.path / f"{kind}.png", picture)
    member = images.read(folders[0].path / "restored.png")  # alpha and profile are those of a member's
    images.write_restored(folder.path, restored, replace(source, x=member.x, alpha=member.alpha, icc=member.icc))
    images.write(folder.path / "std.png", calibration.shown(found.std)[0])
    sheet = side_by_side(_panels(runs[0], first, found, scores, len(runs)))
    images.write(folder.path / "comparison.png", sheet)
    kept = {"truth": found.truth, "missing": found.missing}
    arrays = {**given, **found.means, "std": found.std}
    write_arrays(folder.path / "outputs.npz", arrays | {k: a for k, a in kept.items() if a is not None})
    seconds, steps = (sum(one[key] for one in records) for key in ("seconds", "steps"))
    made = {
        "config": config,
        "command": shlex.join(command),
        "mean_of": EVERY,
        "attempts": [one["attempt"] for one in records],
        "result": result,
        "scores": scores,
        "scores_of_runs": _gathered(records, list(found.means)),
        "seconds_per_step": round(seconds / steps, 6),
        **found.spread(result, len(runs)),
    }
    seeds = "+".join(str(one["config"]["seed"]) for one in records)
    done = derived(records, folder.run_id, seeds, made, ("seconds", "steps", "rollbacks"))
    page.finish(folder, done)
    return done


def _gathered(records: list[Record], kinds: list[str]) -> dict[str, dict[str, list[float | None]]]:
    """Returns {kind: {score: [value of each run]}}."""
    first = records[0]["scores"]
    return {
        kind: {name: [one["scores"][kind][name] for one in records] for name in first[kind]}
        for kind in kinds
        if kind in first
    }


def _panels(
    run: Pictures, done: Record, found: Combined, scores: Scores, count: int
) -> list[tuple[str, Float32[np.ndarray, "1 _ _ _"]]]:
    """Returns the labelled panels of comparison.png: truth, observation, baseline, one run, the mean, the spread."""

    def label(name: str, row: Mapping[str, float | None] | None) -> str:
        psnr = (row or {}).get("psnr")
        return f"{name}\n" if psnr is None else f"{name}\n{psnr:.2f} dB"

    rows = [] if found.truth is None else [("truth", found.truth)]
    for name, kind in (("observation", "observation"), (done["baseline"]["name"], "baseline")):
        if kind in run:
            rows.append((label(name, scores.get(kind)), run[kind]))
    rows.append((label("one run", done["scores"].get(found.result)), run[found.result]))
    rows.append((label(f"mean of {count}", scores.get(found.result)), found.means[found.result]))
    picture, white = calibration.shown(found.std)
    return [*rows, (f"spread\nwhite: {white:.3g}", picture)]
