"""In: a picture, and what it means. Out: the `Problem` of one of the paper's tasks."""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import numpy as np
import torch

from dip_exp.component import NonNegative, Positive, component
from dip_exp.metrics import PROTOCOLS, Protocol
from dip_exp.tasks.problem import Problem, TotalVariation

Role = Literal["clean", "observed"]
"""clean: the picture is the truth and is degraded here; observed: it is what the user has, and there is no truth."""


@component
class Task(ABC):
    """One kind of restoration. A new one is a file with a subclass, and a yaml with its settings.

    protocol:  the named scoring protocol (`dip_exp.metrics.similarity.PROTOCOLS`).
    tv_weight: weight of a total-variation term on x_hat; 0 for none. tv_beta: its exponent (0.5 isotropic).
    """

    free: ClassVar[tuple[str, ...]] = ()
    """Settings that change nothing of what a step costs, and have a great many values."""

    protocol: str = "rgb"
    tv_weight: NonNegative = 0.0
    tv_beta: Positive = 0.5

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise ValueError(f"protocol: given {self.protocol!r}; known protocols: {', '.join(PROTOCOLS)}")

    @abstractmethod
    def problem(self, picture: np.ndarray, role: Role, rng: np.random.Generator) -> Problem:
        """Returns the problem of a picture (1, C, H, W) in [0, 1]; `rng` draws the degradation, and nothing else does.

        Raises ValueError for a picture this task cannot take.
        """

    def outline(self, shape: tuple[int, int, int], role: Role) -> Problem:
        """Returns a problem as one of a picture (C, H, W) would be, for what a step costs: its shapes are right and its
        values mean nothing. Raises ValueError where this task cannot do without the picture itself."""
        return self.problem(np.full((1, *shape), 0.5, np.float32), role, np.random.default_rng(0))

    @property
    def scoring(self) -> Protocol:
        """The protocol's rules, by its name."""
        return PROTOCOLS[self.protocol]

    def prior(self) -> TotalVariation | None:
        """Returns the extra term on x_hat, if one is asked for."""
        return TotalVariation(weight=self.tv_weight, beta=self.tv_beta) if self.tv_weight > 0 else None


def tensor(picture: np.ndarray) -> torch.Tensor:
    """Returns a float32 tensor with a picture's values (a copy)."""
    return torch.from_numpy(np.array(picture, dtype=np.float32))
