"""Which settings each option of a config group has, read from the packaged yamls: composing them all takes seconds."""

from functools import cache
from importlib.resources import files
from typing import Any

from omegaconf import OmegaConf

GLOBAL = "@package _global_"


@cache
def groups() -> tuple[str, ...]:
    """Returns every config group ("task", "task/mask"), a group before those inside it."""
    found: list[str] = []

    def walk(group: str) -> None:
        for entry in sorted(files("conf").joinpath(*group.split("/")).iterdir(), key=lambda entry: entry.name):
            if entry.is_dir() and not entry.name.startswith("_"):
                inner = f"{group}/{entry.name}".lstrip("/")
                found.append(inner)
                walk(inner)

    walk("")
    return tuple(group for group in found if options(group))


@cache
def options(group: str) -> tuple[str, ...]:
    """Returns the options of a group, sorted; () if there is no such group."""
    folder = files("conf").joinpath(*group.split("/"))
    if not group or "." in group or not folder.is_dir():
        return ()
    return tuple(sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")))


@cache
def optional() -> tuple[str, ...]:
    """Returns the groups that may be null: those without an option unless one is asked for."""
    entries = _yaml("config")["defaults"]
    return tuple(key for entry in entries if isinstance(entry, dict) for key, option in entry.items() if option is None)


@cache
def default(group: str) -> str:
    """Returns the option of a group that config.yaml chooses. Raises KeyError if it chooses none."""
    entries = _yaml("config")["defaults"]
    return {key: option for entry in entries if isinstance(entry, dict) for key, option in entry.items()}[group]


@cache
def settings(group: str, option: str) -> frozenset[str]:
    """Returns the dotted keys, within its group, of an option's settings: for task=inpaint "paste", "mask", "mask.p".

    The keys of an inner group are those of the option that is chosen unless another one is asked for.
    """
    name = f"{group}/{option}"
    data = _yaml(name)
    found: set[str] = set()
    for entry in data.pop("defaults", []):
        key, value = next(iter(entry.items())) if isinstance(entry, dict) else ("", entry)
        inner = key.removeprefix("override ").removeprefix(f"/{group}/")
        if not key and value != "_self_":
            base, _, package = value.partition("@")
            found |= _under(package, settings(group, base))
        elif inner != key.removeprefix("override "):
            found = {old for old in found if not old.startswith(f"{inner}.")}
            found |= _under(inner, settings(f"{group}/{inner}", value))
    own = data.get(group, {}) if GLOBAL in _text(name) else data
    return frozenset(found | _keys(own))


def having(group: str, key: str) -> list[str]:
    """Returns the options of a group that have a setting, the plainest first."""
    found = [option for option in options(group) if key in settings(group, option)]
    return sorted(found, key=lambda option: (len(option), option))


def named(leaf: str) -> list[tuple[str, str]]:
    """Returns (group, key) of every setting called `leaf`, in outer groups, those of `config.yaml` first."""
    order = [next(iter(entry)) for entry in _yaml("config")["defaults"] if isinstance(entry, dict)]
    outer = [group for group in order if group in groups() and group not in optional()]
    found: dict[tuple[str, str], None] = {}
    for group in outer:
        for option in sorted(options(group), key=lambda option: (len(option), option)):
            keys = (key for key in sorted(settings(group, option)) if key.rpartition(".")[2] == leaf)
            found.update(dict.fromkeys((group, key) for key in keys))
    return list(found)


def leaves() -> set[str]:
    """Returns the last part of every setting's key."""
    outer = [group for group in groups() if group.split("/")[0] not in optional()]
    keys = (settings(group, option) for group in outer for option in options(group))
    return {key.rpartition(".")[2] for each in keys for key in each}


def _under(package: str, keys: frozenset[str]) -> set[str]:
    if not package:
        return set(keys)
    parts = package.split(".")
    return {".".join(parts[: end + 1]) for end in range(len(parts))} | {f"{package}.{key}" for key in keys}


def _keys(node: Any, where: str = "") -> set[str]:
    found: set[str] = set()
    for key, value in node.items() if isinstance(node, dict) else ():
        if key != "_target_":
            found |= {f"{where}{key}"} | _keys(value, f"{where}{key}.")
    return found


def _text(name: str) -> str:
    return files("conf").joinpath(*f"{name}.yaml".split("/")).read_text(encoding="utf-8")


def _yaml(name: str) -> dict[str, Any]:
    data = OmegaConf.to_container(OmegaConf.create(_text(name)))
    assert isinstance(data, dict)
    return {str(key): value for key, value in data.items()}
