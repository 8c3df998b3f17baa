"""What a configuration may name, and what a file of somebody else's options may set, so that neither runs a program. No
torch.

Two things in a configuration can run code: a class that it names, and Hydra's own part (launchers, callbacks, logging).
"""

import os
import re
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from hydra.utils import get_class

from dip_exp.component import located
from dip_exp.errors import Refused

OWN = "dip_exp"

MADE_OF = {
    "image": "dip_exp.images.source.Source",
    "task": "dip_exp.tasks.task.Task",
    "task.mask": "dip_exp.observe.masks.Mask",
    "task.flash": "dip_exp.observe.flash.Flash",
    "task.net": "dip_exp.tasks.classifiers.classifier.Classifier",
    "arch": "dip_exp.archs.arch.Arch",
    "input": "dip_exp.inputs.source.Input",
    "optim": "dip_exp.optims.optim.Optim",
    "stop": "dip_exp.stopping.rule.StopRule",
    "logger": "dip_exp.loggers.logger.Watch",
    "trainer": "dip_exp.fit.trainer.Trainer",
}
"""What the classes of a config group derive from. Elsewhere in a configuration, as in `stop.rules`, a class of this
package derives from any of these."""

HYDRAS = "hydra"
"""Trusted by this name, a folder may also set Hydra's part of the configuration."""

SWEEP = ("hydra", "sweeper", "params")
"""What a file may set of Hydra's part: the sweep of an experiment."""

DESTINATIONS = re.compile(r"(?<![\w/-])(out|results|folder|force|mode|entity)(?![\w/-])")
"""The settings that say where files go, what they replace, and who gets to see them: W&B's `mode` and `entity`. Trusted
by `HYDRAS` alone, a folder sets them."""

MOST_FILES, MOST_BYTES, MOST_ALIASES, MOST_DEEP = 2000, 1_000_000, 16, 50
"""More of a folder, a file, YAML's aliases (which can make a few lines into gigabytes) or its levels are not read."""


def trusted(value: Any) -> list[str]:
    """Returns the packages that the setting `trust` names: a list, or one name. Raises Refused."""
    names = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) and name.isidentifier() for name in names):
        raise Refused(f"trust: given {value!r}; names of Python packages are needed  [trust=mine, trust=[mine,other]]")
    return names


def class_of(target: object, where: str, trust: Sequence[str] = ()) -> type:
    """Returns the class that a `_target_` names, imported.

    where: the dotted key of its settings ("task.mask"). trust: the packages besides this one that may be imported.
    Raises ValueError if the package is not trusted, the class is not found, or it is not of the kind that belongs here.
    """
    key = f"{where}._target_"
    if not isinstance(target, str):
        raise ValueError(f"{key}: {target!r} cannot be found (a class is needed, as PACKAGE.MODULE.CLASS)")
    package = target.partition(".")[0]
    if package != OWN and package not in trust:
        raise ValueError(
            f"{key}: {target!r} is of the package {package!r}, which is not trusted to run here; a configuration from "
            f"somewhere else could name any program; if you know this one: trust={package} on the command line"
        )
    try:
        found = get_class(target)
    except Exception as error:
        raise ValueError(f"{key}: {target!r} cannot be found ({error})") from error
    home = found.__module__.partition(".")[0]
    if home != OWN and home not in trust:
        raise ValueError(
            f"{key}: {target!r} is {found.__module__}.{found.__qualname__}, which is not trusted to run here"
        )
    if where not in MADE_OF and package != OWN:
        return found
    bases = tuple(_imported(base) for base in ([MADE_OF[where]] if where in MADE_OF else MADE_OF.values()))
    if not issubclass(found, bases):
        names = " or ".join(base.__name__ for base in bases)
        raise ValueError(f"{key}: {target!r} does not belong here; a class that derives from {names} is needed")
    return found


def _imported(name: str) -> type:
    module, _, bare = name.rpartition(".")
    return getattr(import_module(module), bare)


def check_sources(sources: Sequence[str], trust: Sequence[str]) -> None:
    """Raises Refused if a place of further options, which the command line names, would set more than options.

    sources: folders, and pkg://PACKAGE as in `hydra.searchpath`.
    """
    for source in sources:
        scheme, _, rest = source.rpartition("://")
        if scheme == "pkg":
            package = rest.partition(".")[0]
            if package not in trust:
                raise Refused(f"{source}: the package {package!r} is not trusted to run here  [trust={package}]")
        elif HYDRAS not in trust:
            root = located(rest)
            if not root.is_dir():
                raise Refused(f"{source}: there is no such folder of options")
            for number, path in enumerate(_files(root)):
                if number == MOST_FILES:
                    raise Refused(
                        f"{rest}: it has more than {MOST_FILES:,} yaml files; name the folder of your options"
                    )
                _check_file(path, root)


def _files(folder: Path, above: tuple[str, ...] = ()) -> Iterator[Path]:
    """Yields every yaml file of a folder, hidden ones and those behind links among them: Hydra would read them too. A
    folder with several names is looked at under each, but not within itself. Raises Refused if one is unreadable."""
    real = os.path.realpath(folder)
    if real in above:
        return
    try:
        entries = sorted(folder.iterdir())
        folders = [entry for entry in entries if entry.is_dir()]
    except OSError as error:
        raise Refused(f"{folder}: this folder of options cannot be read ({error})") from error
    yield from (entry for entry in entries if entry.name.endswith((".yaml", ".yml")) and entry not in folders)
    for entry in folders:
        yield from _files(entry, (*above, real))


def _check_file(path: Path, root: Path) -> None:
    text = _text(path)
    inner = path.relative_to(root).with_suffix("")
    headers = [line for line in text.splitlines() if "#" in line and "@package" in line]
    if any(_is_reserved(word) for word in (*inner.parts, *headers)):
        raise _refused(path, "is a part of Hydra's own configuration")
    try:
        aliases = depth = 0
        for event in yaml.parse(text, yaml.SafeLoader):
            aliases += isinstance(event, yaml.AliasEvent)
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if aliases > MOST_ALIASES or depth > MOST_DEEP:
                raise ValueError(f"more than {MOST_ALIASES} aliases, or {MOST_DEEP} levels")
        tree = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Refused(f"{path}: it cannot be read as YAML ({' '.join(str(error).split())})") from error
    for route in _routes(tree):
        if route[:3] == SWEEP[: len(route[:3])]:
            route = route[3:]
        for key in route:
            if _is_reserved(key) or DESTINATIONS.search(key):
                raise _refused(path, f"sets {key!r}")


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise Refused(f"{path}: it has {path.stat().st_size:,} bytes, and at most {MOST_BYTES:,} are read")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{path}: it cannot be read as text ({error})") from error


def _routes(node: object, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yields the keys that lead to every node of a file. Options that it names, in a defaults list or for a sweep,
    count as keys, and so does what stands for the whole logger: an interpolation may hold its keys."""
    names_options = "defaults" in above or (above[:3] == SWEEP and not above[-1].endswith("path"))
    names_options = names_options or above[-1:] == ("logger",)
    yield (*above, node) if isinstance(node, str) and names_options else above
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _routes(value, (*above, str(key)))
    elif isinstance(node, list):
        for value in node:
            yield from _routes(value, above)


def _is_reserved(key: str) -> bool:
    """Returns whether a key, a group or a package names Hydra's part, what the command line alone may set (`trust`,
    `overwrite`) or a file elsewhere, or may come to."""
    return re.search(r"\b(hydra|trust|overwrite)\b|\.\./|//|\$\{", key) is not None


def _refused(path: Path, what: str) -> Refused:
    return Refused(
        f"{path} {what}; a file of options that is not this package's may set a run's options and an experiment's "
        f"sweep alone, because Hydra's part can run any program, and your command says where files go and who sees "
        f"them; if you know this folder: trust={HYDRAS} on the command line"
    )
