"""The parts of the configuration one by one: building, refusing, composing, resolving, and identities."""

import copy
import hashlib
import json
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from dip_exp import config
from dip_exp.config import resolvers
from dip_exp.config.build import build, refusing
from dip_exp.errors import Refused
from dip_exp.images import sets
from tests.conftest import ROOT

COMPOSE: Any = sys.modules["dip_exp.config.compose"]  # the package has a function of that name


def settings(*words: str) -> dict[str, Any]:
    return config.plain(config.compose(words))


# -- building ----------------------------------------------------------------------------------------------------------


def test_every_target_becomes_its_object_however_deep():
    class_of = {"wmv": "WindowedVariance", "emv": "ExponentialVariance", "plateau": "Plateau"}
    watch = build(settings("stop=watch", "stop.rules.plateau.fall=0.25"), "stop", {})
    assert {name: type(watch.rules[name]).__name__ for name in class_of} == class_of
    assert watch.rules["plateau"].fall == 0.25


@pytest.mark.parametrize(
    ("group", "node", "text"),
    [
        ("optim", {"_target_": "dip_exp.nowhere.Adam"}, "optim._target_: 'dip_exp.nowhere.Adam' cannot be found ("),
        ("optim", {"lr": 0.1}, "optim._target_: None cannot be found ("),
        ("image", {"_target_": "dip_exp.images.source.File"}, "image.path: nothing was given and it has no default"),
        (
            "image",
            {"_target_": "dip_exp.images.source.File", "path": "x", "paht": "y", "grey": True},
            "image.paht: there is no such setting; image has grey, path",
        ),
        (
            "task.mask",
            {"_target_": "dip_exp.observe.masks.Text", "text": "a\nb"},
            "task.mask: mask text: text 'a\\nb' has more than one line",
        ),
    ],
)
@pytest.mark.parametrize("chosen", [False, True])
def test_what_cannot_be_built_is_refused_with_its_place(group: str, node: dict[str, Any], text: str, chosen: bool):
    with pytest.raises(Refused) as refusal:
        build({group: node}, group, {group: "mine"} if chosen else {})
    assert str(refusal.value).startswith(text)
    place = f"  [conf/{group}/mine.yaml, or {group}.<setting>=...]"
    assert str(refusal.value).endswith(place) is chosen
    assert "[" in str(refusal.value)[len(text) :] or not chosen


@pytest.mark.parametrize("kind", [ValueError, TypeError, OSError])
def test_a_parts_own_complaint_is_a_refusal_and_a_refusal_stays_what_it_is(kind: type[Exception]):
    with (
        pytest.raises(Refused, match=r"^no  \[conf/image/file.yaml, or image.<setting>=...\]$"),
        refusing("image", {"image": "file"}),
    ):
        raise kind("no")
    with pytest.raises(Refused, match=r"^no$"), refusing("image", {"image": "file"}):
        raise Refused("no")
    with pytest.raises(KeyError), refusing("image", {}):
        raise KeyError


# -- composing ---------------------------------------------------------------------------------------------------------


def test_composing_leaves_an_enclosing_application_as_it_was(monkeypatch: pytest.MonkeyPatch):
    around: Any = object()
    monkeypatch.setattr(GlobalHydra.instance(), "hydra", around)
    assert "hydra" not in config.compose([])
    assert GlobalHydra.instance().hydra is around
    with pytest.raises(config.UNCOMPOSABLE):
        config.compose(["no=such"])
    assert GlobalHydra.instance().hydra is around


def test_hydras_own_part_is_there_for_who_asks():
    assert config.compose([], hydra_config=True).hydra.job.name is not None


def test_composing_registers_the_schema_first(monkeypatch: pytest.MonkeyPatch):
    called: list[bool] = []
    monkeypatch.setattr(COMPOSE, "register", lambda: called.append(True))
    config.compose([])
    assert called == [True]


def test_what_is_plain_is_plain():
    cfg = config.compose(["scale=mini", "precision=fp64"])
    plain = config.plain(cfg)
    assert json.loads(json.dumps(plain)) == plain
    assert (plain["scale"], plain["precision"]) == ("mini", "fp64")
    assert config.plain_dict(OmegaConf.create({"a": "${b}", "b": {"c": "???"}})) == {
        "a": {"c": "???"},
        "b": {"c": "???"},
    }


@pytest.mark.parametrize(
    ("key", "least"), [("seed", 0), ("degrade_seed", 0), ("threads", 0), ("seeds", 1), ("runs", 1)]
)
def test_whole_numbers_are_taken_from_their_least(key: str, least: int):
    cfg = config.compose([])
    cfg[key] = least
    assert config.plain(cfg)[key] == least
    cfg[key] = least - 1
    with pytest.raises(
        Refused, match=rf"^{key}: given {least - 1}; must be a whole number from {least}  \[.*={least}\]"
    ):
        config.plain(cfg)


def test_a_setting_without_a_value_is_named_however_deep():
    cfg = config.compose(["task=inpaint", "task/mask=file", "task.mask.path=x.png"])
    cfg.task.mask.path = "???"
    with pytest.raises(
        Refused, match=r"^task\.mask\.path: nothing was given .*\[command line: task\.mask\.path=\.\.\.\]"
    ):
        config.plain(cfg)


# -- resolving ---------------------------------------------------------------------------------------------------------


def root(**tree: Any) -> Any:
    return OmegaConf.create({"scale": "paper", "seeds": 2, **tree})


def test_steps_are_the_scales_divided_and_at_least_one():
    def steps(**tree: Any) -> int:
        return resolvers.steps(100, 7, _root_=root(**tree))

    assert (steps(), steps(scale="mini")) == (100, 7)
    assert steps(optim={"fewer": None}) == 100
    assert [steps(optim={"fewer": fewer}) for fewer in (1, 3, 0.5, 70, 10**6)] == [100, 33, 200, 1, 1]
    for wrong in (0, -2, "many"):
        with pytest.raises(ValueError, match=f"given 100, to be divided by optim.fewer, {wrong}; both must be above 0"):
            steps(optim={"fewer": wrong})


def test_only_the_fixed_rule_has_a_tasks_own_steps():
    def own(target: str) -> int:
        return resolvers.own_steps(100, 7, _root_=root(stop={"_target_": target}))

    assert (own("dip_exp.stopping.fixed.Fixed"), own("my_lab.Fixed"), own("my_lab.Other")) == (100, 100, 300)


def test_a_scaled_value_may_be_a_list():
    for scale, expected in (("paper", [1, 2]), ("mini", [3])):
        found = resolvers.scaled([1, 2], [3], _root_=root(scale=scale))
        assert OmegaConf.is_list(found)
        assert list(found) == expected
    assert resolvers.scaled("a", "b", _root_=root(scale=resolvers.Scale.mini)) == "b"


def test_runs_are_the_seeds_from_0_on():
    assert resolvers.runs(3, _root_=root()) == "0,1,2,3,4,5"


def test_a_twin_has_the_same_name_in_another_set():
    assert resolvers.twin("truth", "data/noisy/a.png") == "data/truth/a.png"
    assert resolvers.twin("truth", "/my/data/noisy/a.b.png") == "/my/data/truth/a.b.png"
    assert resolvers.twin_sha256("no_such_set", "data/noisy/a.png") is None
    for entry in sets.manifest()[:50]:
        family, _, stem = entry.option.rpartition("/")
        if entry.path.rsplit("/", 1)[-1].rsplit(".", 1)[0] == stem:
            assert resolvers.twin_sha256(family, f"data/elsewhere/{stem}.png") == entry.sha256


def test_the_weights_of_a_classifier_are_in_its_package_or_at_a_place_where_no_file_is(monkeypatch: Any):
    for spec in (None, SimpleNamespace(submodule_search_locations=None)):
        monkeypatch.setattr(resolvers, "find_spec", lambda _, spec=spec: spec)
        weights = resolvers.classifier_weights()
        assert weights == f"{resolvers.CLASSIFIER}/models/efficientnet-lite0-57934424.pth"
        assert not (ROOT / weights).exists()
    places = SimpleNamespace(submodule_search_locations=["/here", "/there"])
    monkeypatch.setattr(resolvers, "find_spec", lambda _: places)
    assert resolvers.classifier_weights() == "/here/models/efficientnet-lite0-57934424.pth"


@pytest.mark.parametrize("text", ["é", "a'b", "\udcff", "$", ""])
def test_a_text_is_read_from_its_bytes(text: str):
    assert resolvers.text(f"x{text.encode('utf-8', 'surrogateescape').hex()}") == text


def test_registering_twice_is_registering_once():
    resolvers.register()
    resolvers.register()


# -- an identity -------------------------------------------------------------------------------------------------------


def at(tree: dict[str, Any], key: str) -> Any:
    for name in key.split("."):
        tree = tree[name]
    return tree


@pytest.mark.parametrize(
    ("key", "words", "other"),
    [
        ("image.trim_multiple", "image=file image.path=x.png", 32),
        ("task.mask.threshold", "image=file image.path=x.png task=inpaint task/mask=file task.mask.path=y.png", 0.6),
        ("task.mask.read", "image=file image.path=x.png task=inpaint task/mask=file task.mask.path=y.png", "luma"),
        (
            "task.mask.missing_values",
            "image=file image.path=x.png task=inpaint task/mask=file task.mask.path=y.png",
            [3],
        ),
        ("image.scale", "image=file image.path=x.png", [0, 4095]),
        ("image.pages", "image=file image.path=x.png", 2),
        ("input.seed", "", 7),
    ],
)
def test_a_key_with_its_neutral_value_is_the_default_and_left_out(key: str, words: str, other: Any):
    plain = settings(*words.split())
    assert at(plain, key) == config.NEUTRAL[key]
    parent, _, leaf = key.rpartition(".")
    assert leaf not in at(config.identity(plain, {}), parent)
    at(plain, parent)[leaf] = other
    assert at(config.identity(plain, {}), key) == other


def test_every_neutral_key_is_tried_above():
    image, mask = {"image.trim_multiple", "image.scale", "image.pages"}, {"threshold", "read", "missing_values"}
    assert set(config.NEUTRAL) == {*image, *(f"task.mask.{key}" for key in mask), "input.seed"}


def test_what_divided_the_steps_is_in_no_identity():
    plain = settings("optim=muon")
    assert "fewer" in plain["optim"]
    assert "fewer" not in config.identity(plain, {})["optim"]


def test_an_identity_holds_contents_and_neither_paths_nor_declared_hashes():
    words = ["image=file", "image.path=x.png", "task=inpaint", "task/mask=file", "task.mask.path=y.png"]
    plain = settings(*words)
    contents = {"image.path": "aa", "task.mask.path": "bb", "input.path": "cc", "no.such.path": "dd"}
    before = copy.deepcopy(plain)
    found = config.identity(plain, contents)
    assert plain == before  # what was given stays
    assert (found["image"]["path"], found["task"]["mask"]["path"]) == ("sha256:aa", "sha256:bb")
    assert "sha256" not in found["image"]
    assert "no" not in found
    declared = copy.deepcopy(plain)
    declared["image"]["sha256"] = "aa"
    assert config.identity(declared, contents) == found
    assert set(found) == {"numerics", *config.SCIENTIFIC}


def test_an_id_is_twelve_digits_of_the_hash_of_canonical_json():
    what = {"b": 1, "a": {"d": [1, 2], "c": "é\udcff"}}
    text = '{"a":{"c":"\\u00e9\\udcff","d":[1,2]},"b":1}'
    assert config.run_id(what) == hashlib.sha256(text.encode()).hexdigest()[:12]


def test_files_are_the_paths_among_the_scientific_settings():
    words = ["image=file", "image.path=x.png", "task=inpaint", "task/mask=file", "task.mask.path=y.png"]
    plain = settings(*words)
    plain["image"]["sha256"] = "aa"
    plain["logger"]["path"] = "no_picture"
    plain["input"]["path"] = None
    assert config.files(plain) == {"image.path": ("x.png", "aa"), "task.mask.path": ("y.png", None)}


def test_a_list_of_parts_is_named_like_a_part():
    plain = settings()
    plain["optim"]["parts"] = [{"_target_": "dip_exp.anywhere.Adam", "lr": 2.0}, 1.5, True]
    found = config.identity(plain, {})["optim"]["parts"]
    assert found == [{"_target_": "dip_exp.optims.Adam", "lr": 2}, 1.5, True]
    assert found[2] is True
