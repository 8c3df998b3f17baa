"""A picture of one's own ends by itself; the paper's pictures and experiments keep the paper's numbers of steps."""

from pathlib import Path

import pytest
import yaml

from dip_exp import config
from dip_exp.config.commandline import prepare
from dip_exp.config.resolvers import NEAR, own_stop, quick_arch
from tests import warm
from tests.conftest import ROOT

OWN = ("image=file", "image.path=x.png")
TASKS = sorted(path.stem for path in (ROOT / "conf/task").glob("*.yaml"))
PRESETS = sorted(path.stem for path in (ROOT / "conf/preset").glob("*.yaml"))


def plain(*words: str) -> dict:
    return config.plain(config.layered(words))


def rule(*words: str) -> str:
    return plain(*words)["stop"]["_target_"].rpartition(".")[2]


@pytest.mark.parametrize("task", TASKS)
def test_the_rule_for_an_own_picture_exists_and_may_end_the_run(task: str):
    assert (ROOT / "conf/stop" / f"{own_stop(task)}.yaml").is_file()
    assert plain(f"task={task}")["own_stop"] == own_stop(task), "the composed one and the one in the file are one"
    named = plain(f"task={task}", f"stop={own_stop(task)}")["stop"]
    own = plain(f"task={task}", *OWN)["stop"]
    assert own == (named if own_stop(task) != "fixed" else plain(f"task={task}")["stop"])


@pytest.mark.parametrize(
    "task", ["denoise", "denoise_s15", "denoise_s50", "denoise_poisson", "denoise_speckle", "jpeg"]
)
def test_a_fit_that_overfits_ends_by_itself_on_an_own_picture(task: str):
    assert rule(f"task={task}", *OWN) == "ExponentialVariance"


@pytest.mark.parametrize(
    "words", [(), ("image=set5/baby",), ("image=chelsea", "scale=mini"), ("experiment=tab_denoise",)]
)
def test_the_papers_pictures_keep_the_papers_steps(words: tuple[str, ...]):
    assert rule(*words) == "Fixed"


@pytest.mark.parametrize("word", ["stop=fixed", "stop=wmv", "stop=plateau"])
def test_what_is_given_by_hand_wins(word: str):
    assert plain(*OWN, word)["stop"] == plain(word)["stop"]
    assert plain(*OWN, word, "preset=quick")["stop"]["_target_"] == plain(word)["stop"]["_target_"]


def test_its_settings_can_be_given_without_naming_it():
    assert plain(*OWN, "stop.patience=7")["stop"]["patience"] == 7


def test_a_sampler_keeps_its_steps():
    assert rule(*OWN, "optim=sgld") == "Fixed"


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("task", TASKS)
def test_a_preset_sets_defaults_only(preset: str, task: str):
    given = (
        *("arch=unet", "input=meshgrid", "optim=adamw", "optim.steps=12", "stop=fixed", "precision=fp64", "runs=3"),
        "scale=paper",
    )
    bare = plain(f"task={task}", *given)
    preset_too = plain(f"task={task}", f"preset={preset}", *given)
    assert preset_too == bare


@pytest.mark.parametrize("task", TASKS)
def test_quick_begins_at_the_classical_restoration_where_the_task_says_so(task: str):
    quick, own = plain(f"task={task}", "preset=quick"), plain(f"task={task}", "optim=muon", "scale=mini")
    if quick["quick_start"] == "classical":
        assert quick["input"]["_target_"].endswith(".Classical")
        assert quick["input"]["perturb_std"] == own["input"]["perturb_std"], "the task's own setting stays"
        assert quick["arch"] == plain(f"task={task}", "arch=skip_narrow", "scale=mini")["arch"]
        ending = own if quick["stop"] == own["stop"] else plain(f"task={task}", "optim=muon", "scale=mini", "stop=emv")
        assert quick["optim"]["steps"] == min(round(NEAR / quick["optim"]["fewer"]), ending["optim"]["steps"])
    else:
        assert quick["quick_start"] == "own"
        assert [quick["input"], quick["arch"]] == [own["input"], own["arch"]]


def test_quick_from_noise_has_the_tasks_own_steps_and_the_others_never_begin_elsewhere():
    assert (
        plain("task=superres", "preset=quick", "input=noise")["optim"]
        == (plain("task=superres", "optim=muon", "scale=mini")["optim"])
    )
    for words in (("task=denoise",), ("task=denoise", "preset=good"), ("task=denoise", "preset=best", "scale=mini")):
        assert plain(*words)["input"]["_target_"].endswith(".Noise")


def test_another_input_changes_z_alone_at_the_papers_scale():
    given, own = plain("task=superres", "input=classical"), plain("task=superres")
    assert {key for key in own if own[key] != given[key]} == {"input"}


@pytest.mark.parametrize("base", ["  - jpeg\n", "  - /task/jpeg\n"])
@pytest.mark.parametrize("start", ["", "quick_start: own\n"])
def test_a_task_of_the_users_own_begins_where_it_says(start: str, base: str, tmp_path: Path):
    """preset=quick reads the task's yaml where Hydra finds it."""
    (tmp_path / "task").mkdir()
    text = f"# @package _global_\ndefaults:\n{base}  - override /arch: skip_text\n  - _self_\n{start}"
    (tmp_path / "task/mine.yaml").write_text(text)
    words = ["task=mine", "preset=quick", "--cfg", "job", "--resolve"]
    status, out, err = warm.run("--config-dir", str(tmp_path), *words, cwd=tmp_path)
    assert status == 0, err
    quick = yaml.safe_load(out)
    assert quick["input"]["_target_"].endswith(".Noise" if start else ".Classical")
    text_arch, narrow = (
        plain("task=jpeg", f"arch={arch}", "scale=mini")["arch"] for arch in ("skip_text", "skip_narrow")
    )
    assert quick["arch"] == (text_arch if start else narrow)
    if start:  # the input that the base chooses
        assert quick["input"] == plain("task=jpeg", "scale=mini")["input"]


def test_quick_makes_no_guess_for_a_task_that_it_cannot_read():
    with pytest.raises(ValueError, match="preset=quick: given task=mine, whose yaml is in no folder of --config-dir"):
        quick_arch("mine")
    assert quick_arch("denoise,jpeg") == "skip", "Hydra resolves each on its own"


@pytest.mark.parametrize(
    ("words", "added"),
    [
        (["image=chelsea", "image.shrink_to=128"], ["stop=emv"]),
        (["image.box=[0,0,64,64]"], ["stop=emv"]),
        (["-m", "task=denoise,jpeg", "image.shrink_to=128"], ["stop=emv"]),
        (["-m", "task=denoise,superres", "image.shrink_to=128"], []),
        (["task=superres", "image.shrink_to=128"], []),
        (["image.shrink_to=null"], []),
        (["image.shrink_to=128", "stop=fixed"], []),
        (["image.shrink_to=128", "optim=sgld"], []),
        (["-m", "optim=adam,sgld", "image.shrink_to=128"], []),
        (["image.shrink_to=128", "scale=mini"], []),
        (["experiment=smoke", "image.shrink_to=32"], []),
    ],
)
def test_a_packaged_picture_of_another_size_ends_by_itself_too(words: list[str], added: list[str]):
    assert [word for word in prepare(words) if word not in words] == added


def test_a_task_that_names_no_rule_has_that_of_its_base_and_one_that_is_not_packaged_has_none():
    assert [own_stop(task) for task in ("denoise", "denoise_s50", "superres", "mine", "denoise,jpeg")] == [
        *("emv", "emv", "fixed", "fixed", "fixed")
    ]
