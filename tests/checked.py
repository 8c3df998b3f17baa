"""Checks every call of a function of the project whose signature says a shape, in every test: see `install`.

A test that gives a wrong shape or type on purpose, to see what the project says of it, does so within `unchecked`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar, get_args

import jaxtyping
from beartype import BeartypeConf, beartype
from jaxtyping import AbstractArray, config, install_import_hook

F = TypeVar("F", bound=Callable[..., object])
T = TypeVar("T")

AS_PYTHON = BeartypeConf(is_pep484_tower=True)
"""An int is accepted as a float, as by every type checker."""


@cache
def install() -> None:
    """Makes the modules of the project that are imported from now on check their calls. Once is enough.

    The hook decorates every function and class by `jaxtyping.jaxtyped`, whose wrapper costs time at each call whether
    or not there is a shape to check: those without one are left as they are.
    """
    whole: Callable[..., Any] = jaxtyping.jaxtyped

    def jaxtyped(*, typechecker: Callable[..., object]) -> Callable[[T], T]:
        return lambda thing: whole(thing, typechecker=typechecker) if says_a_shape(thing) else thing

    jaxtyping.jaxtyped = jaxtyped
    install_import_hook("dip_exp", f"{__name__}.shapes")


def shapes(function: F) -> F:
    """Returns a function that checks the types of its calls; `jaxtyping` keeps the account of their axes around it."""
    return beartype(conf=AS_PYTHON)(function)


def says_a_shape(thing: object) -> bool:
    """Returns whether a function's signature or a class's fields say a shape."""
    return any(has_shape(hint) for hint in getattr(thing, "__annotations__", {}).values())


def has_shape(hint: object) -> bool:
    """Returns whether a type says a shape, itself or within (`dict[str, Float[...]]`)."""
    if isinstance(hint, list):  # the arguments of a Callable
        return any(has_shape(one) for one in hint)
    if isinstance(hint, type) and issubclass(hint, AbstractArray):
        return True
    return any(has_shape(one) for one in get_args(hint))


@contextmanager
def unchecked() -> Iterator[None]:
    """Leaves a wrong shape or type to the project's own checks, as for a user, who has no others."""
    before = config.jaxtyping_disable
    config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        config.update("jaxtyping_disable", before)
