"""In: overrides as on a command line. Out: the composed configuration, and its plain, checked form. No torch."""

import copy
from collections.abc import Iterable
from dataclasses import fields

from hydra import compose as hydra_compose
from hydra import initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import Container, DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException

from dip_exp.component import Settings
from dip_exp.config import precision
from dip_exp.config.schema import Config, register
from dip_exp.config.trust import trusted
from dip_exp.errors import Refused

UNCOMPOSABLE = (HydraException, OmegaConfBaseException)
"""The exceptions that `compose` raises for invalid overrides."""


def compose(overrides: Iterable[str] = (), *, hydra_config: bool = False) -> DictConfig:
    """Returns the configuration that a command line with these overrides composes, including Hydra's own part if
    `hydra_config` is set. An enclosing Hydra application keeps its state."""
    register()
    before = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_module("conf", version_base="1.3"):
            return hydra_compose("config", overrides=list(overrides), return_hydra_config=hydra_config)
    finally:
        GlobalHydra.instance().hydra = before  # Hydra has put another instance in the place of the first


def plain(cfg: Container) -> Settings:
    """Returns the configuration resolved into plain dicts, lists and scalars (enumerations by name), with ranges
    checked. Replaces `precision=auto` by this machine's choice. Raises Refused."""
    try:
        config = plain_dict(_with_more(cfg))
    except InterpolationResolutionError as error:
        key, why = error.full_key, str(error).splitlines()[0].rpartition("resolving interpolation: ")[2]
        raise Refused(f"{key}: its value cannot be found ({why})  [command line: {key}=...]") from error
    known = [entry.name for entry in fields(Config)]
    for key in config:
        if key not in known:
            raise Refused(f"{key}: there is no such setting; the top level has {', '.join(known)}")
    _refuse_missing(config)
    config["trust"] = trusted(config["trust"])
    for key, least in (("seed", 0), ("degrade_seed", 0), ("threads", 0), ("seeds", 1), ("runs", 1)):
        if config[key] < least:
            raise Refused(
                f"{key}: given {config[key]}; must be a whole number from {least}  [command line: {key}={least}]"
            )
    config["precision"] = precision.chosen(config)
    return config


def _with_more(cfg: Container) -> Container:
    """Returns the configuration with `more` added to optim.steps. Raises Refused."""
    more = OmegaConf.select(cfg, "more", default=None)
    if more is None:
        return cfg
    if more < 1:
        raise Refused(f"more: given {more}; must be a whole number from 1  [command line: more=1000]")
    longer = copy.deepcopy(cfg)
    OmegaConf.update(longer, "optim.steps", OmegaConf.select(cfg, "optim.steps") + more)
    return longer


def plain_dict(node: Container) -> Settings:
    """Returns a node of the configuration resolved into plain dicts, lists and scalars, without checks."""
    container = OmegaConf.to_container(node, resolve=True, enum_to_str=True, throw_on_missing=False)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


def _refuse_missing(node: object, where: str = "") -> None:
    for key, value in node.items() if isinstance(node, dict) else ():
        path = f"{where}{key}"
        if value == "???":
            raise Refused(f"{path}: nothing was given and it has no default  [command line: {path}=...]")
        _refuse_missing(value, f"{path}.")
