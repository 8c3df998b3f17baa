"""z, the network's fixed input, and how each step perturbs it."""

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor

from dip_exp.component import NonNegative, NonNegativeInt, component


@component
class Input(ABC):
    """Where z comes from. A new input is a file with a subclass, and a yaml.

    perturb_std: sigma_p; every step sees z + sigma_p N(0, 1), drawn afresh, not accumulated (paper Sec. 2.1).
    final:       the z of the last picture: as the last step saw it (the released code) or undisturbed.
    seed:        draws z in the place of the run's seed: one z under several networks, or several under one.
    """

    perturb_std: NonNegative = 0.0
    final: Literal["perturbed", "clean"] = "perturbed"
    seed: NonNegativeInt | None = None

    @abstractmethod
    def draw(self, size: tuple[int, int], y: Tensor, generator: torch.Generator) -> Tensor:
        """Returns z, float32 (1, C, H, W), of a size (H, W); y is the observation, or the problem's `guide` where it
        has one; `generator` is the only randomness."""
