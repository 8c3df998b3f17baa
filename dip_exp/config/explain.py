"""In: the words of a command line that Hydra rejected. Out: one message that says what to write instead."""

import difflib
import re
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice, product

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from dip_exp.config import catalogue
from dip_exp.config.compose import UNCOMPOSABLE, compose
from dip_exp.images import folder

COMBINATIONS = 64
"""At most this many combinations of swept options are looked at."""

ELSEWHERE = ("about", "hydra", "experiment", "launcher", "variant")


def explain(words: list[str], *, multirun: bool) -> str | None:
    """Returns an error message that names the wrong word, what there is instead, and what to write.

    Returns None if no word is wrong: the configuration composes, or the error is in a value. A multirun is explained by
    the first combination of its swept options that does not compose.
    """
    overrides = [word for word in words if "=" in word and not word.startswith(("-", "~"))]
    wrong = _unreadable(overrides) or _wrong_option(overrides)
    if wrong is not None:
        return wrong
    for chosen in islice(_combinations(overrides), COMBINATIONS) if multirun else [overrides]:
        wrong = _wrong_key(chosen, multirun=multirun)
        if wrong is not None:
            return wrong
    return None


def key_of(word: str) -> str:
    """Returns the key or group that an override sets."""
    return word.split("=")[0].lstrip("+~").split("@")[0]


def is_group(word: str) -> bool:
    """Returns whether an override chooses an option of a config group."""
    return bool(catalogue.options(key_of(word))) or key_of(word) in catalogue.optional()


def swept(word: str) -> list[str]:
    """Returns the options that an override chooses, in order: one, or those of a sweep; [] if it cannot be parsed."""
    try:
        override: Override = OverridesParser.create().parse_override(word)
        value = override.value()
        if isinstance(value, Glob):
            return value.filter(list(catalogue.options(key_of(word))))
        return list(override.sweep_string_iterator()) if override.is_sweep_override() else [str(value)]
    except HydraException:
        return []


def value_of(word: str) -> str:
    """Returns the value of an override that chooses one, without the quotes of Hydra's grammar. Interpolations stay."""
    return str(OverridesParser.create().parse_override(word).value())


def looks_like_a_file(value: str) -> bool:
    """Returns whether a value is a picture's name rather than an option or a number."""
    return value.lower().endswith(folder.SUFFIXES)


def _unreadable(overrides: list[str]) -> str | None:
    for word in overrides:
        try:
            OverridesParser.create().parse_override(word)
        except HydraException as error:
            why = str(error).splitlines()[0]
            return (
                f"error: {word}: Hydra cannot read this value ({why})  [quote it for Hydra: \"{key_of(word)}='...'\"]"
            )
    return None


def _wrong_option(overrides: list[str]) -> str | None:
    for word in overrides:
        group, options = key_of(word), catalogue.options(key_of(word))
        for value in word.partition("=")[2].split(",") if options else ():
            if re.fullmatch(r"[\w.-]+", value) and value not in (*options, "null"):
                file = "file" in options and looks_like_a_file(value)
                path = f"{group.replace('/', '.')}.path={value}"
                guess = f"; for a file of yours write {path}" if file else _guess(value, options)
                return f"error: {group}={value}: there is no such option; {group} has {', '.join(options)}{guess}"
    return None


def _combinations(overrides: list[str]) -> Iterator[list[str]]:
    """Yields the overrides with one option for each swept group."""
    groups = [word for word in overrides if is_group(word)]
    choices = [[f"{key_of(word)}={option}" for option in swept(word)] or [word] for word in groups]
    others = [word for word in overrides if word not in groups]
    for chosen in product(*choices):
        yield [*chosen, *others]


def _wrong_key(overrides: list[str], *, multirun: bool) -> str | None:
    """Returns a message about the first key that the chosen options do not have; None if each has its place."""
    if not multirun and _composed(overrides) is not None:
        return None
    outer = [word for word in overrides if is_group(word) and "/" not in key_of(word)]
    inner = [word for word in overrides if is_group(word) and "/" in key_of(word)]
    cfg = _composed(outer)
    if cfg is None:
        return None
    for word in inner:
        wrong = _absent(cfg, key_of(word).replace("/", "."), word)
        if wrong is not None:
            return wrong
    cfg = _composed([*outer, *inner]) or cfg
    for word in overrides:
        if not is_group(word) and not word.startswith("+") and not key_of(word).startswith("hydra"):
            wrong = _absent(cfg, key_of(word), word)
            if wrong is not None:
                return wrong
    return None


def _absent(cfg: DictConfig, key: str, word: str) -> str | None:
    """Returns a message if the composed configuration has no such key."""
    parts = key.split(".")
    node, depth = cfg, 0
    while isinstance(node, DictConfig) and depth < len(parts) and parts[depth] in list(node.keys()):
        node, depth = node._get_node(parts[depth]), depth + 1
    if depth == len(parts):
        return None
    parent, leaf = ".".join(parts[:depth]), parts[depth]
    if not parent:
        return f"error: {key}: {_nowhere(cfg, leaf, word)}"
    group, inside = _group_of(parts[:depth])
    having = catalogue.having(group, ".".join([*inside, leaf])) if group else []
    if having:
        first, *more = having
        also = f" (as {'have' if more[1:] else 'has'} {', '.join(more)})" if more else ""
        return f"error: {key}: {group}={_chosen(cfg, group)} has no {leaf}; {group}={first} has{also}"
    keys = sorted(str(name) for name in node if name != "_target_") if isinstance(node, DictConfig) else []
    if not keys:
        return f"error: {key}: there is no such setting; {parent} is one value  [{parent}=...]"
    near = _guess(leaf, keys, f"{parent}.") or _elsewhere(cfg, leaf)
    return f"error: {key}: there is no such setting; {parent} has {', '.join(keys)}{near}"


def _nowhere(cfg: DictConfig, leaf: str, word: str) -> str:
    """Returns what is said of a key that is none of the top level's."""
    value = word.partition("=")[2]
    for group in catalogue.groups():
        if "/" in group and group.endswith(f"/{leaf}") and not group.startswith(ELSEWHERE):
            outer, inner = group.split("/", 1)
            having = catalogue.having(outer, inner)
            write = (
                f"{group}={value}" if value in catalogue.options(group) else f"{group.replace('/', '.')}.path={value}"
            )
            return f"there is no such setting; write {write} (of {outer}={', '.join(having)})"
    elsewhere = _elsewhere(cfg, leaf, value)
    if elsewhere:
        return f"there is no such setting{elsewhere}"
    keys = sorted(str(name) for name in cfg if name != "hydra")
    keys += [group for group in ("experiment", "launcher", "variant") if group not in keys]
    (best,) = difflib.get_close_matches(leaf, [*keys, *sorted(catalogue.leaves())], n=1) or [""]
    near = _guess(leaf, keys) if best in keys else _elsewhere(cfg, best) if best else ""
    return f"there is no such setting; the top level has {', '.join(keys)}{near}"


def _elsewhere(cfg: DictConfig, leaf: str, value: str = "...") -> str:
    """Returns where a setting called `leaf` is: under the chosen options, or else under others; "" if nowhere."""
    here = [key for key in _dotted(cfg) if key.rpartition(".")[2] == leaf and key != leaf]
    if here:
        return f"; write {' or '.join(f'{key}={value}' for key in here)}"
    named = catalogue.named(leaf)
    if not named:
        return ""
    group, key = min(named, key=lambda found: (found[0] != "task", found[1].count(".")))
    options = ", ".join(catalogue.having(group, key))
    return f"; write {group}.{key}={value} with {group}={options} ({group}={_chosen(cfg, group)} has none)"


def _dotted(cfg: DictConfig, where: str = "") -> Iterator[str]:
    for name in cfg.keys():  # noqa: SIM118  # a node itself leaves out those without a value yet
        key = f"{where}{name}"
        if key not in ELSEWHERE:
            yield key
            node = cfg._get_node(name)
            if isinstance(node, DictConfig) and not node._is_none() and not node._is_interpolation():
                yield from _dotted(node, f"{key}.")


def _group_of(parts: list[str]) -> tuple[str, list[str]]:
    """Returns the innermost config group of a key's leading parts, and the parts inside it."""
    for end in range(len(parts), 0, -1):
        group = "/".join(parts[:end])
        if catalogue.options(group):
            return group, parts[end:]
    return "", parts


def _chosen(cfg: DictConfig, group: str) -> str:
    return str(OmegaConf.select(cfg, "hydra.runtime.choices").get(group))


def _guess(word: str, known: Iterable[str], prefix: str = "") -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {prefix}{near[0]}?" if near else ""


def _composed(overrides: list[str]) -> DictConfig | None:
    return _composed_once(tuple(overrides))


@cache
def _composed_once(overrides: tuple[str, ...]) -> DictConfig | None:
    try:
        return compose(overrides, hydra_config=True)
    except UNCOMPOSABLE:
        return None
