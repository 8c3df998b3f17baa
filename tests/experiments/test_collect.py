"""Finished runs become committed tables: nothing is lost, nothing private gets in, means say what they are of."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dip_exp import config, images, metrics, provenance
from dip_exp.atomic import UNFINISHED, write_arrays
from dip_exp.experiments import collect, means, sweeps
from dip_exp.experiments.tables import CALIBRATION_COLUMNS, JOB_COLUMNS, RUN_COLUMNS, Tables
from dip_exp.figures.parts import pictures
from dip_exp.runs.folder import RunFolder
from dip_exp.runs.order import GROUPS
from dip_exp.runs.run import run as run_one
from scripts import faults
from tests.conftest import ROOT

NAME = "fig4_denoise"
TINY = ("image.shrink_to=24", "arch=skip_tiny", "optim.steps=6", "threads=1", "logger=none", "trainer.progress=off")


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str, int], Path]:
    """Makes every experiment's jobs tiny, and runs an experiment's with results under tmp_path, as if from a clean
    tree (whoever runs the tests may be in the middle of a change)."""
    monkeypatch.setattr(provenance, "commit", lambda: ("0" * 40, False))
    jobs = sweeps.jobs
    monkeypatch.setattr(sweeps, "jobs", lambda name, scale, seeds=1, more=(): jobs(name, scale, seeds, (*TINY, *more)))
    results = tmp_path / "results"

    def run(name: str, seeds: int = 1) -> Path:
        for job in sweeps.jobs(name, "mini", seeds):
            words = [f"experiment={name}", "scale=mini", *TINY, *job.words, f"results={results}"]
            chosen = dict(word.split("=", 1) for word in ("task=denoise", "image=astronaut", *words))
            run_one(config.layered(words), {g: chosen.get(g, "?") for g in GROUPS}, ["run.py"])
        return results

    return run


def test_a_row_for_every_run_and_kind(tiny: Callable):
    results = tiny("tab_denoise")
    (done,) = collect.collect(results, "mini", ["tab_denoise"])
    tables = Tables(results, "mini")
    assert (done.finished, done.listed) == (12, 12)
    assert tuple(tables.runs.columns) == RUN_COLUMNS
    assert tuple(tables.jobs.columns) == JOB_COLUMNS
    rows = tables.of("tab_denoise")
    for job in sweeps.jobs("tab_denoise", "mini"):
        kept = RunFolder(results, job.run_id).record()
        assert kept is not None
        of_run = rows[rows.run_id == job.run_id]
        assert set(of_run.kind) == set(kept["scores"])
        for kind, score in kept["scores"].items():
            assert of_run[of_run.kind == kind].psnr.iloc[0] == pytest.approx(score["psnr"])
        assert set(of_run.commit) == {kept["commit"]}
        curve = tables.curve(job.run_id)
        assert curve.step.iloc[0] == 1
        assert curve.step.iloc[-1] == kept["steps"]


def test_a_rivals_row_has_its_own_name_and_seconds_and_a_run_of_before_has_none(tiny: Callable):
    results = tiny(NAME)
    collect.collect(results, "mini", [NAME])
    rows = Tables(results, "mini").of(NAME)
    (path,) = (results / "runs").glob("*/record.json")
    kept = json.loads(path.read_text())
    assert set(kept["rivals"]) == {"baseline_tv", "baseline_wavelets"}
    for row in rows.itertuples():
        own = kept["rivals"].get(row.kind, kept["baseline"])
        assert row.baseline == own["name"]
        assert row.baseline_seconds == pytest.approx(own["seconds"])
    assert pictures._facts(rows[rows.kind.isin(["baseline_tv", "last"])])["baseline"] == "non-local means"
    del kept["schema"]
    for kind in kept.pop("rivals"):
        del kept["scores"][kind]
    path.write_text(json.dumps(kept))
    collect.collect(results, "mini", [NAME])
    before = Tables(results, "mini").of(NAME)
    assert set(before.kind) == set(rows.kind) - {"baseline_tv", "baseline_wavelets"}
    assert set(before.baseline) == {"non-local means"}


def test_a_run_that_two_experiments_share_has_its_rows_once(tiny: Callable):
    results = tiny(NAME)
    collect.collect(results, "mini", [NAME, "tab_denoise", "trajectories"])
    tables = Tables(results, "mini")
    assert not tables.runs.duplicated(["run_id", "kind"]).any()
    assert not tables.curves.duplicated(["run_id", "step"]).any()
    assert len(tables.of(NAME)) == len(tables.of("trajectories").dropna(subset="kind")) > 0


def test_collecting_again_changes_no_byte_and_another_experiment_deletes_none(tiny: Callable):
    results = tiny(NAME)
    collect.collect(results, "mini", [NAME])
    table = results / "tables/mini/runs.csv"
    before = table.read_bytes()
    collect.collect(results, "mini", [NAME])
    assert table.read_bytes() == before
    tiny("supp14_sparse")
    collect.collect(results, "mini", ["supp14_sparse"])
    ids = set(pd.read_csv(table).run_id)
    assert set(pd.read_csv(pd.io.common.BytesIO(before)).run_id) < ids
    assert set(Tables(results, "mini").jobs.experiment) == {NAME, "supp14_sparse"}


def test_rows_outlive_their_run_folders(tiny: Callable):
    results = tiny(NAME)
    collect.collect(results, "mini", [NAME])
    before = (results / "tables/mini/runs.csv").read_bytes()
    (results / "runs").rename(results / "gone")
    (done,) = collect.collect(results, "mini", [NAME])
    assert done.finished == 1
    assert (results / "tables/mini/runs.csv").read_bytes() == before


def test_older_records_and_tables_know_no_number_of_weights(tiny: Callable):
    results = tiny(NAME)
    (path,) = (results / "runs").glob("*/record.json")
    kept = json.loads(path.read_text())
    collect.collect(results, "mini", [NAME])
    assert set(Tables(results, "mini").runs.weights) == {kept.pop("weights")}
    del kept["schema"]
    path.write_text(json.dumps(kept))
    collect.collect(results, "mini", [NAME])
    assert Tables(results, "mini").runs.weights.isna().all()
    table = results / "tables/mini/runs.csv"
    older = pd.read_csv(table, dtype=str, keep_default_na=False).drop(columns="weights")
    older.to_csv(table, index=False, lineterminator="\n")
    (results / "runs").rename(results / "gone")
    collect.collect(results, "mini", [NAME])
    again = pd.read_csv(table, dtype=str, keep_default_na=False)
    pd.testing.assert_frame_equal(again.drop(columns="weights"), older)
    assert set(again.weights) == {""}


def test_a_run_of_no_experiment_is_never_collected(tiny: Callable, tmp_path: Path):
    results = tiny(NAME)
    private = tmp_path / "my private picture.png"
    images.write(private, np.random.default_rng(0).random((1, 3, 24, 24)).astype(np.float32))
    words = ["experiment=smoke", "image=file", f"image.path='{private}'", *TINY, f"results={results}"]
    run_one(config.layered(words), dict.fromkeys(GROUPS, "?"), ["run.py"])
    assert len(list((results / "runs").iterdir())) == 2
    collect.collect(results, "mini", [NAME])
    tables = results / "tables" / "mini"
    assert Tables(results, "mini").runs.run_id.nunique() == 1
    assert not any(
        "private" in path.name or "private" in path.read_text(errors="ignore") for path in tables.rglob("*.csv")
    )


def test_panels_of_packaged_pictures_are_committed_and_no_others(tiny: Callable, monkeypatch: pytest.MonkeyPatch):
    results = tiny(NAME)
    collect.collect(results, "mini", [NAME])
    committed = sorted(path.name.split("-")[1] for path in (results / "tables/mini/panels").iterdir())
    assert committed == ["average.png", "baseline.png", "last.png", "observation.png", "truth.png"]
    for path in (results / "runs").glob("*/record.json"):
        kept = json.loads(path.read_text())
        kept["choices"]["image"] = "set5/baby"
        path.write_text(json.dumps(kept))
    for path in (results / "tables/mini/panels").iterdir():
        path.unlink()
    collect.collect(results, "mini", [NAME])
    assert not list((results / "tables/mini/panels").iterdir())
    assert len(list((results / "panels/mini").iterdir())) == 5


def test_the_mean_of_two_runs_is_a_record_that_lists_its_members(tiny: Callable):
    results = tiny("tab_denoise")
    collect.collect(results, "mini", ["tab_denoise"])
    rows = Tables(results, "mini").of("tab_denoise")
    derived = rows[rows.kind == "mean"]
    assert len(derived) == 4
    assert set(derived.seeds) == {"0+1"}
    for row in derived.itertuples():
        members = row.members.split()
        pictures, truths = [], []
        for run_id in members:
            with np.load(results / "runs" / run_id / "outputs.npz") as arrays:
                pictures.append(arrays["average"].astype(float))
                truths.append(arrays["truth"])
        assert np.array_equal(*truths)
        mean = np.clip(np.mean(pictures, axis=0), 0, 1).astype(np.float32)
        assert row.psnr == pytest.approx(metrics.psnr(mean, truths[0], metrics.PROTOCOLS["rgb"]), abs=1e-6)
        singles = rows[rows.run_id.isin(members) & (rows.kind == "average")].psnr
        assert row.psnr > singles.mean()  # averaging lowers the mean squared error (Jensen)


def test_maps_of_standard_deviations_are_tabled_bin_by_bin(tiny: Callable, monkeypatch: pytest.MonkeyPatch):
    results = tiny("tab_denoise")
    monkeypatch.setitem(globals(), "TINY", (*TINY, "optim=sgld", "optim.sample_every=1", "image=astronaut"))
    tiny(NAME)
    collect.collect(results, "mini", ["tab_denoise", NAME])
    tables = Tables(results, "mini")
    assert tuple(tables.calibration.columns) == CALIBRATION_COLUMNS
    means = tables.of("tab_denoise")
    (sampled,) = sweeps.jobs(NAME, "mini")
    assert set(tables.calibration.run_id) == {*means[means.kind == "mean"].run_id, sampled.run_id}
    for run_id, rows in tables.calibration.groupby("run_id"):
        kept = RunFolder(results, str(run_id)).record()
        assert kept is not None
        assert list(rows.bin) == list(range(1, 21))
        np.testing.assert_allclose(rows["std"], kept["calibration"]["std"], rtol=1e-8)
        np.testing.assert_allclose(rows.error, kept["calibration"]["error"], rtol=1e-8)
        assert rows.ratio.iloc[0] == pytest.approx(kept["calibration"]["ratio"])
        assert set(rows.kind) == {kept["calibration"]["kind"]}
    before = (results / "tables/mini/calibration.csv").read_bytes()
    (results / "runs").rename(results / "gone")
    collect.collect(results, "mini", ["tab_denoise", NAME])
    assert (results / "tables/mini/calibration.csv").read_bytes() == before


def test_a_mean_is_made_anew_when_a_member_was_forced(tiny: Callable, capsys: pytest.CaptureFixture):
    results = tiny("tab_denoise")
    collect.collect(results, "mini", ["tab_denoise"])

    def mean_of(run_id: str) -> float:
        rows = Tables(results, "mini").of("tab_denoise")
        return rows[(rows.kind == "mean") & rows.members.fillna("").str.contains(run_id)].psnr.iloc[0]

    member = sweeps.jobs("tab_denoise", "mini")[0].run_id
    outputs = results / "runs" / member / "outputs.npz"
    before = mean_of(member)
    with np.load(outputs) as arrays:
        kept = dict(arrays)
    write_arrays(outputs, {**kept, "average": np.zeros_like(kept["average"])})
    collect.collect(results, "mini", ["tab_denoise"])
    assert mean_of(member) < before - 1
    write_arrays(outputs, {kind: picture for kind, picture in kept.items() if kind != "truth"})
    collect.collect(results, "mini", ["tab_denoise"])
    assert f"{member} left no truth in outputs.npz" in capsys.readouterr().out


# -- rows are of clean trees -------------------------------------------------------------------------------------------


def made_from(results: Path, commit: str | None, dirty: bool | None, **more: object) -> list[str]:
    """Makes every finished run one of another tree; returns their ids."""
    ids = []
    for path in (results / "runs").glob("*/record.json"):
        kept = json.loads(path.read_text())
        if "members" not in kept:
            path.write_text(json.dumps({**kept, "commit": commit, "dirty": dirty, **more}))
            ids.append(kept["run_id"])
    return ids


@pytest.mark.parametrize(("commit", "dirty"), [("abcdef0123", True), (None, None)])
def test_a_run_no_commit_accounts_for_is_refused_and_the_others_are_taken(
    tiny: Callable, commit: str | None, dirty: bool | None
):
    results = tiny(NAME)
    (run_id,) = made_from(results, commit, dirty)
    tiny("supp14_sparse")
    refusing, other = collect.collect(results, "mini", [NAME, "supp14_sparse"])
    assert (refusing.finished, other.finished) == (0, 1)
    (why,) = refusing.refused
    assert f"run {run_id} of {NAME} was made " in why
    assert ("differs from its commit, abcdef0" if commit else "outside a git checkout") in why
    assert f"python run.py experiment={NAME} scale=mini task=denoise image=astronaut seed=0 force=true" in why
    assert "--allow-dirty" in why
    assert collect.tell_refused([refusing, other]) == 1
    (taken,) = collect.collect(results, "mini", [NAME], allow_dirty=True)
    assert (taken.finished, taken.refused) == (1, ())


def test_a_dirty_row_stays_and_no_dirty_run_renews_one(tiny: Callable):
    results = tiny(NAME)
    made_from(results, "abcdef0123", True, seconds=5.0)
    collect.collect(results, "mini", [NAME], allow_dirty=True)
    table = results / "tables/mini/runs.csv"
    before = table.read_bytes()
    (same,) = collect.collect(results, "mini", [NAME])
    assert (same.finished, same.refused) == (1, ())  # the row's own run: nothing new is asked for
    made_from(results, "abcdef0123", True, seconds=6.0)
    (again,) = collect.collect(results, "mini", [NAME])
    assert len(again.refused) == 1
    assert table.read_bytes() == before
    made_from(results, "0" * 40, False, seconds=7.0)
    (clean,) = collect.collect(results, "mini", [NAME])
    assert clean.refused == ()
    assert set(Tables(results, "mini").runs.seconds) == {7.0}


def test_a_mean_with_a_refused_member_is_refused_with_it_and_told_of_once(tiny: Callable):
    results = tiny("tab_denoise")
    ids = made_from(results, None, None)
    (done,) = collect.collect(results, "mini", ["tab_denoise"])
    assert done.finished == 0
    assert len(done.refused) == len(ids)
    assert {done.listed, len(Tables(results, "mini").listed("tab_denoise"))} == {12}


def test_only_what_computes_makes_a_tree_dirty(tmp_path: Path):
    git = ["git", "-C", str(tmp_path), "-c", "user.name=t", "-c", "user.email=t@t"]
    for name in ("dip_exp/fit.py", "conf/config.yaml", "results/tables/paper/runs.csv", "README.md", ".gitignore"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("__pycache__/\n")
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *words], check=True, capture_output=True)
    commit, dirty = provenance.commit_of(tmp_path)
    assert (len(str(commit)), dirty) == (40, False)
    for name in (
        "results/tables/paper/runs.csv",
        "README.md",
        "dip_exp/__pycache__/fit.pyc",
    ):  # a campaign's own traces
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("new")
    assert provenance.commit_of(tmp_path) == (commit, False)
    (tmp_path / "conf/new.yaml").write_text("new: 1\n")
    assert provenance.commit_of(tmp_path) == (commit, True)
    (tmp_path / "conf/new.yaml").unlink()
    (tmp_path / "dip_exp/fit.py").write_text("changed\n")
    assert provenance.commit_of(tmp_path) == (commit, True)
    assert provenance.commit_of(tmp_path / "dip_exp") == (None, None)


def test_a_mean_waits_for_its_members(tmp_path: Path):
    jobs = [means.Listed(f"{seed:012}", "task=denoise", str(seed), seed == 0) for seed in range(2)]
    (listed,) = means.make(tmp_path, "tab_denoise", jobs)
    assert listed.seeds == "0+1"
    assert RunFolder(tmp_path, listed.run_id).record() is None


def test_more_seeds_are_listed_once_one_of_them_has_run(tiny: Callable):
    results = tiny(NAME, 2)
    (done,) = collect.collect(results, "mini", [NAME])
    assert (done.listed, done.finished) == (2, 2)


def test_an_experiment_s_job_already_in_the_tables_is_not_run_again(tiny: Callable, capsys: pytest.CaptureFixture):
    results = tiny(NAME)
    collect.collect(results, "mini", [NAME])
    (results / "runs").rename(results / "gone")
    (job,) = sweeps.jobs(NAME, "mini")
    words = [f"experiment={NAME}", "scale=mini", *TINY, *job.words, f"results={results}"]
    choices = dict.fromkeys(GROUPS, "astronaut")
    assert run_one(config.layered(words), choices, ["run.py"], tabled=True) is None
    assert "already in" in capsys.readouterr().out
    assert not (results / "runs").exists()
    assert run_one(config.layered(words), choices, ["run.py"]) is not None  # a user who asks for it gets it
    done = run_one(config.layered([*words, "recompute=true"]), choices, ["run.py"], tabled=True)
    assert done is not None


# -- stopped in the middle ---------------------------------------------------------------------------------------------


def tabled(results: Path) -> dict[str, bytes]:
    """Returns the tables and panels as a reader finds them, by name."""
    found = [path for path in (results / "tables").rglob("*") if path.is_file() and not path.match(UNFINISHED)]
    return {str(path.relative_to(results)): path.read_bytes() for path in found}


FAILED = 255
"""The exit status of a process that ended with an error; lower ones count."""


def collected_apart(results: Path, names: list[str], at: Callable[[int], None]) -> int:
    """Collects in a process of its own, which calls `at` before each of its changes of the tables, and returns their
    number; -1 if it did not end by itself, or with an error."""
    child = os.fork()
    if child == 0:
        try:
            writes = faults.Writes(results / "tables", at)
            collect.collect(results, "mini", names)
            os._exit(writes.count)
        finally:
            os._exit(FAILED)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return -1 if status == FAILED else max(status, -1)


@pytest.mark.long
@pytest.mark.parametrize("fault", [faults.killed, faults.cut_short, faults.disk_full])
def test_stopped_at_any_write_each_table_is_the_old_or_the_new_one_and_the_next_time_all_are_new(
    tiny: Callable, fault: Callable[[], None], tmp_path: Path
):
    names = [NAME, "supp14_sparse"]
    results = tiny(NAME)
    collect.collect(results, "mini", [NAME])
    old = tabled(results)
    tiny("supp14_sparse")
    shutil.copytree(results, tmp_path / "whole")
    count = collected_apart(tmp_path / "whole", names, lambda _: None)
    new = tabled(tmp_path / "whole")
    assert all(old[name] != new[name] for name in old if name.endswith(".csv"))
    stopped = 0
    for write in range(1, count + 1):
        folder = tmp_path / f"{write}"
        shutil.copytree(results, folder)
        ended = collected_apart(folder, names, faults.at_the(write, fault))
        left = tabled(folder)
        assert ended == -1 or left == new  # a folder that is there already need not be made
        stopped += ended == -1
        assert set(old) <= set(left) <= set(new)
        assert all(text in (old.get(name), new[name]) for name, text in left.items()), (write, count)
        collect.collect(folder, "mini", names)
        assert tabled(folder) == new
        assert not list(folder.glob(f"tables/**/{UNFINISHED}"))
        shutil.rmtree(folder)
    assert stopped > len(new)


# -- the scripts, as they are called -----------------------------------------------------------------------------------


def sweep(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts/sweep.py"), *words, "--results", "results"]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=200, check=False)


@pytest.mark.long
def test_a_sweep_runs_what_is_missing_collects_it_and_asked_again_runs_nothing(tmp_path: Path):
    words = ["fig6_region", "--set", *TINY]
    first = sweep(*words, "optim.steps=6", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "fig6_region (mini): 2 runs missing" in first.stdout
    again = sweep(*words, "optim.steps=6", cwd=tmp_path)
    assert again.returncode == 0
    assert "fig6_region (mini): 0 runs missing" in again.stdout
    assert "[job 0]" not in again.stdout


@pytest.mark.long
def test_a_job_that_is_refused_does_not_stop_the_others(tmp_path: Path):
    done = sweep("tab_superres", "--set", *TINY, "task.factor=2,64", "image=astronaut", "task=superres", cwd=tmp_path)
    assert done.returncode == 1
    assert "superres: factor is 64" in done.stderr
    assert "some jobs ended without a record: tab_superres" in done.stderr
    assert len(list((tmp_path / "results/runs").iterdir())) == 1


def test_an_unknown_experiment_is_refused(tmp_path: Path):
    done = sweep("fig99", cwd=tmp_path)
    assert done.returncode == 2
    assert "there is no 'fig99'; experiments are calibration" in done.stderr
