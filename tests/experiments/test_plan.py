"""The order of value is the experiments' own; a run that two share is there once; a plan says how far each run is."""

import math
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from dip_exp import config
from dip_exp.experiments import launch, plan, sweeps
from dip_exp.fit.generations import Generations
from dip_exp.images import sets
from dip_exp.runs import checkpoints
from dip_exp.runs.folder import RunFolder
from dip_exp.runs.order import identify
from tests.conftest import A_RECORD, ROOT, jobs_of

LISTED = [
    *("tab_superres", "fig2_curves", "tab_denoise", "trajectories", "fig8_depth", "fig6_region", "fig7_text"),
    *("fig10_flash", "supp14_sparse", "tab1_pixels", "supp_prior"),
]
DIFFERENT = ["fig2_curves", "fig8_depth"]  # sweeps of a setting, and of an option
TRAJECTORIES = ["F16", "zebra", "kate", "library", "vase", "snail"]


@pytest.fixture(scope="module")
def paper() -> list[plan.Entry]:
    """The paper's runs at its own scale, two seeds where it has two, as on a machine that has computed none."""
    return plan.entries(sorted(LISTED), launch.Ask("paper", results=Path("nothing is here")))


def is_a(entry: plan.Entry, family: str, **settings: Any) -> bool:
    """Whether a run is of a set's picture, with these settings of its task."""
    picture = sets.by_content(entry.job.named.config["image"]["sha256"])
    assert picture is not None
    task = entry.job.named.config["task"]
    return picture.family == family and all(task.get(key) == value for key, value in settings.items())


def side(entry: plan.Entry) -> int:
    picture = sets.by_content(entry.job.named.config["image"]["sha256"])
    assert picture is not None
    return max(picture.width, picture.height)


def position(entry: plan.Entry) -> str:
    """Which part of the issue's order a run belongs to, found from its settings alone."""
    config_, seed = entry.job.named.config, entry.job.seed
    task = config_["task"]["_target_"].split(".")[-2]
    name = next(iter(config.files(config_).values()))[0].rpartition("/")[2].removesuffix(".png")
    if "trajectories" in entry.experiments and name != "F16":
        return "trajectories"
    match task:
        case "superres" if "supp_prior" in entry.experiments:
            return "whatever else"
        case "superres":
            return f"{'Set5' if is_a(entry, 'set5') else 'Set14'} x{config_['task']['factor']:g}"
        case "reconstruct":
            return "learning curves"
        case "denoise" if config_["task"]["sigma"] == 50:
            return "sigma 50"
        case "denoise" if seed == 1:
            return "second seed"
        case "denoise":
            return "F16" if name == "F16" else "the other eight"
        case "inpaint" if is_a(entry, "inpainting11"):
            return "Table 1, 256" if side(entry) == 256 else "Table 1, the rest"
        case _:
            return "Fig. 8, vase, text, flash, 2 %"


ORDER = {
    "Set5 x4": 5,
    "learning curves": 4,
    "F16": 1,
    "the other eight": 8,
    "trajectories": 5,
    "Set5 x8": 5,
    "Fig. 8, vase, text, flash, 2 %": 4 + 1 + 0 + 1 + 1,  # kate's text and depth 6 are trajectories
    "second seed": 9,
    "Set14 x4": 14,
    "Table 1, 256": 4,
    "Table 1, the rest": 7,
    "sigma 50": 18,
    "Set14 x8": 14,
    "whatever else": 3,
}


def test_the_papers_runs_come_in_order_of_value(paper: list[plan.Entry]):
    positions = [position(entry) for entry in paper]
    assert list(dict.fromkeys(positions)) == list(ORDER)
    assert {name: positions.count(name) for name in ORDER} == ORDER
    assert positions == sorted(positions, key=list(ORDER).index)
    shown = [entry for entry in paper if "trajectories" in entry.experiments]
    paths = [next(iter(config.files(entry.job.named.config).values()))[0] for entry in shown]
    assert [Path(path).stem for path in paths] == TRAJECTORIES


def test_a_run_that_experiments_share_is_listed_once_at_its_earliest_place(paper: list[plan.Entry]):
    assert len({entry.run_id for entry in paper}) == len(paper)
    (shared,) = [entry for entry in paper if {"tab_denoise", "trajectories"} <= set(entry.experiments)]
    assert (shared.experiments[0], shared.at) == ("tab_denoise", 30)
    for name in LISTED:
        wanted = {job.run_id for job in sweeps.jobs(name, "paper")}
        assert {entry.run_id for entry in paper if name in entry.experiments} == wanted


def test_every_experiment_of_the_paper_has_a_place_and_others_come_last(
    paper: list[plan.Entry], monkeypatch: pytest.MonkeyPatch
):
    assert all(entry.at < plan.LAST for entry in paper)
    about = sweeps.about
    assert all((about(name) or {})["order"] for name in sweeps.of_the_paper())
    monkeypatch.setattr(
        sweeps, "about", lambda name: {**(about(name) or {}), **({"order": []} if name == "fig2_curves" else {})}
    )
    found = plan.entries(["fig2_curves", "supp14_sparse"], launch.Ask("mini", results=Path("nothing is here")))
    assert [entry.experiments[0] for entry in found] == ["supp14_sparse", *["fig2_curves"] * 4]
    assert found[-1].at == plan.LAST == math.inf


@pytest.mark.parametrize("name", ["tab_superres", "tab_denoise", "trajectories", "tab1_pixels"])
def test_every_entry_of_an_order_is_some_jobs(name: str):
    order = OmegaConf.load(ROOT / f"conf/experiment/{name}.yaml").about.order
    ranks = {plan.place(name, job)[1][0] for scale in ("paper", "mini") for job in jobs_of(name, scale)}
    assert ranks == set(range(len(order))) != {0}


def test_an_order_changes_no_run():
    cfg = config.layered(["experiment=tab_superres", "scale=mini"])
    before = identify(cfg, {}).run_id
    cfg.about.order = [config.Place(at=1.0)]
    assert identify(cfg, {}).run_id == before


def test_further_seeds_come_after_the_first_of_everything():
    ask = launch.Ask("mini", seeds=2, results=Path("nothing is here"))
    found = plan.entries(["fig2_curves", "supp14_sparse"], ask)
    assert [(entry.experiments[0], entry.job.seed) for entry in found] == [
        *[("fig2_curves", 0)] * 4,
        ("supp14_sparse", 0),
        *[("fig2_curves", 1)] * 4,
        ("supp14_sparse", 1),
    ]


# -- how far a run is --------------------------------------------------------------------------------------------------


def begin(results: Path, run_id: str, steps: int) -> None:
    folder = RunFolder(results, run_id)
    folder.path.mkdir(parents=True, exist_ok=True)
    weights = torch.nn.Conv2d(2, 2, 3).state_dict()
    torch.save({"of": "x", "parameters": weights, "average": torch.zeros(3), "start": steps}, folder.checkpoint)


def test_a_begun_run_says_how_many_steps_it_has_and_goes_first_among_equals(tmp_path: Path):
    ask = launch.Ask("mini", results=tmp_path)
    before = plan.entries(["fig2_curves", "fig6_region"], ask)
    begin(tmp_path, before[2].run_id, 250)
    begin(tmp_path, before[5].run_id, 10)
    after = plan.entries(["fig2_curves", "fig6_region"], ask)
    assert [entry.run_id for entry in after] == [before[i].run_id for i in (2, 0, 1, 3, 5, 4)]
    assert (after[0].state, after[0].done, after[0].steps) == (launch.BEGUN, 250, 1000)
    assert after[0].left == 0.75
    assert "begun: 250 of 1000" in plan.table(after, {})


def test_looking_again_sees_what_was_finished_meanwhile(tmp_path: Path):
    ask = launch.Ask("mini", results=tmp_path)
    first, second, third, fourth = plan.entries(["fig2_curves"], ask)
    begin(tmp_path, first.run_id, 500)
    begin(tmp_path, second.run_id, 1)
    RunFolder(tmp_path, second.run_id).finish({**A_RECORD})
    (tmp_path / "tables/mini").mkdir(parents=True)
    (tmp_path / "tables/mini/runs.csv").write_text(f"run_id,kind\n{third.run_id},last\n")
    looked = [plan.refreshed(entry, ask) for entry in (first, second, third, fourth)]
    states = [launch.BEGUN, launch.FINISHED, launch.TABLED, launch.MISSING]
    assert [entry.state for entry in looked] == states
    assert [entry.left for entry in looked] == [0.5, 0, 0, 1]
    again = launch.Ask("mini", results=tmp_path, recompute=True)
    assert plan.refreshed(third, again).state == launch.MISSING


def test_a_checkpoint_that_cannot_be_read_has_no_steps(tmp_path: Path):
    path = tmp_path / "checkpoint.pt"
    assert checkpoints.steps_done(Generations(path)) == 0
    path.write_bytes(b"half a file")
    assert checkpoints.steps_done(Generations(path)) == 0
    torch.save({"elsewhere": 1}, path)
    assert checkpoints.steps_done(Generations(path)) == 0


def test_reading_a_checkpoint_runs_nothing_of_it(tmp_path: Path):
    class Evil:
        def __reduce__(self) -> Any:
            return (os.mkdir, (str(tmp_path / "ran"),))

    path = tmp_path / "checkpoint.pt"
    torch.save({"evil": Evil(), "start": 7}, path)
    assert checkpoints.steps_done(Generations(path)) == 7
    assert not (tmp_path / "ran").exists()


def test_a_run_names_what_it_needs_and_is_not_here(tmp_path: Path):
    ask = launch.Ask("paper", results=tmp_path, overrides=(f"data={tmp_path}",))
    (entry,) = plan.entries(["supp14_sparse"], ask)
    assert set(entry.absent) == {"authors"}
    assert "files not here" in plan.table([entry], {})
    (inverted, *_) = plan.entries(["ijcv16_vgg19"], ask)
    assert set(inverted.absent) == {"authors", "weights/vgg19-dcbb9e9d"}


# -- several jobs as one multirun, and the table -----------------------------------------------------------------------


def test_jobs_put_together_are_the_sweep_of_just_those(paper: list[plan.Entry]):
    groups: list[list[plan.Entry]] = []
    for entry in paper:
        if groups and plan.goes_with(groups[-1], entry):
            groups[-1].append(entry)
        else:
            groups.append([entry])
    assert len(groups) < len(paper) / 3
    chosen = [next(jobs for jobs in groups if name in jobs[0].experiments and len(jobs) > 1) for name in DIFFERENT]
    for jobs in chosen:
        name, words = jobs[0].experiments[0], plan.together(jobs)
        swept = sweeps.jobs(name, "paper", 1, words)
        assert {job.run_id for job in swept} == {entry.run_id for entry in jobs}, words


def test_jobs_that_differ_in_two_words_go_apart(paper: list[plan.Entry]):
    baby, bird = paper[:2]
    other = next(entry for entry in paper if position(entry) == "Set5 x8" and "bird" in str(entry.job.words))
    assert plan.goes_with([baby], bird)
    assert not plan.goes_with([baby], other)
    assert not plan.goes_with([baby, bird], paper[5])


def test_a_table_is_less_than_a_hundred_columns_wide(paper: list[plan.Entry]):
    takes = {entry.run_id: 3600.0 * number for number, entry in enumerate(paper)}
    lines = plan.table(paper, takes, takes).splitlines()
    assert len(lines) == len(paper) + 2
    assert max(map(len, lines)) < 100
    assert len({len(line.rstrip()) for line in lines[2:]}) < 4  # columns are aligned
    for entry, line in zip(paper[:5], lines[2:], strict=False):
        assert entry.job.words[1].removeprefix("image=") in line


def test_many_jobs_of_one_sweep_are_one_row(tmp_path: Path):
    words = (f"task.unit={','.join(map(str, range(60)))}",)
    found = plan.entries(["classes1000"], launch.Ask("paper", results=tmp_path, overrides=words))
    text = plan.table(found, {entry.run_id: 60.0 for entry in found})
    assert len(text.splitlines()) == 3
    assert "60 jobs" in text
