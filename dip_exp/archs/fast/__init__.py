"""The same functions in less time and memory. In: a network of `archs`. Out: its fast twin, equal to rounding."""

from torch import nn

from dip_exp.archs.fast.skip import FastSkip
from dip_exp.archs.skip import SkipModule


def twin(net: nn.Module) -> nn.Module:
    """Returns the network that computes what `net` does, faster, with the same weights; `net` where there is none."""
    return FastSkip(net) if isinstance(net, SkipModule) else net
