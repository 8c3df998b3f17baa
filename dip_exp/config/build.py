"""In: plain settings. Out: the object they describe, or a refusal with a clear message. Only the composition root and
`dip_exp.api` use it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

from dip_exp.component import Settings
from dip_exp.config.trust import class_of, trusted
from dip_exp.errors import Refused


def build(config: Settings, group: str, choices: dict[str, str]) -> Any:
    """Returns the object that a group's settings describe. Only this function instantiates a `_target_`, and only of a
    kind that belongs there (`trust.MADE_OF`), from this package or one that the setting `trust` names.

    Raises Refused with a line for each setting that is unknown, of the wrong type or out of range.
    """
    with refusing(group, choices):
        return _call(config[group], group, trusted(config.get("trust")))


def _call(node: Settings, where: str, trust: list[str]) -> Any:
    target = class_of(node.get("_target_"), where, trust)
    settings = {key: _called(value, f"{where}.{key}", trust) for key, value in node.items() if key != "_target_"}
    try:
        return target(**settings)
    except ValidationError as error:
        lines = [_complaint(problem, where, list(node)) for problem in error.errors()]
        raise ValueError("\n".join(lines)) from None


def _called(value: object, where: str, trust: list[str]) -> Any:
    """Returns a setting with every nested `_target_` replaced by its object."""
    if not isinstance(value, dict):
        return value
    if "_target_" in value:
        return _call(value, where, trust)
    return {key: _called(part, f"{where}.{key}", trust) for key, part in value.items()}


def _complaint(problem: "ErrorDetails", where: str, keys: list[str]) -> str:
    key = ".".join([where, *(str(part) for part in problem["loc"])])
    given = problem["input"]
    match problem["type"]:
        case "unexpected_keyword_argument":
            known = ", ".join(sorted(key for key in keys if key not in ("_target_", problem["loc"][0])))
            return f"{key}: there is no such setting; {where} has {known}"
        case "missing":
            return f"{key}: nothing was given and it has no default"
        case "value_error":
            return f"{where}: {problem.get('ctx', {})['error']}"
        case _:
            return f"{key}: given {given!r}; {problem['msg'][0].lower()}{problem['msg'][1:]}"


@contextmanager
def refusing(group: str, choices: dict[str, str]) -> Iterator[None]:
    """Turns a part's ValueError, TypeError or OSError into Refused, and adds where to correct the setting."""
    try:
        yield
    except Refused:
        raise
    except (ValueError, TypeError, OSError) as error:
        place = f"  [conf/{group}/{choices[group]}.yaml, or {group}.<setting>=...]" if group in choices else ""
        raise Refused(f"{error}{place}") from error
