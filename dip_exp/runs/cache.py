"""Results of classical restorers, kept in `<results>/classical`: the seeds, networks and stop rules of a comparison
share one observation, which is restored once."""

import hashlib
import json
import zipfile
from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from dip_exp import provenance
from dip_exp.atomic import write_arrays

QUICK = 0.5
"""Seconds. A restorer that took less is not worth a file."""


def key(restorer: Any) -> str | None:
    """Returns the name of a restorer's result: a hash of its code, of its arguments by content, and of all versions.

    None if it is not a `functools.partial` of arrays and plain values, so that its result cannot be named.
    """
    if not isinstance(restorer, partial):
        return None
    named = hashlib.sha256(_code().encode())
    try:
        for value in (
            restorer.func.__module__,
            restorer.func.__qualname__,
            *restorer.args,
            *_sorted(restorer.keywords),
        ):
            named.update(_bytes(value))
    except TypeError:
        return None
    return named.hexdigest()[:16]


def read(results: Path, name: str) -> tuple[np.ndarray, float] | None:
    """Returns a kept picture and the seconds that it took; None if there is none, or its file is damaged."""
    try:
        with _path(results, name).open("rb") as file, np.load(file, allow_pickle=False) as kept:
            return kept["picture"], float(kept["seconds"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def keep(results: Path, name: str, picture: np.ndarray, seconds: float) -> None:
    """Keeps a restorer's picture (float32) if it was slow. Raises OSError if it cannot be written."""
    if seconds < QUICK:
        return
    path = _path(results, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_arrays(path, {"picture": picture, "seconds": np.array(seconds)})


def _path(results: Path, name: str) -> Path:
    return results / "classical" / f"{name}.npz"


@cache
def _code() -> str:
    """Returns a text that changes with the restorers' own code and the versions of all libraries."""
    folder = resources.files("dip_exp.tasks.baselines")
    sources = sorted((path.name, path.read_text("utf-8")) for path in folder.iterdir() if path.name.endswith(".py"))
    return json.dumps([sources, provenance.versions()])


def _sorted(keywords: dict[str, Any]) -> list[Any]:
    return [part for name in sorted(keywords) for part in (name, keywords[name])]


def _bytes(value: Any) -> bytes:
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{value.shape}".encode() + np.ascontiguousarray(value).tobytes()
    if value is None or isinstance(value, str | int | float | bool):
        return f"{type(value).__name__}:{value!r};".encode()
    raise TypeError(f"{type(value).__name__} has no content to name")
