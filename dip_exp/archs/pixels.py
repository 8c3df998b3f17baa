"""No network: the picture's own pixels are the parameters, so that the loss is the only prior left."""

import torch
from torch import Tensor, nn

from dip_exp.archs.arch import Arch
from dip_exp.component import Positive, component
from dip_exp.shapes import Float


@component
class Pixels(Arch):
    """Direct optimisation of the picture: "no prior" in the paper's super-resolution tables.

    The pixels start at U(0, `init_scale`). Without `sigmoid` they are not restricted to [0, 1]. With it the parameters
    are logits, and the picture starts slightly above 0.5 everywhere.
    """

    init_scale: Positive = 0.1
    sigmoid: bool = False

    @property
    def multiple(self) -> int:
        """Returns 1: the picture has exactly the size that it was built for."""
        return 1

    def build(self, in_channels: int, out_channels: int, size: tuple[int, int]) -> "PixelsModule":
        """Returns a module whose output is its only parameter, (1, out_channels, H, W); its input is ignored.

        Unlike other architectures, x_hat has the size of the picture, whatever the size of z.
        """
        return PixelsModule(self, out_channels, size)


class PixelsModule(nn.Module):
    """The module of a `Pixels`: `picture` is the parameter, `act` the identity or a sigmoid."""

    def __init__(self, spec: Pixels, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.picture = nn.Parameter(nn.init.uniform_(torch.empty(1, channels, *size), 0, spec.init_scale))
        self.act = nn.Sigmoid() if spec.sigmoid else nn.Identity()

    def forward(self, z: Float[Tensor, "N c h w"]) -> Float[Tensor, "N C H W"]:
        return self.act(self.picture)
