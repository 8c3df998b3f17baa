"""Every experiment's own job list: it composes at both scales, and needs no download in miniature."""

import math
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from dip_exp import config
from dip_exp.config import resolvers
from dip_exp.config.build import build
from dip_exp.errors import Refused
from dip_exp.experiments import launch, sweeps
from dip_exp.experiments.tables import Tables
from dip_exp.images import fetch, sets
from dip_exp.runs.folder import RunFolder
from dip_exp.runs.order import GROUPS, identify
from tests.conftest import A_RECORD, ROOT, jobs_of

if TYPE_CHECKING:
    from pandas import DataFrame

NAMES = sweeps.names()
EACH = [pytest.param(name, marks=pytest.mark.xdist_group(f"jobs of {name}")) for name in NAMES]
"""The tests of one experiment run on one worker, which composes its jobs once."""

PACKAGED = ("astronaut", "chelsea", "camera", "rocket")
TUNING = "coffee"


@pytest.mark.long
@pytest.mark.parametrize("name", EACH)
@pytest.mark.parametrize("scale", ["paper", "mini"])
def test_every_job_of_every_experiment_composes_and_builds(name: str, scale: str):
    jobs = jobs_of(name, scale)
    assert jobs
    assert len({job.run_id for job in jobs}) == len(jobs)
    for job in jobs:
        for group in GROUPS:
            build(job.named.config, group, {})
    _are_those_of_the_committed_list(name, scale, {job.run_id for job in jobs})


def _are_those_of_the_committed_list(name: str, scale: str, now: set[str]) -> None:
    """No id has moved: every job that the overlay says now is in the committed list. (Composing all of them takes long,
    so that this is no test of its own.) An experiment of which nothing was collected yet has no list."""
    listed = _listed(scale)
    own = set(listed[listed.experiment == name].run_id)
    assert not own or now <= own, f"{name}: python scripts/collect.py --scale {scale}"


@cache
def _listed(scale: str) -> "DataFrame":
    return Tables(ROOT / "results", scale).jobs


@pytest.mark.parametrize("name", EACH)
def test_in_miniature_no_experiment_needs_a_download_or_the_tuning_picture(name: str):
    for job in sweeps.jobs(name, "mini"):
        image = job.named.config["image"]
        tuned = (TUNING,) if name.endswith("_tuning") else ()  # nothing else is reported of it
        assert image["_target_"].endswith("Blank") or image["name"] in (tuned or PACKAGED)
        # the substitute's weights are a package's
        assert all(resolvers.CLASSIFIER in path for path, _ in config.files(job.named.config).values())


@pytest.mark.parametrize("name", EACH)
def test_an_experiment_names_the_sets_it_needs_at_paper_scale(name: str):
    needed = set()
    for job in jobs_of(name, "paper"):
        for path, declared in config.files(job.named.config).values():
            entry = sets.by_content(declared)
            assert entry is not None or "alexnet" in path  # which no public source has
            needed |= {entry.family} if entry is not None else set()
    about = sweeps.about(name)
    assert about is not None
    assert set(about["sets"]) == needed
    assert about["title"]
    assert about["cite"]


def test_the_papers_experiments_say_where_they_are_in_it():
    paper = sweeps.of_the_paper()
    assert {"fig2_curves", "tab_superres", "ijcv3_descent"} <= set(paper) < set(NAMES)
    for name in NAMES:
        cite = (sweeps.about(name) or {})["cite"]
        assert cite.startswith(("CVPR 2018", "IJCV 2020", "the authors'")) == (name in paper), cite


def test_seeds_multiply_the_jobs_and_keep_those_of_fewer():
    one, three = (sweeps.jobs("fig2_curves", "mini", seeds) for seeds in (1, 3))
    assert len(three) == 3 * len(one)
    assert {job.run_id for job in one} < {job.run_id for job in three}
    assert {job.seed for job in three} == {0, 1, 2}


def test_a_job_list_is_what_the_words_compose():
    for job in sweeps.jobs("tab_superres", "mini"):
        words = ["experiment=tab_superres", "scale=mini", *job.words]
        assert identify(config.compose(words), {}).run_id == job.run_id


def test_two_figures_share_a_run():
    ids = {name: {job.run_id for job in sweeps.jobs(name, "mini")} for name in ("fig4_denoise", "tab_denoise")}
    assert ids["fig4_denoise"] < ids["tab_denoise"]


def test_a_plain_run_is_the_experiment_s_run():
    """`python run.py task=superres scale=mini` serves the table, and the other way round."""
    plain = identify(config.compose(["task=superres", "scale=mini"]), {}).run_id
    assert plain in {job.run_id for job in sweeps.jobs("tab_superres", "mini")}


def test_the_command_line_narrows_a_sweep():
    (job,) = sweeps.jobs("tab_superres", "mini", overrides=["image=chelsea", "task=superres"])
    assert job.named.config["image"]["name"] == "chelsea"
    assert len(sweeps.jobs("tab_superres", "mini", overrides=["image=chelsea,camera", "task=superres"])) == 2


def test_hydras_own_settings_change_no_job():
    words = ["launcher=joblib", "hydra.launcher.n_jobs=2", "hydra/launcher=joblib"]
    plain, launched = sweeps.jobs("fig7_text", "mini"), sweeps.jobs("fig7_text", "mini", overrides=words)
    assert [job.run_id for job in plain] == [job.run_id for job in launched]


def test_an_overlay_without_a_sweep_is_refused():
    with pytest.raises(Refused, match="smoke has no sweep of its own"):
        sweeps.jobs("smoke", "mini")


@pytest.mark.parametrize("name", NAMES)
def test_an_experiment_takes_another_network(name: str):
    cfg = config.layered([f"experiment={name}", "arch=resnet"])
    assert cfg.arch._target_ == "dip_exp.archs.resnet.ResNet"
    build(config.plain(cfg), "arch", {})


def test_every_variant_is_used():
    used = {
        word.removeprefix("variant=")
        for name in NAMES
        for scale in ("paper", "mini")
        for word in sweeps.swept(name, (f"experiment={name}", f"scale={scale}", "seeds=1")).get("variant", [])
    }
    there = {str(p.relative_to(ROOT / "conf/variant").with_suffix("")) for p in (ROOT / "conf/variant").rglob("*.yaml")}
    assert used == there


def test_every_picture_of_every_set_is_an_option():
    store, composed = ConfigStore.instance(), set()
    for entry in sets.manifest():
        if not entry.is_picture:
            continue
        *group, name = entry.option.split("/")
        kept: Any = OmegaConf.to_container(store.load(f"image/{'/'.join(group)}/{name}.yaml").node)
        assert kept["path"] == f"${{data}}/{entry.path}"
        assert (kept["sha256"], kept["role"]) == (entry.sha256, entry.role)
        if entry.set not in composed:  # one of each set as the command line has it
            composed.add(entry.set)
            cfg = config.compose([f"image={entry.option}", "data=elsewhere"])
            assert cfg.image.path == f"elsewhere/{entry.path}"
            assert cfg.image.sha256 == entry.sha256


def test_a_picture_that_is_itself_degraded_is_taken_as_it_is():
    roles = {entry.option: entry.role for entry in sets.manifest()}
    observed = ("denoising9_noisy25/F16", "inpainting11_masked50/boat", "authors/denoising/snail")
    assert [roles[option] for option in observed] == ["observed"] * 3
    assert [roles[option] for option in ("denoising9/F16", "set5/baby", "authors/inpainting/kate")] == ["clean"] * 3


def test_all_is_every_picture_and_weights_are_got_by_name():
    assert {entry.family for entry in fetch.choose(["all"])} == {*sets.families()} - {"weights"}
    (vgg,) = fetch.choose(["weights/vgg19-dcbb9e9d"])
    assert vgg.url() == "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"
    assert vgg.url("http://mirror/") == "http://mirror/models/vgg19-dcbb9e9d.pth"
    assert vgg.sha256.startswith("dcbb9e9d")  # as its public name has it
    assert [entry.option for entry in fetch.choose(["set5/baby", "set5/bird"])] == ["set5/baby", "set5/bird"]


def test_an_overlay_sets_only_what_differs():
    """Deltas, a citation, a sweep: no overlay repeats a whole group."""
    for name in NAMES:
        overlay = OmegaConf.load(ROOT / f"conf/experiment/{name}.yaml")
        assert set(overlay) <= {
            "defaults",
            "about",
            "task",
            "image",
            "arch",
            "optim",
            "input",
            "stop",
            "rivals",
            "hydra",
        }


# -- what is missing ---------------------------------------------------------------------------------------------------


def test_finished_and_tabled_runs_are_not_missing(tmp_path: Path):
    ask = launch.Ask("mini", results=tmp_path)
    jobs = launch.missing("fig2_curves", ask)
    assert len(jobs) == 4
    folder = RunFolder(tmp_path, jobs[0].run_id)
    folder.path.mkdir(parents=True)
    folder.finish({**A_RECORD})
    tables = tmp_path / "tables" / "mini"
    tables.mkdir(parents=True)
    (tables / "runs.csv").write_text(f"run_id,kind\n{jobs[1].run_id},last\n")
    assert [state for _, state in launch.states("fig2_curves", ask)] == [
        launch.FINISHED,
        launch.TABLED,
        launch.MISSING,
        launch.MISSING,
    ]
    again = launch.Ask("mini", results=tmp_path, recompute=True)
    assert len(launch.missing("fig2_curves", again)) == 3


def test_a_dry_run_lists_what_is_missing_and_computes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture):
    words = ("image.shrink_to=32", "arch=skip_tiny", "threads=1")
    launch.dry_run(["fig6_region"], launch.Ask("mini", results=tmp_path, overrides=words))
    said = capsys.readouterr().out
    assert "fig6_region: 2 of 2 runs missing, about" in said
    assert "optim.lr=0.0001 seed=0" in said
    assert not list(tmp_path.iterdir())


def test_a_dry_run_says_how_to_get_pictures_that_are_not_here(tmp_path: Path, capsys: pytest.CaptureFixture):
    ask = launch.Ask("paper", results=tmp_path, overrides=(f"data={tmp_path / 'none'}",))
    launch.dry_run(["supp14_sparse"], ask)
    assert "python scripts/fetch_images.py authors" in capsys.readouterr().out


def test_estimates_are_times_of_this_machine(tmp_path: Path):
    words = ("image.shrink_to=32", "arch=skip_tiny", "threads=1", "optim.steps=100")
    (job,) = sweeps.jobs("fig7_text", "mini", overrides=words)
    seconds = launch.estimate(job, launch.Ask("mini", results=tmp_path), {})
    assert seconds is not None
    assert math.isfinite(seconds)
    assert seconds > 0


def test_sweeps_that_share_a_run_do_not_go_together():
    queue = launch._Queue({"a": {"1", "2"}, "b": {"2"}, "c": {"3"}})
    assert [queue.take(), queue.take()] == ["a", "c"]
    assert queue.take() == "b"  # nothing else is left
    assert queue.take() is None
    queue.done("a")
    fresh = launch._Queue({"a": {"1"}})
    fresh.clear()
    assert fresh.take() is None


def test_every_sweep_goes_and_failures_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    went: list[list[str]] = []

    def go(command: list[str], *, check: bool) -> Any:
        went.append(command)
        return SimpleNamespace(returncode=int("experiment=fig7_text" in command))

    monkeypatch.setattr(launch.subprocess, "run", go)
    monkeypatch.setattr(launch.os, "cpu_count", lambda: 8)
    names = ["fig7_text", "supp14_sparse", "fig6_region"]
    assert launch.run(names, launch.Ask("mini", launcher="joblib", results=tmp_path)) == ["fig7_text"]
    assert {word.split("=")[1] for words in went for word in words if word.startswith("experiment=")} == set(names)
    assert all("hydra.launcher.n_jobs=4" in words for words in went)
    went.clear()
    launch.run(names, launch.Ask("mini", launcher="joblib", results=tmp_path, overrides=("hydra.launcher.n_jobs=3",)))
    assert all([word for word in words if "n_jobs" in word] == ["hydra.launcher.n_jobs=3"] for words in went)


def test_only_settings_that_change_a_run_make_it_another(tmp_path: Path):
    for words, other in ((("hydra.launcher.n_jobs=2", "threads=3"), False), (("optim.lr=0.005",), True)):
        assert launch.others(["fig7_text"], launch.Ask("mini", results=tmp_path, overrides=words)) is other
