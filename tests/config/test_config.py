"""Every option of every group composes and builds; a run's identity is its science and nothing else."""

import copy
import itertools
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hydra.core.config_store import ConfigStore
from hydra.utils import get_class
from omegaconf import OmegaConf

from dip_exp import config
from dip_exp.config import resolvers
from dip_exp.config.build import build
from dip_exp.config.identity import _normal
from dip_exp.errors import Refused
from dip_exp.runs.order import GROUPS as CONFIG_GROUPS
from dip_exp.seeds import named_seed
from tests.conftest import ROOT

GROUPS = {
    group: sorted(path.stem for path in (ROOT / "conf" / group).glob("*.yaml"))
    for group in (*CONFIG_GROUPS, "task/mask", "task/flash", "task/net", "preset", "experiment")
}
OPTIONS = [(group, option) for group, options in GROUPS.items() for option in options]
SCALES = ("paper", "mini")
NEEDS = {
    ("image", "file"): ["image.path=x.png"],
    ("task/mask", "file"): ["task=inpaint", "task.mask.path=x.png"],
    ("task/mask", "table1"): ["task=inpaint", "image=inpainting11/house"],
    **{("task/mask", option): ["task=inpaint"] for option in ("bernoulli", "text", "boxes", "holes")},
    ("task/flash", "synthetic"): ["task=flash"],
    ("task/flash", "file"): ["task=flash", "task.flash.path=x.png"],
    **{("task/net", option): ["task=invert"] for option in ("alexnet", "vgg16", "vgg19", "efficientnet_lite0")},
    ("trainer", "gpu"): ["trainer.accelerator=cpu"],
}


def build_all(*overrides: str) -> None:
    """`scale` decides when a value is read, so that one composition serves both."""
    cfg = config.layered(overrides)
    for scale in SCALES:
        cfg["scale"] = scale
        settings = config.plain(cfg)
        for group in CONFIG_GROUPS:
            assert build(settings, group, {}) is not None


def identity(*overrides: str) -> str:
    return config.run_id(config.identity(config.plain(config.layered(overrides)), {}))


def test_every_group_was_found():
    assert all(GROUPS.values())
    assert {"skip", "unet", "resnet", "pixels"} <= set(GROUPS["arch"])


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_composes_and_builds_at_both_scales(group: str, option: str):
    build_all(*NEEDS.get((group, option), []), f"{group}={option}")


def test_the_scale_of_the_command_line_is_that_of_the_value():
    cfg = config.layered(["task=superres"])
    cfg["scale"] = "mini"
    assert config.plain(cfg) == config.plain(config.layered(["task=superres", "scale=mini"]))


@pytest.mark.parametrize("task", GROUPS["task"])
def test_a_task_leaves_the_choice_of_every_other_group_free(task: str):
    build_all(f"task={task}", "arch=unet", "input=meshgrid", "optim=lbfgs")


@pytest.mark.slow
@pytest.mark.parametrize("group", ["arch", "input", "optim"])
@pytest.mark.parametrize("task", GROUPS["task"])
def test_a_task_takes_every_option_of_every_other_group(task: str, group: str):
    for option in GROUPS[group]:
        build_all(f"task={task}", f"{group}={option}")


@pytest.mark.parametrize("task", GROUPS["task"])
def test_an_explicit_arch_replaces_the_network_and_nothing_else(task: str):
    own, other = (config.plain(config.layered([f"task={task}", *more])) for more in ([], ["arch=resnet"]))
    assert other["arch"]["_target_"].endswith("ResNet")
    assert {key: value for key, value in own.items() if key != "arch"} == {
        key: value for key, value in other.items() if key != "arch"
    }


def test_precedence_group_then_task_then_experiment_then_scale_then_command_line():
    steps = lambda *words: config.plain(config.layered(words))["optim"]["steps"]  # noqa: E731
    group, task, mini = steps("task=denoise"), steps("task=superres"), steps("task=superres", "scale=mini")
    assert OmegaConf.load(ROOT / "conf/optim/adam.yaml").steps == 2000
    assert group == 1800  # the task's, over the group's 2000
    assert mini < task
    assert steps("task=superres", "experiment=smoke") == 10
    assert steps("task=superres", "scale=mini", "experiment=smoke", "optim.steps=7") == 7


@pytest.mark.parametrize("task", GROUPS["task"])
def test_an_optimizer_that_needs_fewer_steps_divides_the_tasks_own(task: str):
    def steps(*words: str) -> int:
        words = (*words, f"task={task}", "scale=mini", "stop=fixed")
        return config.plain(config.layered(words))["optim"]["steps"]

    adam = steps("optim=adam")
    assert steps("optim=muon") == round(adam / 3)
    assert steps("optim=muon", "optim.fewer=1") == adam
    assert steps("optim=muon", "optim.steps=70") == 70


@pytest.mark.parametrize("task", GROUPS["task"])
@pytest.mark.parametrize("optim", ["adam", "muon"])
def test_a_rule_that_looks_for_the_end_has_three_times_the_tasks_own_steps(task: str, optim: str):
    def settings(*words: str) -> dict[str, Any]:
        return config.plain(config.layered([*words, f"task={task}", f"optim={optim}", "scale=mini"]))

    fixed = settings("stop=fixed")["optim"]["steps"]
    for rule in ("emv", "discrepancy", "watch"):
        assert settings(f"stop={rule}")["optim"]["steps"] == 3 * fixed
        assert settings(f"stop={rule}", "optim.steps=70")["optim"]["steps"] == 70
    # Patience is no horizon: it follows the optimizer alone.
    assert settings("stop=emv")["stop"]["patience"] == {"adam": 300, "muon": 100}[optim]


def test_a_number_of_steps_that_is_none_is_named():
    with pytest.raises(
        Refused, match=r"optim.steps: .*given 900, to be divided by optim.fewer, 0; both must be above 0"
    ):
        config.plain(config.layered(["optim=muon", "optim.fewer=0", "scale=mini"]))


def test_a_variants_value_can_hang_on_the_task():
    weight = lambda *words: config.plain(config.layered(words))["task"]["tv_weight"]  # noqa: E731
    words = ("variant=priors/dip_tv", "scale=mini")
    assert weight(*words, "task=denoise_s50") == weight(*words, "task=denoise") != weight(*words, "task=inpaint") > 0
    assert weight(*words, "task=jpeg", "task.tv_weight=1") == 1
    with pytest.raises(
        Refused, match=r"task.tv_weight: .*Denoise, SuperResolution, Inpaint and none for Jpeg.*\[command line: "
    ):
        weight(*words, "task=jpeg")


def test_a_folder_in_the_home_folder_is_found_there():
    assert resolvers.located("~/runs") == str(Path.home() / "runs")
    assert Path(resolvers.located("runs")).name == "runs"


def test_more_is_added_to_the_steps_and_is_one_or_above():
    def steps(*words: str) -> int:
        return config.plain(config.layered([*words, "optim.steps=100"]))["optim"]["steps"]

    assert (steps(), steps("more=1"), steps("more=250")) == (100, 101, 350)
    assert identity("optim.steps=100", "more=5") == identity("optim.steps=105")
    for given in (0, -3):
        with pytest.raises(Refused, match=f"more: given {given}; must be a whole number from 1"):
            steps(f"more={given}")


def test_steps_are_part_of_an_identity_and_what_divided_them_is_not():
    assert identity("optim=muon", "optim.fewer=2", "optim.steps=50") == identity("optim=muon", "optim.steps=50")
    assert identity("optim=muon", "optim.fewer=2") != identity("optim=muon")


def test_yaml_holds_every_setting_of_its_class():
    """`--cfg job` must print a run whole: no default hides in a constructor."""
    for group, option in OPTIONS:
        if group in ("preset", "experiment") or "/" in group:
            continue
        words = [*NEEDS.get((group, option), []), f"{group}={option}"]
        settings = config.plain(config.layered(words))[group]
        target = get_class(settings["_target_"])
        missing = {field.name for field in fields(target)} - set(settings)
        assert not missing, f"conf/{group}/{option}.yaml lacks {missing}"


# -- identity ----------------------------------------------------------------------------------------------------------


def test_operational_settings_do_not_change_the_identity():
    for word in (
        "logger=none",
        "trainer=cpu",
        "trainer.progress=off",
        "threads=3",
        "results=elsewhere",
        "force=true",
        "rivals=all",
        "runs=5",
    ):
        assert identity(word) == identity(), word


def test_scientific_settings_change_the_identity():
    words = ["task=superres", "arch=resnet", "input=meshgrid", "optim.lr=0.02", "seed=1", "degrade_seed=1"]
    ids = [identity(), *(identity(word) for word in [*words, "precision=fp64", "image=chelsea", "scale=mini"])]
    assert len(set(ids)) == len(ids)


def test_an_integer_is_its_float_but_true_is_no_number():
    assert identity("task.sigma=25") == identity("task.sigma=25.0")
    assert _normal(True) is True


def test_scale_counts_by_what_it_sets_and_not_by_name():
    same = ["image.shrink_to=64", "optim.steps=5", "arch=skip_tiny"]
    assert identity("scale=mini", *same) == identity("scale=paper", *same)


def test_a_file_counts_by_its_content_and_not_by_its_name():
    def of(path: str, sha256: str) -> str:
        settings = config.plain(config.layered(["image=file", f"image.path={path}"]))
        return config.run_id(config.identity(settings, {"image.path": sha256}))

    assert of("a.png", "00") == of("b.png", "00") != of("a.png", "01")


def test_a_new_key_changes_nothing_while_it_holds_its_neutral_value(monkeypatch: pytest.MonkeyPatch):
    settings = config.plain(config.layered([]))
    before = config.run_id(config.identity(settings, {}))
    monkeypatch.setitem(config.NEUTRAL, "optim.new", 0.0)
    for value, same in ((0, True), (1, False)):
        settings["optim"]["new"] = value
        assert (config.run_id(config.identity(settings, {})) == before) is same


def test_formatting_of_a_yaml_does_not_matter(tmp_path: Path):
    path = ROOT / "conf/optim/adam.yaml"
    odd = tmp_path / "adam.yaml"
    lines = [line.split("#")[0].rstrip() for line in path.read_text().splitlines()]
    odd.write_text("\n\n".join(reversed([line for line in lines if line])))
    assert _normal(OmegaConf.to_container(OmegaConf.load(odd))) == _normal(OmegaConf.to_container(OmegaConf.load(path)))


def test_named_seeds_differ_by_name_and_by_seed():
    names = ("degrade", "weights", "input", "perturb")
    seeds = [named_seed(seed, name) for seed, name in itertools.product(range(50), names)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("seed=-1", "seed: given -1; must be a whole number from 0"),
        ("runs=0", "runs: given 0; must be a whole number from 1"),
        ("+optm.steps=3", "optm: there is no such setting; the top level has image, task"),
        ("image=file", "image.path: nothing was given"),
        ("optim.lr=abc", "optim.lr: given 'abc'; input should be a valid number"),
        ("optim.lr=-1", "optim.lr: given -1; input should be greater than 0"),
        ("optim.steps=-5", "optim.steps: given -5; input should be greater than or equal to 1"),
        ("optim.steps=1e3", "optim.steps: given 1000.0; input should be a valid integer"),
        ("+optim.lrr=1", "optim.lrr: there is no such setting; optim has average, betas"),
        ("task.sigma=-3", "task.sigma: given -3; input should be greater than or equal to 0"),
        ("optim.over=everything", "input should be 'net', 'input', 'both' or 'norms_and_input'"),
        ("task.protocol=best", "protocol: given 'best'; known protocols: rgb"),
        ("arch.down=[8,8]", "arch"),
        ("optim=sgld optim.over=input", "optim: over: given input, but the noise moves the network's kernels"),
        ("optim=sgld optim.burn_in=1", "optim.burn_in: given 1; input should be less than 1"),
    ],
)
def test_wrong_settings_are_refused_in_words(word: str, text: str):
    with pytest.raises(Refused) as refusal:
        build_all(*word.split())
    assert text in str(refusal.value)


def test_composing_copies_neither_the_store_nor_what_it_hands_out_twice():
    """Hydra copies the store for every composition: with all pictures of all sets in it, --help took 14 seconds."""
    store = ConfigStore.instance()
    assert copy.deepcopy(store) is store
    one, two = (config.compose(["image=set5/baby"]) for _ in range(2))
    one.image.grey = True
    assert two.image.grey is False
    assert config.compose(["image=set5/baby"]).image.grey is False


# -- classes in an identity --------------------------------------------------------------------------------------------


def test_a_class_is_hashed_by_what_it_is_and_not_by_where_it_stands():
    first = ".".join(("dip_exp", "masks", "File"))
    for target in ("dip_exp.elsewhere.File", "dip_exp.observe.masks.File", first):
        assert config.class_name("task", target) == first
    assert config.class_name("image", "dip_exp.anywhere.File") == "dip_exp.images.File"
    assert config.class_name("task", "dip_exp.tasks.deblur.Deblur") == "Deblur"
    assert config.class_name("task", "my_lab.deblur.Denoise") == "my_lab.deblur.Denoise"


def test_bare_names_are_unique_in_a_group():
    for group, modules in config.FIRST_NAMES.items():
        names = [name for classes in modules.values() for name in classes.split()]
        assert len(names) == len(set(names)), group
    of_group: dict[str, dict[str, str]] = {}
    for path in (ROOT / "conf").rglob("*.yaml"):
        group = path.relative_to(ROOT / "conf").parts[0]
        for target in re.findall(r"_target_: *(dip_exp\.[\w.]+)", path.read_text()):
            bare = target.rpartition(".")[2]
            assert of_group.setdefault(group, {}).setdefault(bare, target) == target


def test_a_passive_rule_added_to_watch_renames_no_run():
    later = {"_target_": "dip_exp.stopping.new.New", "window": 5}
    before, after = (config.plain(config.layered(["stop=watch"])) for _ in range(2))
    after["stop"]["rules"]["new"] = later
    assert config.run_id(config.identity(after, {})) == config.run_id(config.identity(before, {}))
    after["stop"]["rules"]["discrepancy"]["tau"] = 0.5
    assert config.run_id(config.identity(after, {})) != config.run_id(config.identity(before, {}))
