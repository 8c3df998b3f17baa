"""Laws of several runs on one observation: their mean and spread, found again, made anew when a member changed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dip_exp import config, metrics
from dip_exp.errors import Refused
from dip_exp.runs import mean as mean_module
from dip_exp.runs import run as run_module
from dip_exp.runs.mean import combine as combine_runs
from dip_exp.runs.mean import identity, run_mean
from dip_exp.runs.order import GROUPS, Order
from dip_exp.runs.run import compute as compute_run
from tests.conftest import SMOKE

Runner = Callable[..., dict[str, Any]]


@pytest.fixture
def several(tmp_path: Path) -> Runner:
    """Carries out a command as the command line does, with results under tmp_path, and returns the record."""

    def runner(*overrides: str, tabled: bool = False) -> dict[str, Any]:
        words = [*SMOKE, f"results={tmp_path / 'results'}", *overrides]
        chosen = dict(word.split("=", 1) for word in ("task=denoise", "arch=skip_tiny", "image=astronaut", *words))
        choices = {group: chosen.get(group, "?") for group in GROUPS} | {"experiment": "smoke"}
        cfg = config.layered(words)
        go = run_mean if cfg.runs > 1 else run_module.run
        done = go(cfg, choices, ["python", "run.py", *words], tabled=tabled)
        assert done is not None
        return done

    return runner


@pytest.fixture
def arrays(tmp_path: Path) -> Callable[[str], dict[str, np.ndarray]]:
    def load(run_id: str) -> dict[str, np.ndarray]:
        with np.load(tmp_path / "results" / "runs" / run_id / "outputs.npz") as kept:
            return dict(kept)

    return load


def test_every_kind_is_the_mean_of_the_members_and_the_spread_their_deviation(several: Runner, arrays: Callable):
    done = several("task=inpaint", "runs=3", "seed=4")
    assert done["seeds"] == "4+5+6"
    found, members = arrays(done["run_id"]), [arrays(run_id) for run_id in done["members"]]
    assert {"last", "average", "stopped", "pasted"} <= set(found)
    assert not set(found) & set(metrics.ORACLES)
    for kind in ("last", "average", "stopped", "pasted"):
        stack = np.stack([one[kind].astype(float) for one in members])
        np.testing.assert_allclose(found[kind], stack.mean(axis=0), atol=1e-6)
    assert done["result"] == "pasted"
    stack = np.stack([one["pasted"].astype(float) for one in members])
    np.testing.assert_allclose(found["std"], stack.std(axis=0, ddof=1), atol=1e-6)
    for shared in ("truth", "missing", "observation"):  # one observation, whatever the seed
        assert all(np.array_equal(found[shared], one[shared]) for one in members)
    assert not np.array_equal(members[0]["last"], members[1]["last"])


def test_the_record_scores_the_means_beside_the_members(several: Runner, arrays: Callable, tmp_path: Path):
    done = several("task=inpaint", "runs=2")
    found = arrays(done["run_id"])
    rgb = metrics.PROTOCOLS["rgb"]
    assert done["scores"]["average"]["psnr"] == pytest.approx(metrics.psnr(found["average"], found["truth"], rgb))
    where = np.broadcast_to(found["missing"] > 0, found["truth"].shape)
    missing = metrics.psnr(found["average"], found["truth"], rgb, where=where)
    assert done["scores"]["average"]["psnr_missing"] == pytest.approx(missing)
    members = [json.loads((tmp_path / "results/runs" / one / "record.json").read_text()) for one in done["members"]]
    assert done["scores_of_runs"]["average"]["psnr"] == [one["scores"]["average"]["psnr"] for one in members]
    assert done["scores"]["average"]["psnr"] > np.mean(done["scores_of_runs"]["average"]["psnr"])  # Jensen
    assert done["scores"]["observation"] == members[0]["scores"]["observation"]
    assert done["seconds"] == pytest.approx(sum(one["seconds"] for one in members))
    assert done["calibration"]["kind"] == "pasted"
    error = (found["pasted"].astype(float) - found["truth"])[where]
    ratio = np.sqrt(np.mean(error**2) / np.mean(found["std"][where].astype(float) ** 2))
    assert done["calibration"]["ratio"] == pytest.approx(ratio, rel=1e-5)


def test_members_are_ordinary_runs_and_one_run_is_what_it_was(several: Runner, arrays: Callable, tmp_path: Path):
    alone = several("seed=1")
    before = arrays(alone["run_id"])
    assert "members" not in alone
    together = several("runs=2")
    assert alone["run_id"] == together["members"][1]
    assert json.loads((tmp_path / "results/runs" / alone["run_id"] / "record.json").read_text()) == alone
    assert several("runs=1", "seed=1") == alone
    first = json.loads((tmp_path / "results/runs" / together["members"][0] / "record.json").read_text())
    assert first["config"]["runs"] == 1
    assert first["command"].endswith("seed=0")
    assert "runs=" not in first["command"]
    fresh = several("runs=1", "seed=1", "force=true")
    again = arrays(fresh["run_id"])
    assert all(np.array_equal(before[kind], again[kind]) for kind in before)


def test_a_second_call_computes_nothing(
    several: Runner, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    done = several("runs=2")
    for name in ("compute", "place"):
        monkeypatch.setattr(run_module, name, lambda *_: pytest.fail("something was computed"))
    monkeypatch.setattr(mean_module, "combine", lambda *_: pytest.fail("the mean was made again"))
    capsys.readouterr()
    assert several("runs=2") == done
    out = capsys.readouterr().out
    assert "already finished (nothing was computed" in out
    assert "mean of 2 runs, seeds 0, 1" in out


def test_more_runs_compute_the_new_ones_alone(several: Runner, monkeypatch: pytest.MonkeyPatch):
    two = several("runs=2")
    computed = []
    compute = compute_run
    monkeypatch.setattr(
        run_module, "compute", lambda order, out: computed.append(order.config["seed"]) or compute(order, out)
    )
    three = several("runs=3")
    assert computed == [2]
    assert three["members"][:2] == two["members"]
    assert three["run_id"] != two["run_id"]


def test_a_mean_is_made_anew_when_a_member_was_forced_or_is_gone(
    several: Runner, arrays: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    done = several("runs=2")
    mean = arrays(done["run_id"])["average"]
    made = []
    combine = combine_runs
    monkeypatch.setattr(mean_module, "combine", lambda *given: made.append(1) or combine(*given))
    several("seed=1", "force=true")
    again = several("runs=2")
    assert again["attempts"] == [1, 2]
    (tmp_path / "results/runs" / done["members"][0] / "record.json").unlink()
    several("runs=2")
    assert made == [1, 1]
    assert np.array_equal(arrays(done["run_id"])["average"], mean)


def test_force_makes_all_of_it_again(several: Runner):
    several("runs=2")
    again = several("runs=2", "force=true")
    assert again["attempts"] == [2, 2]


def test_files_for_the_eye(several: Runner, tmp_path: Path, arrays: Callable):
    done = several("runs=2")
    folder = tmp_path / "results/runs" / done["run_id"]
    assert {path.name for path in folder.iterdir()} >= {
        *("restored.png", "std.png", "comparison.png", "average.png", "last.png", "stopped.png", "outputs.npz"),
    }
    shown = np.asarray(Image.open(folder / "restored.png")) / 255
    assert np.abs(shown - arrays(done["run_id"])["stopped"][0].transpose(1, 2, 0)).max() <= 0.5 / 255 + 1e-6
    std = np.asarray(Image.open(folder / "std.png")) / 255
    joined = np.sqrt((arrays(done["run_id"])["std"][0].astype(float) ** 2).mean(axis=0))
    assert np.abs(std - np.minimum(joined / done["spread"]["white"], 1)).max() <= 0.5 / 255 + 1e-5


def test_an_observed_picture_has_a_mean_and_a_spread_and_no_score(several: Runner, tmp_path: Path):
    """Restored as deep as its source, with its alpha."""
    levels = np.random.default_rng(0).integers(0, 256, (32, 32, 4), dtype=np.uint8)
    Image.fromarray(levels, "RGBA").save(tmp_path / "seen.png")
    done = several("image=file", f"image.path={tmp_path / 'seen.png'}", "runs=2")
    assert done["scores"] == {}
    assert done["calibration"] is None
    assert done["spread"]["white"] > 0
    restored = np.asarray(Image.open(tmp_path / "results/runs" / done["run_id"] / "restored.png"))
    assert np.array_equal(restored[..., 3], levels[..., 3])


def test_an_interrupted_member_leaves_no_mean_and_the_command_goes_on(
    several: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    compute = compute_run

    def broken(order: Order, out: object) -> dict[str, Any]:
        if order.config["seed"] == 1:
            raise KeyboardInterrupt
        return compute(order, out)

    monkeypatch.setattr(run_module, "compute", broken)
    with pytest.raises(KeyboardInterrupt):
        several("runs=2")
    assert len(list((tmp_path / "results/runs").glob("*/record.json"))) == 1
    monkeypatch.setattr(run_module, "compute", compute)
    assert len(several("runs=2")["members"]) == 2


def test_more_runs_in_an_experiment_s_sweep_are_refused(several: Runner, tmp_path: Path):
    with pytest.raises(Refused, match=r"runs: given 3 for the jobs of an experiment's own sweep.*\[seeds=3; conf/exp"):
        several("runs=3", tabled=True)
    assert not (tmp_path / "results").exists()


def test_none_or_fewer_are_refused(several: Runner):
    with pytest.raises(Refused, match="runs: given 0; must be a whole number from 1"):
        several("runs=0")


# -- parts -------------------------------------------------------------------------------------------------------------


def pictures(seed: int, **more: np.ndarray) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"last": rng.random((1, 3, 8, 9)).astype(np.float32), "peak": rng.random((1, 3, 8, 9)), **more}


def test_only_what_the_runs_have_in_common_is_averaged():
    found = combine_runs([pictures(0, extra=np.zeros((1, 1, 2, 2))), pictures(1)], "last")
    assert set(found.means) == {"last"}


def test_equal_runs_have_no_spread():
    found = combine_runs([pictures(0)] * 3, "last")
    assert not found.std.any()
    np.testing.assert_allclose(found.means["last"], pictures(0)["last"], atol=1e-7)


def test_runs_of_two_pictures_are_no_ensemble():
    truth = np.zeros((1, 3, 8, 9), np.float32)
    for other in (pictures(1, truth=truth + 1), pictures(1)):
        with pytest.raises(ValueError, match="run 2 of 2 is not of the first one's picture"):
            combine_runs([pictures(0, truth=truth), other], "last")


def test_the_identity_is_that_of_the_members_in_any_order_and_of_what_is_averaged():
    assert identity(["a", "b"]) == identity(["b", "a"])
    names = {identity(["a", "b"]), identity(["a", "c"]), identity(["a", "b"], "average")}
    assert len(names) == 3


def test_the_committed_means_are_still_those_of_their_members():
    """Tables refer to them by name."""
    from dip_exp.experiments.tables import Tables
    from tests.conftest import ROOT

    rows = Tables(ROOT / "results", "mini").runs
    means = rows[rows.kind == "mean"]
    assert len(means)
    for row in means.itertuples():
        assert identity(row.members.split(), "average") == row.run_id
