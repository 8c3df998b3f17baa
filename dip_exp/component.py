"""Components: frozen dataclasses whose fields are the keys of their yaml, validated when constructed."""

from pathlib import Path
from typing import Annotated, Any, TypeVar, dataclass_transform
from unicodedata import normalize

from pydantic import ConfigDict, Field, PlainValidator
from pydantic.dataclasses import dataclass as _checked_dataclass

T = TypeVar("T")

Settings = dict[str, Any]
"""A run's settings or a group's, resolved into plain dicts, lists and scalars. The values are Any, because a group's
keys are the fields of the class that its `_target_` names, and only building the object checks them."""

_STRICT = ConfigDict(strict=True, extra="forbid", arbitrary_types_allowed=True)

Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
PositiveInt = Annotated[int, Field(ge=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]


def _path_text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a file's name is needed, as a string")
    return value


PathText = Annotated[str, PlainValidator(_path_text)]
"""A file name. Plain `str` would reject names that are not valid UTF-8, which file systems permit."""


@dataclass_transform(frozen_default=True, kw_only_default=True)
def component(cls: type[T]) -> type[T]:
    """Returns `cls` as a frozen, keyword-only dataclass that rejects unknown keys, wrong types and values out of range.

    Types are strict (a string is not a number, 1.5 is not an int; an int is accepted as a float). The error is
    pydantic's `ValidationError`, a `ValueError` that lists every wrong field.
    """
    return _checked_dataclass(cls, frozen=True, kw_only=True, config=_STRICT)  # type: ignore[return-value]


@dataclass_transform(kw_only_default=True)
def stateful(cls: type[T]) -> type[T]:
    """Returns `cls` validated as by `component`, but mutable: for stop rules, which have state."""
    return _checked_dataclass(cls, kw_only=True, config=_STRICT)  # type: ignore[return-value]


def located(path: str) -> Path:
    """Returns the path of a file setting. A leading ~/ becomes the home folder; other names stay unchanged (~draft.png
    is an ordinary file name).

    A name that is not there, and is there in another Unicode form (an accent of its own: é as e and ´), is that one.
    """
    place = Path.home() / path[2:] if path.startswith("~/") else Path(path)
    return place if path.isascii() else _in_its_form(place)


def _in_its_form(place: Path) -> Path:
    try:
        if place.exists() or place.name == "":
            return place
        parent = _in_its_form(place.parent)
        wanted = normalize("NFC", place.name)
        alike = [entry for entry in parent.iterdir() if normalize("NFC", entry.name) == wanted]
    except (OSError, ValueError):
        return place
    return alike[0] if len(alike) == 1 else parent / place.name
