"""In: overrides as on a command line. Out: what `compose` returns for them, from files that are read once. No torch.

Hydra reads and merges the whole tree again for each composition: 0.1 s, and an experiment's sweep has up to a hundred.
This module merges the same layers in the same order for the part of Hydra's grammar that `conf` and sweeps use, seven
times as fast. What it does not understand it leaves to Hydra: a multirun's values, +key, ~key, a package given on the
command line, an option of a group that no defaults list names, every error. Runs themselves are composed by Hydra.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from dip_exp.config.compose import compose
from dip_exp.config.schema import register

SELF = "_self_"
GLOBAL = "_global_"
PACKAGE = re.compile(r"^# @package (\S+)$", re.MULTILINE)
WORD = re.compile(r"[\w.-]+(/[\w.-]+)*")
"""An option or a group that needs no parsing; anything else (interpolations, lists) is Hydra's."""


class LeftToHydraError(Exception):
    """Raised for what these layers do not understand."""


def layered(overrides: Iterable[str] = (), *, hydra_config: bool = False) -> DictConfig:
    """Returns what `compose` returns for these overrides, and raises what it raises.

    hydra_config: keep the settings of Hydra that `conf` itself makes, such as an experiment's sweep. Unlike in
    `compose`, Hydra's own defaults are not among them.
    """
    register()
    words = list(overrides)
    try:
        choices, values = _parted(words)
        cfg = _merged(choices)
        if not hydra_config:
            with open_dict(cfg):
                del cfg["hydra"]
        OmegaConf.set_struct(cfg, True)
        for one in values:
            OmegaConf.update(cfg, one.key_or_group, one.value())
    except (LeftToHydraError, HydraException, OmegaConfBaseException):
        return compose(words, hydra_config=hydra_config)
    return cfg


def _parted(words: list[str]) -> tuple[dict[str, str], list[Override]]:
    """Returns the chosen options by group, and the values."""
    choices: dict[str, str] = {}
    values = []
    for one in OverridesParser.create().parse_overrides(words):
        if one.type != OverrideType.CHANGE or one.package is not None or one.is_sweep_override():
            raise LeftToHydraError(one.input_line)
        if is_group(one.key_or_group):
            option = one.value()
            if one.key_or_group in choices or not isinstance(option, str):
                raise LeftToHydraError(one.input_line)
            choices[one.key_or_group] = option
        elif one.is_hydra_override():
            raise LeftToHydraError(one.input_line)
        else:
            values.append(one)
    return choices, values


@cache
def is_group(key: str) -> bool:
    """Returns whether a key names a config group, such as `task/mask`."""
    return files("conf").joinpath(*key.split("/")).is_dir()


def _merged(choices: Mapping[str, str]) -> DictConfig:
    """Returns the layers of these choices, merged: a tree that belongs to the caller."""
    walk = _Walk(dict(choices))
    listed = walk.layers(_read("config"), group="", package=GLOBAL)
    if walk.chosen.keys() - walk.met:
        raise LeftToHydraError(f"options of groups that nothing lists: {walk.chosen.keys() - walk.met}")
    cfg = OmegaConf.create({"hydra": {}})  # before the schema, which has no such key
    for layer in listed:
        cfg.merge_with(layer)
    return cfg


# -- the files ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _File:
    """An option as it is written.

    package: the package of its header; None if it has none. defaults: its defaults list, including `_self_`. node: the
    rest.
    """

    package: str | None
    defaults: tuple[Any, ...]
    node: DictConfig

    @cache  # noqa: B019  # files are read once and kept
    def at(self, package: str) -> DictConfig:
        """Returns the content as a tree whose root is the configuration's."""
        if package == GLOBAL:
            return self.node
        tree = OmegaConf.create()
        OmegaConf.update(tree, package, self.node, merge=False)
        return tree

    __hash__ = object.__hash__


@cache
def _read(path: str) -> _File:
    """Returns the option at a path such as `task/mask/holes`, from `conf` or from Hydra's store."""
    place = files("conf").joinpath(f"{path}.yaml")
    if place.is_file():
        text = place.read_text(encoding="utf-8")
        header = PACKAGE.search(text)
        package, node = header and header[1], OmegaConf.create(text)
    elif ConfigStore.instance().get_type(f"{path}.yaml") == ObjectType.CONFIG:
        stored = ConfigStore.instance().load(f"{path}.yaml")
        package, node = stored.package, stored.node
    else:
        raise LeftToHydraError(f"there is no {path}")
    if not isinstance(node, DictConfig):
        raise LeftToHydraError(f"{path} is no mapping")
    defaults = OmegaConf.to_container(node.pop("defaults")) if "defaults" in node else []
    if not isinstance(defaults, list):
        raise LeftToHydraError(f"{path}: defaults are no list")
    return _File(package, tuple(defaults if SELF in defaults else [*defaults, SELF]), node)


# -- the order of the layers -------------------------------------------------------------------------------------------


@dataclass
class _Walk:
    """A walk through the defaults lists, in Hydra's order: of two overrides of a group, the later in the lists counts,
    and the command line's before any.

    chosen: the option of each group that was given or overridden. met: the groups whose place in the lists was found.
    """

    chosen: dict[str, str | None]
    met: set[str] = field(default_factory=set)

    def layers(self, file: _File, group: str, package: str) -> list[DictConfig]:
        """Returns the trees to merge for a file, first to last.

        group: the group that the file's relative names start from. package: where its content goes.
        """
        for entry in file.defaults:
            key, option = _override(entry)
            if key and not key.startswith("hydra/"):
                self.chosen.setdefault(key, option)
        parts: list[list[DictConfig]] = []
        for entry in reversed(file.defaults):
            if entry == SELF:
                parts.append([file.at(package)])
            elif isinstance(entry, str):
                parts.append(self._base(entry, group, package))
            elif not _override(entry)[0]:
                parts.append(self._option(self._resolved(entry, file), group, package))
        return [layer for part in reversed(parts) for layer in part]

    def _base(self, entry: str, group: str, package: str) -> list[DictConfig]:
        name, _, place = entry.partition("@")
        if not WORD.fullmatch(name) or (place and not WORD.fullmatch(place)):
            raise LeftToHydraError(entry)
        path = f"{group}/{name}" if group else name
        within = path.rpartition("/")[0]
        inner = _joined(package, place or ".".join(name.split("/")[:-1]))
        file = _read(path)
        return self.layers(file, within, file.package or inner)

    def _resolved(self, entry: Mapping[str, Any], file: _File) -> Mapping[str, Any]:
        """Returns an entry `GROUP: OPTION`; an option, given here or by an override, that follows from those of other
        groups in the list is found."""
        ((name, option),) = entry.items()
        option = self.chosen.get(name, option)
        if not isinstance(option, str) or not option.startswith("${"):
            return entry
        listed = {key: value for one in file.defaults if isinstance(one, dict) for key, value in one.items()}
        known = {key: self.chosen.get(key, value) for key, value in listed.items() if WORD.fullmatch(key)}
        self.chosen[name] = found = OmegaConf.create({**known, name: option})[name]
        return {name: found}

    def _option(self, entry: Mapping[str, Any], group: str, package: str) -> list[DictConfig]:
        """Returns the layers of `GROUP: OPTION` in the list of a file that sets global values."""
        ((name, option),) = entry.items()
        if package != GLOBAL or not WORD.fullmatch(name.removeprefix("/")) or not (name[0] == "/" or not group):
            raise LeftToHydraError(str(entry))
        key = name.removeprefix("/")
        self.met.add(key)
        option = self.chosen.get(key, option)
        if option is None:
            return []
        if not isinstance(option, str) or not WORD.fullmatch(option):
            raise LeftToHydraError(f"{key}={option}")
        path = f"{key}/{option}"
        file = _read(path)
        return self.layers(file, key, file.package or key.replace("/", "."))


def _override(entry: Any) -> tuple[str, str | None]:
    """Returns the group and the option of an entry `override /GROUP: OPTION`; "" for another entry."""
    ((name, option),) = entry.items() if isinstance(entry, dict) else (("", None),)
    if not name.startswith("override "):
        return "", None
    key = name.removeprefix("override ").removeprefix("/")
    if not WORD.fullmatch(key):
        raise LeftToHydraError(name)
    return key, option


def _joined(package: str, inner: str) -> str:
    return ".".join(part for part in (package if package != GLOBAL else "", inner) if part) or GLOBAL
