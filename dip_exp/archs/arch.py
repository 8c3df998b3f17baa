"""What every architecture is: a checked description that builds a torch module."""

from abc import ABC, abstractmethod

from torch import nn


class Arch(ABC):
    """The family of functions f_theta whose structure is the prior (Deep Image Prior, eq. 2).

    A concrete architecture is one file: a `@component` whose fields are the keys of its yaml, and the module it builds.
    """

    @property
    @abstractmethod
    def multiple(self) -> int:
        """Returns the number that height and width of x_hat must be multiples of for z to have a whole size and x_hat
        that of z, `enlargement` times."""

    @property
    def enlargement(self) -> int:
        """Returns how many times larger than z x_hat is, in height and in width: 1 but for a decoder alone."""
        return 1

    @abstractmethod
    def build(self, in_channels: int, out_channels: int, size: tuple[int, int]) -> nn.Module:
        """Returns a new module that maps z, float32 (1, in_channels, H', W'), to x_hat (1, out_channels, H', W'), or to
        H' and W' times `enlargement`.

        x_hat's sides are any multiples of `multiple`; `size` is (H, W) of the picture, which only an architecture that
        stores something per pixel needs. x_hat is in (0, 1) where the architecture ends in a sigmoid.
        The weights are drawn as torch does at construction, from torch's default generator: fork and seed it around
        this call. The module computes the same in train and in eval mode.
        """
