"""In: a composed configuration. Out: the run it describes: its identity, and, once read, its picture. No torch."""

import shlex
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig

from dip_exp import config as cfgs
from dip_exp import images
from dip_exp.component import located
from dip_exp.config.build import build, refusing
from dip_exp.runs.folder import RunFolder

ABSENT = "not here"
"""Stands for the content of a file that is not there."""

GROUPS = ("image", "task", "arch", "input", "optim", "stop", "logger", "trainer")


@dataclass(frozen=True)
class Order:
    """What was asked for: the settings, the options chosen for each group, the picture, and the identity of the run."""

    config: dict[str, Any]
    choices: dict[str, str]
    command: list[str]
    picture: images.Picture
    role: str
    contents: dict[str, str]
    identity: dict[str, Any]
    folder: RunFolder
    smaller: str
    """The command of the same run at the smaller scale; empty where that changes nothing."""

    @property
    def what(self) -> str:
        """The run in a few words."""
        return f"{self.choices['task']} of {self.picture.name} with {self.choices['arch']}"


@dataclass(frozen=True)
class Named:
    """A run known by its identity, nothing of it read but what tells one picture from another."""

    config: dict[str, Any]
    choices: dict[str, str]
    contents: dict[str, str]
    identity: dict[str, Any]

    @property
    def run_id(self) -> str:
        return cfgs.run_id(self.identity)


def identify(cfg: DictConfig, choices: dict[str, str]) -> Named:
    """Returns the identity of the run that `cfg` describes. A file whose content is declared need not be there; another
    one that is not there is refused by whoever reads it, and until then its run is one that cannot have run."""
    config = cfgs.plain(cfg)
    with refusing("image", choices):
        contents = {"image.content": build(config, "image", choices).content()}
    for key, (path, declared) in cfgs.files(config).items():
        with refusing(key.split(".")[0], choices):
            found = located(path)
            contents[key] = declared or (images.file_sha256(found) if found.is_file() else ABSENT)
    return Named(config, choices, contents, cfgs.identity(config, contents))


def place(cfg: DictConfig, named: Named, folder: RunFolder, command: list[str]) -> Order:
    """Returns the order: the picture read, nothing computed."""
    config, choices = named.config, named.choices
    image = build(config, "image", choices)
    with refusing("image", choices):
        picture = image.read()
    mini = cfg.copy()
    mini["scale"] = "mini"
    is_smaller = cfgs.identity(cfgs.plain(mini), named.contents) != named.identity
    words = [word for word in command if not word.startswith("scale=")]
    smaller = shlex.join([*words, "scale=mini"]) if is_smaller else ""
    return Order(config, choices, command, picture, image.role, named.contents, named.identity, folder, smaller)
