"""In: a composed configuration. Out: the run it describes: its identity and, once read, its picture. No torch."""

import shlex
from dataclasses import dataclass

from omegaconf import DictConfig

from dip_exp import config as cfgs
from dip_exp import images
from dip_exp.component import Settings, located
from dip_exp.config.build import build, refusing
from dip_exp.runs.folder import RunFolder

ABSENT = "not here"
"""Placeholder for the content of a missing file."""

GROUPS = ("image", "task", "arch", "input", "optim", "stop", "logger", "trainer")


@dataclass(frozen=True)
class Named:
    """A run's resolved config and identity. Of its files, only the content hashes are known.

    config: plain settings. choices: the chosen option of each config group. image: the source of its picture. contents:
    the sha256 of each of its files, by dotted key.
    """

    config: Settings
    choices: dict[str, str]
    image: images.Packaged | images.File | images.Blank
    contents: dict[str, str]
    identity: Settings

    @property
    def run_id(self) -> str:
        return cfgs.run_id(self.identity)

    @property
    def role(self) -> str:
        """`clean` or `observed`."""
        return self.image.role


@dataclass(frozen=True)
class Order:
    """A run about to be computed, with its picture read. smaller: the command of the same run at the smaller scale;
    empty if that scale changes nothing."""

    named: Named
    command: list[str]
    picture: images.Picture
    folder: RunFolder
    smaller: str

    @property
    def config(self) -> Settings:
        return self.named.config

    @property
    def choices(self) -> dict[str, str]:
        return self.named.choices

    @property
    def what(self) -> str:
        """A short description of the run."""
        return f"{self.choices['task']} of {self.picture.name} with {self.choices['arch']}"


def identify(cfg: DictConfig, choices: dict[str, str]) -> Named:
    """Returns the identity of the run that `cfg` describes. Raises Refused.

    A file with a declared hash need not exist. A missing file without one gets a placeholder; reading it later is
    refused.
    """
    config = cfgs.plain(cfg)
    image = build(config, "image", choices)
    with refusing("image", choices):
        contents = {"image.content": image.content()}
    for key, (path, declared) in cfgs.files(config).items():
        with refusing(key.split(".")[0], choices):
            found = located(path)
            what = key.split(".")[-2]  # task.mask.path: a mask
            contents[key] = declared or (images.file_sha256(found, what) if found.is_file() else ABSENT)
    return Named(config, choices, image, contents, cfgs.identity(config, contents))


def place(cfg: DictConfig, named: Named, folder: RunFolder, command: list[str]) -> Order:
    """Returns the order, with the picture read and nothing computed. Raises Refused."""
    with refusing("image", named.choices):
        picture = named.image.read()
    mini = cfg.copy()
    mini["scale"] = "mini"
    is_smaller = cfgs.identity(cfgs.plain(mini), named.contents) != named.identity
    words = [word for word in command if not word.startswith("scale=")]
    smaller = shlex.join([*words, "scale=mini"]) if is_smaller else ""
    return Order(named, command, picture, folder, smaller)
