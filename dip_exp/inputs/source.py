"""z, the network's fixed input, and how each step perturbs it."""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Tensor

from dip_exp.component import NonNegative, NonNegativeInt, component
from dip_exp.images import Frame
from dip_exp.shapes import Float, Float32


@component
class Input(ABC):
    """The source of z. A new input is one file with a subclass, and one yaml.

    perturb_std: sigma_p; every step sees z + sigma_p N(0, 1), drawn afresh and not accumulated (paper Sec. 2.1).
    final:       the z of the last picture: perturbed as in the last step (the released code), or clean.
    seed:        z is drawn from it instead of the run's seed: one z for several networks, or several z for one.

    A subclass with `of_restored` draws z from the problem's classical restoration instead of its observation.
    """

    of_restored: ClassVar[bool] = False

    perturb_std: NonNegative = 0.0
    final: Literal["perturbed", "clean"] = "perturbed"
    seed: NonNegativeInt | None = None

    def along(self, frame: Frame) -> "Input":
        """Returns the input for a picture that is the part `frame` of its source. Only a picture as z changes."""
        return self

    @abstractmethod
    def draw(
        self, size: tuple[int, int], y: Float[Tensor, "1 c h w"], generator: torch.Generator
    ) -> Float32[Tensor, "1 C H W"]:
        """Returns z, float32 (1, C, H, W), of `size` (H, W). y is the observation, or the problem's `guide` if it has
        one, or its classical restoration for an input `of_restored`; `generator` is the only source of randomness."""
