"""How a problem is presented: what its result is scored by, compared with, finished to and said about.

Nothing here enters the fit: a task may change all of it and the descent stays the same.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from torch import Tensor

from dip_exp.metrics import PROTOCOLS, Protocol

Restorer = Callable[[], np.ndarray]
"""A classical restorer of one observation: returns its picture (1, C, H, W)."""


def _nothing(picture: np.ndarray) -> list[str]:
    return []


@dataclass(frozen=True, kw_only=True)
class Presentation:
    """What a task tells about its problem besides what the fit needs.

    protocol: how x_hat is scored against x.
    missing:  boolean, (1, 1 or C, H, W): pixels that are also scored on their own.
    paste:    (1, 1 or C, H, W) of {0, 1}: pixels of y that are pasted into the result; y must have x_hat's shape.
    baseline: the task's main classical restorer: its name, and the function.
    rivals:   {name: function}: further classical restorers; their names are parts of file names.
    shown:    the picture that represents the observation; default: y. None if y is not a picture: nothing is shown.
    derived:  {kind: function}: further pictures computed from the stopped one; the last is the result.
    remarks:  a function that returns sentences about the restored picture (1, C, H, W).
    notes:    sentences that the user should know before the fit.

    Raises ValueError if a rival's name cannot be part of a file name. `Problem` checks the shapes.
    """

    protocol: Protocol = field(default_factory=lambda: PROTOCOLS["rgb"])
    missing: Tensor | None = None
    paste: Tensor | None = None
    baseline: tuple[str, Restorer] | None = None
    rivals: Mapping[str, Restorer] = field(default_factory=dict)
    shown: Tensor | Literal["y"] | None = "y"
    derived: Mapping[str, Callable[[np.ndarray], np.ndarray]] = field(default_factory=dict)
    remarks: Callable[[np.ndarray], list[str]] = _nothing
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.rivals:
            if not re.fullmatch(r"[a-z0-9_]+", name):
                raise ValueError(
                    f"problem: rivals has {name!r}, which is to be part of a file's name; must be lower-case "
                    f"letters, digits and _; rename it"
                )
        if self.missing is not None and self.protocol.channels != "rgb":
            raise ValueError("problem: missing pixels are scored with protocol rgb (or another of its channels) alone")
