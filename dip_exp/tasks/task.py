"""The base class of tasks, which turn a picture and its role into a `Problem`."""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import numpy as np
import torch

from dip_exp.component import NonNegative, Positive, component
from dip_exp.images import Frame
from dip_exp.metrics import PROTOCOLS, Protocol
from dip_exp.shapes import Float, Float32
from dip_exp.tasks.problem import Problem, TotalVariation

Role = Literal["clean", "observed"]
"""clean: the picture is the truth and is degraded here; observed: it is the observation, and there is no truth."""


@component
class Task(ABC):
    """One kind of restoration. To add one, write a subclass in a file, and a yaml with its settings.

    protocol:  name of the scoring protocol (`dip_exp.metrics.similarity.PROTOCOLS`).
    tv_weight: weight of a total-variation term on x_hat; 0: none. tv_beta: its exponent (0.5: isotropic).
    """

    free: ClassVar[tuple[str, ...]] = ()
    """Settings that have very many values and do not affect the cost of a step."""

    local: ClassVar[bool] = True
    """Whether a part of a picture can be restored on its own, and a large picture therefore in tiles."""

    takes_missing: ClassVar[bool] = False
    """Whether an observed picture may have NaN where it is missing."""

    protocol: str = "rgb"
    tv_weight: NonNegative = 0.0
    tv_beta: Positive = 0.5

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise ValueError(f"protocol: given {self.protocol!r}; known protocols: {', '.join(PROTOCOLS)}")

    @abstractmethod
    def problem(self, picture: Float32[np.ndarray, "1 C H W"], role: Role, rng: np.random.Generator) -> Problem:
        """Returns the problem for a picture (1, C, H, W) in [0, 1]; the degradation is drawn from `rng` alone.

        Raises ValueError for a picture that this task cannot take.
        """

    def along(self, frame: Frame) -> "Task":
        """Returns the task for a picture that is the part `frame` of its source: masks and pictures beside it are
        cropped and reduced alike."""
        return self

    def check(self, picture: Float32[np.ndarray, "1 C H W"], role: Role) -> None:
        """Raises ValueError for a picture with NaN where this task cannot use it."""
        missing = int(np.isnan(picture).any(axis=1).sum())
        if missing and (role == "clean" or not self.takes_missing):
            can = (
                "a clean picture has a value everywhere; image.role=observed" if self.takes_missing else "task=inpaint"
            )
            raise ValueError(
                f"{type(self).__name__}: {missing} of {picture[0, 0].size} pixels of the picture are NaN, that is, "
                f"missing; {can} fills them in"
            )

    def outline(self, shape: tuple[int, int, int], role: Role) -> Problem:
        """Returns a problem with the shapes of one for a picture (C, H, W), to estimate the cost of a step; its values
        are meaningless. Raises ValueError if the task needs the picture itself."""
        return self.problem(np.full((1, *shape), 0.5, np.float32), role, np.random.default_rng(0))

    def result_shape(self, shape: tuple[int, int, int], role: Role) -> tuple[int, int, int]:
        """Returns the shape (C, H, W) of x_hat for a picture (C, H, W), from shapes alone; a task that changes the size
        overrides it, so that its memory is known before anything is made."""
        return shape

    @property
    def scoring(self) -> Protocol:
        """The scoring protocol."""
        return PROTOCOLS[self.protocol]

    def prior(self) -> TotalVariation | None:
        """Returns the total-variation term on x_hat, or None if its weight is 0."""
        return TotalVariation(weight=self.tv_weight, beta=self.tv_beta) if self.tv_weight > 0 else None


def tensor(picture: Float[np.ndarray, "*axes"]) -> Float32[torch.Tensor, "*axes"]:
    """Returns a copy of a picture as a float32 tensor."""
    return torch.from_numpy(np.array(picture, dtype=np.float32))
