"""What every configurable thing is: a frozen dataclass whose fields are its yaml's keys, checked when it is made."""

from typing import Annotated, TypeVar, dataclass_transform

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as _checked_dataclass

T = TypeVar("T")

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
PositiveInt = Annotated[int, Field(ge=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]


@dataclass_transform(frozen_default=True, kw_only_default=True)
def component(cls: type[T]) -> type[T]:
    """Returns `cls` as a frozen, keyword-only dataclass that refuses unknown keys, wrong types and values out of range.

    Types are strict (a string is not a number, 1.5 is not an int; an int is a float). The refusal is pydantic's
    `ValidationError`, a `ValueError` that lists every wrong field.
    """
    config = ConfigDict(strict=True, extra="forbid", arbitrary_types_allowed=True)
    return _checked_dataclass(cls, frozen=True, kw_only=True, config=config)  # type: ignore[return-value]
