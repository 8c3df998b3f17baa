"""A configuration from somewhere else runs nothing: attacks that succeed without the guard, and what stays possible."""

from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import InterpolationResolutionError

from dip_exp import config
from dip_exp.config import commandline, resolvers, trust
from dip_exp.config.catalogue import groups, options
from dip_exp.errors import Refused
from tests import warm
from tests.conftest import ROOT

SMOKE = ["task=denoise", "arch=pixels", "image.shrink_to=32", "optim.steps=2", "stop=fixed", "logger=none"]

ATTACK = "_target_: subprocess.Popen\nargs: [touch, {ran}]\n"
IN_HYDRA = "{{x: {{_target_: subprocess.Popen, args: [touch, {ran}]}}}}"
LOGGING = "{{version: 1, handlers: {{h: {{(): subprocess.Popen, args: [touch, {ran}]}}}}, root: {{handlers: [h]}}}}"
GLOBAL = "# @package _global_\n"

FILES = {
    "a class of an option": ("stop/mine.yaml", ATTACK, ["stop=mine"]),
    "a class within an option": (
        "task/mask/mine.yaml",
        "_target_: dip_exp.observe.masks.Bernoulli\nmissing: {{_target_: subprocess.Popen, args: [touch, {ran}]}}\n"
        "per_channel: false\n",
        ["task=inpaint", "task/mask=mine"],
    ),
    "a callback of Hydra's": (
        "preset/mine.yaml",
        f"{GLOBAL}hydra: {{{{callbacks: {IN_HYDRA}}}}}\n",
        ["preset=mine"],
    ),
    "Hydra's logging": ("preset/mine.yaml", f"{GLOBAL}hydra: {{{{job_logging: {LOGGING}}}}}\n", ["preset=mine"]),
    "the environment of jobs": (
        "preset/mine.yaml",
        GLOBAL + "hydra: {{job: {{env_set: {{PYTHONSTARTUP: x.py}}}}}}\n",
        ["preset=mine"],
    ),
    "an option of Hydra's": ("hydra/job_logging/mine.yaml", LOGGING + "\n", ["hydra/job_logging=mine"]),
    "a package of Hydra's": (
        "preset/mine.yaml",
        f"# @package hydra.callbacks\n{IN_HYDRA}\n",
        ["preset=mine"],
    ),
    "a defaults list": (
        "preset/mine.yaml",
        GLOBAL + "defaults:\n- /stop@hydra.callbacks.x: mine\n",
        ["preset=mine"],
    ),
    "an override of Hydra's launcher": (
        "preset/mine.yaml",
        GLOBAL + "defaults:\n- override /hydra/launcher: joblib\n",
        ["preset=mine"],
    ),
    "a sweep": (
        "experiment/mine.yaml",
        GLOBAL + "hydra: {{sweeper: {{params: {{+hydra.callbacks.x: '{{_target_: subprocess.Popen}}'}}}}}}\n",
        ["experiment=mine", "-m"],
    ),
    "a file elsewhere": ("preset/mine.yaml", GLOBAL + "defaults:\n- /stop: ../../elsewhere\n", ["preset=mine"]),
    "an interpolated key": ("preset/mine.yaml", GLOBAL + "'${{scale}}': x\n", ["preset=mine"]),
    "a picture somewhere else": ("preset/mine.yaml", GLOBAL + "out: {ran}/x.png\n", ["preset=mine"]),
    "results somewhere else": ("preset/mine.yaml", GLOBAL + "results: {ran}\n", ["preset=mine"]),
    "results of a sweep": (
        "experiment/mine.yaml",
        GLOBAL + "hydra: {{sweeper: {{params: {{results: '{ran}'}}}}}}\n",
        ["experiment=mine", "-m"],
    ),
    "trust itself": ("preset/mine.yaml", GLOBAL + "trust: [subprocess]\n", ["preset=mine"]),
    "a hidden folder": (".stop/mine.yaml", GLOBAL + f"hydra: {{{{callbacks: {IN_HYDRA}}}}}\n", ["stop=fixed"]),
    "a tag of Python's": ("preset/mine.yaml", "x: !!python/object/apply:os.system [touch {ran}]\n", ["preset=mine"]),
    "aliases that grow": (
        "preset/mine.yaml",
        "a0: &a0 x\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 30)),
        ["preset=mine"],
    ),
}


@pytest.fixture
def ran(tmp_path: Path) -> Path:
    """A file that is there if an attack has run its program."""
    return tmp_path / "ran"


@pytest.mark.long
@pytest.mark.parametrize("name", FILES)
def test_a_folder_of_options_runs_nothing(name: str, tmp_path: Path, ran: Path):
    file, text, words = FILES[name]
    path = tmp_path / "own" / file
    path.parent.mkdir(parents=True)
    path.write_text(text.format(ran=ran))
    status, _, err = warm.run(*SMOKE, *words, "--config-dir", "own", cwd=tmp_path)
    assert status == 2
    assert "Traceback" not in err
    assert "trust" in err or "YAML" in err
    assert not ran.exists()
    assert not (tmp_path / "results").exists()


MY_LAB = """\
from dip_exp.stopping.fixed import Fixed

class Mine(Fixed):
    pass

class Other:
    pass
"""
START = """\
import sys
sys.path.insert(0, {folder!r})
from dip_exp.cli import main
main()
"""


@pytest.mark.long
def test_a_class_of_the_users_own_runs_if_its_package_is_trusted(tmp_path: Path):
    (tmp_path / "my_lab.py").write_text(MY_LAB)
    (tmp_path / "start.py").write_text(START.format(folder=str(tmp_path)))
    for name, target in (("mine", "my_lab.Mine"), ("other", "my_lab.Other")):
        path = tmp_path / f"own/stop/{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"_target_: {target}\n")

    def run(*words: str) -> tuple[int, str]:
        all_words = [*(word for word in SMOKE if word != "stop=fixed"), "--config-dir", "own", *words]
        status, _, err = warm.run(*all_words, cwd=tmp_path, script=tmp_path / "start.py")
        return status, err

    status, err = run("stop=mine")
    assert status == 2
    assert "stop._target_: 'my_lab.Mine' is of the package 'my_lab', which is not trusted" in err
    assert "trust=my_lab on the command line" in err
    status, err = run("stop=other", "trust=my_lab")
    assert status == 2
    assert "'my_lab.Other' does not belong here; a class that derives from StopRule is needed" in err
    status, err = run("stop=mine", "trust=my_lab")
    assert status == 0, err
    status, err = run("-m", "stop=mine", "trust=[my_lab]", "seed=1,2")
    assert status == 0, err
    assert len(list(tmp_path.glob("results/runs/*/record.json"))) == 3


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    (folder / "preset").mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    "text",
    [
        "seed: 3\n",
        f"{GLOBAL}defaults:\n- override /optim: muon\n- _self_\noptim: {{lr: 0.1}}\n",
        f"{GLOBAL}hydra: {{sweeper: {{params: {{seed: '0,1', image.path: '../scans/a.png'}}}}}}\n",
        "stop: {trust_region: 3, hydraulic: 2}\n",
        f"{GLOBAL}defaults:\n- override /logger: wandb\n- override /stop: fade-out\nlogger: {{every: 5}}\n",
        f"{GLOBAL}task: {{net: /srv/results/net.pt}}\nimage: {{path: ../out/a.png}}\n",
    ],
)
def test_a_file_of_plain_options_is_fine(own: Path, text: str):
    (own / "preset/mine.yaml").write_text(text)
    trust.check_sources([str(own)], [])


def test_a_folder_may_be_trusted_with_hydras_part(own: Path):
    (own / "preset/mine.yaml").write_text(f"{GLOBAL}hydra: {{job: {{name: x}}}}\n")
    with pytest.raises(Refused, match=r"mine.yaml sets 'hydra'; .*trust=hydra on the command line"):
        trust.check_sources([str(own)], [])
    trust.check_sources([str(own)], ["hydra"])


def test_a_link_that_leads_back_is_followed_once(own: Path):
    (own / "again").symlink_to(own)
    (own / "preset/mine.yaml").write_text("seed: 3\n")
    trust.check_sources([str(own)], [])


def test_a_link_to_another_folder_is_followed(own: Path, tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/mine.yaml").write_text("hydra: {job: {name: x}}\n")
    (own / "stop").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refused, match="sets 'hydra'"):
        trust.check_sources([str(own)], [])


def test_a_folder_with_two_names_is_looked_at_under_both(own: Path):
    """Under one of them it is a part of Hydra's configuration, whichever comes first."""
    (own / "aaa/launcher").mkdir(parents=True)
    (own / "aaa/launcher/ray.yaml").write_text("n_jobs: 1\n")
    trust.check_sources([str(own)], [])
    (own / "hydra").symlink_to(own / "aaa")
    with pytest.raises(Refused, match="is a part of Hydra's own configuration"):
        trust.check_sources([str(own)], [])


@pytest.mark.parametrize("text", ["defaults: [//tmp/x]\n", "defaults: [{/stop: //tmp/x}]\n", "overwrite: true\n"])
def test_a_file_names_no_absolute_place_and_overwrites_nothing(own: Path, text: str):
    (own / "preset/mine.yaml").write_text(GLOBAL + text)
    with pytest.raises(Refused, match=r"mine\.yaml sets "):
        trust.check_sources([str(own)], [])


ONLINE = "_target_: dip_exp.loggers.wandb.Wandb\nmode: online\n"
THIEF = "${oc.select:x,{_target_:dip_exp.loggers.wandb.Wandb,mode:online,entity:thief}}"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("logger/mine.yaml", ONLINE),
        ("logger/mine.yaml", "entity: thief\n"),
        ("preset/mine.yaml", f"{GLOBAL}logger: {{folder: /srv/public}}\n"),
        ("preset/mine.yaml", f"# @package logger\n{ONLINE}"),
        ("preset/mine.yaml", f"{GLOBAL}logger: {THIEF}\n"),
        ("experiment/mine.yaml", f"{GLOBAL}hydra: {{sweeper: {{params: {{+logger.mode: online}}}}}}\n"),
        ("experiment/mine.yaml", f"{GLOBAL}hydra: {{sweeper: {{params: {{logger: '{{mode: online}}'}}}}}}\n"),
        ("preset/mine.yaml", f"{GLOBAL}force: true\n"),
        ("preset/mine.yaml", f"{GLOBAL}results: /srv/public\n"),
        ("preset/mine.yaml", f"{GLOBAL}out: /srv/public/x.png\n"),
    ],
)
def test_where_files_go_and_who_sees_them_is_for_the_command_to_say(own: Path, file: str, text: str):
    path = own / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    with pytest.raises(Refused, match=r"mine\.yaml sets .*trust=hydra on the command line"):
        trust.check_sources([str(own)], [])
    trust.check_sources([str(own)], ["hydra"])


def test_a_folder_of_options_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(Refused, match=r"file://.*gone: there is no such folder of options"):
        trust.check_sources([f"file://{tmp_path / 'gone'}"], [])


def test_a_trusted_package_stands_for_its_own_classes_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "my_tools.py").write_text("import subprocess\n\n\nclass Part:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert trust.class_of("my_tools.Part", "task.mask.missing", ["my_tools"]).__name__ == "Part"
    with pytest.raises(ValueError, match=r"is subprocess\.Popen, which is not trusted to run here"):
        trust.class_of("my_tools.subprocess.Popen", "task.mask.missing", ["my_tools"])


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"x" * (trust.MOST_BYTES + 1), "has 1,000,001 bytes, and at most 1,000,000 are read"),
        (b"\xff\xfe\x00", "cannot be read as text"),
        (b"a: [", "cannot be read as YAML"),
        (b"[" * 300, "cannot be read as YAML .more than 16 aliases, or 50 levels"),
    ],
)
def test_what_is_no_file_of_options_is_refused(own: Path, content: bytes, text: str):
    (own / "preset/mine.yaml").write_bytes(content)
    with pytest.raises(Refused, match=text):
        trust.check_sources([str(own)], [])


def test_too_many_files_are_not_read(own: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(trust, "MOST_FILES", 3)
    for number in range(4):
        (own / f"preset/{number}.yaml").write_text("seed: 1\n")
    with pytest.raises(Refused, match="more than 3 yaml files"):
        trust.check_sources([str(own)], [])


@pytest.mark.parametrize(
    ("words", "places"),
    [
        (["-cd", "a", "stop=mine"], ["a"]),
        (["--config-dir=a b", "-m"], ["a b"]),
        (["-m", "--config-dir", "a", "hydra.searchpath=[file://b,'pkg://c.d']"], ["file://b", "pkg://c.d", "a"]),
        (["hydra.searchpath=['file:///a b,c']"], ["file:///a b,c"]),
        (["-cp", "/x"], ["/x"]),
        (["-cp", "pkg://mine"], ["pkg://mine"]),
        (["seed=1", "-m", "--cfg", "job"], []),
    ],
)
def test_every_place_of_options_that_a_command_names_is_found(words: list[str], places: list[str]):
    assert commandline.places_of(words) == places


@pytest.mark.parametrize("word", ["preset=../../own/p", "stop=fixed,../x", "+task/mask=../x", "hydra/launcher=../x"])
def test_the_name_of_an_option_does_not_lead_elsewhere(word: str):
    with pytest.raises(Refused, match=r"a file of options lies in a folder that is named  \[--config-dir"):
        commandline.prepare(["-m", word])
    with pytest.raises(Refused, match=r"--config-name: given ../p; "):
        commandline.places_of(["--config-name", "../p", "image.path=../a.png"])
    assert commandline.prepare(["out=../a.png"])


def test_a_package_of_options_is_imported_only_if_it_is_trusted():
    with pytest.raises(Refused, match=r"pkg://my_lab.conf: the package 'my_lab' is not trusted .*\[trust=my_lab\]"):
        trust.check_sources(["pkg://my_lab.conf"], ["other"])
    trust.check_sources(["pkg://my_lab.conf"], ["my_lab"])


@pytest.mark.parametrize("words", [["--config-di", "own"], ["--config=own"], ["--experimental-rerun", "x.pickle"]])
def test_an_option_that_hides_what_it_does_is_refused(words: list[str], tmp_path: Path):
    status, _, err = warm.run(*SMOKE, *words, cwd=tmp_path)
    assert status == 2
    assert "an option is written in full here" in err or "it opens a pickle" in err


@pytest.mark.parametrize(("given", "names"), [(None, []), ("mine", ["mine"]), (["a", "b"], ["a", "b"]), ([], [])])
def test_trust_is_a_list_of_packages(given: Any, names: list[str]):
    assert trust.trusted(given) == names


@pytest.mark.parametrize("given", ["a.b", "", 3, [3], ["a-b"], {"a": 1}])
def test_anything_else_is_no_trust(given: Any):
    with pytest.raises(Refused, match=r"trust: given .*\[trust=mine"):
        trust.trusted(given)


def test_the_words_of_a_command_are_what_is_trusted():
    assert commandline.trusted_by(["trust=mine", "seed=1"]) == ["mine"]
    assert commandline.trusted_by(["trust=[mine,other]"]) == ["mine", "other"]


@pytest.mark.parametrize(
    ("target", "where"),
    [
        ("dip_exp.optims.adam.Adam", "stop"),  # of another group
        ("dip_exp.runs.folder.RunFolder", "stop"),  # of none
        ("dip_exp.runs.folder.RunFolder", "stop.rules.x"),
        ("dip_exp.cli.Path", "task"),  # found through a module of ours
        ("torch.nn.Linear", "arch"),  # not of this package
        ("os.system", "task"),
    ],
)
def test_a_class_that_does_not_belong_is_not_made(target: str, where: str):
    with pytest.raises(ValueError, match=r"_target_: .* (does not belong here|is not trusted to run here)"):
        trust.class_of(target, where)


def test_every_group_of_classes_says_what_they_are_made_of():
    """That each option is of that kind, `build` itself checks: tests/test_laws.py builds them all."""
    folder = ROOT / "conf"
    named = {group for group in groups() for option in options(group) if "_target_" in _read(folder, group, option)}
    assert {group.replace("/", ".") for group in named} <= set(trust.MADE_OF)


def _read(folder: Path, group: str, option: str) -> Any:
    return OmegaConf.to_container(OmegaConf.load(folder / group / f"{option}.yaml"))


def test_a_variable_of_the_environment_is_no_value():
    config.register()

    resolvers.refuse_environment()
    with pytest.raises(InterpolationResolutionError, match=r"oc.env: given HOME; .* would get into the record"):
        _ = OmegaConf.create({"a": "${oc.env:HOME}"}).a
