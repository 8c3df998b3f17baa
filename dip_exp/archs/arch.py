"""The base class of all architectures: a checked description that builds a torch module."""

from abc import ABC, abstractmethod

from torch import nn


class Arch(ABC):
    """The family of functions f_theta whose structure is the prior (Deep Image Prior, eq. 2).

    One architecture is one file: a `@component`, whose fields are the keys of its yaml, and the module that it builds.
    """

    @property
    @abstractmethod
    def multiple(self) -> int:
        """Returns the number of which x_hat's height and width must be multiples. z then has whole sides, and x_hat has
        z's size times `enlargement`."""

    @property
    def enlargement(self) -> int:
        """Returns the ratio of x_hat's height and width to z's: 1 except for a decoder without an encoder."""
        return 1

    @abstractmethod
    def build(self, in_channels: int, out_channels: int, size: tuple[int, int]) -> nn.Module:
        """Returns a new module that maps z, float32 (1, in_channels, h, w), to x_hat (1, out_channels, H', W').

        H' and W' are h and w times `enlargement`, and may be any multiples of `multiple`. `size` is the picture's (H,
        W); only an architecture that stores something per pixel needs it. x_hat is in (0, 1) if the architecture ends
        in a sigmoid.
        Torch draws the weights at construction from its default generator: fork and seed it around this call. The
        module computes the same in train and in eval mode.
        """
