"""In: a function of torch. Out: the work it is, counted by shapes alone, whatever the machine is busy with."""

from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from dip_exp.optims.optim import Over, leave_gradients

ELEMENTS_OF_ADAM = 7.0
"""Of each weight: it, its gradient and both moments are read, three of them written."""

ELEMENTS_OF_Z = 4.0
"""Of each value of z: noise is drawn, scaled and added."""

ELEMENTS_OF_PICTURE = 24.0
"""Of each value of x_hat: the average, the curve's squared errors, and what the stop rule is shown."""


@dataclass(frozen=True)
class Work:
    """multiplications: twice the multiply-adds of convolutions and matrix products. elements: values that operations
    read and write. operations: how many there are, each with a price of its own."""

    multiplications: float
    elements: float
    operations: float

    def __add__(self, other: "Work") -> "Work":
        return Work(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def times(self, factor: float) -> "Work":
        """Returns so many times the work."""
        return Work(*(factor * part for part in astuple(self)))


class _Counter(TorchDispatchMode):
    """Adds up every operation that is carried out, backward passes included."""

    def __init__(self) -> None:
        super().__init__()
        self.multiplications = self.elements = self.operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if func.overloadpacket in flop_registry:
            self.multiplications += flop_registry[func.overloadpacket](*args, **kwargs, out_val=out)
        if not func.is_view:
            self.operations += 1
            leaves = [*tree_leaves(args), *tree_leaves(kwargs), *tree_leaves(out)]
            self.elements += sum(leaf.numel() for leaf in leaves if isinstance(leaf, Tensor))
        return out


def counted(do: Callable[[], object]) -> Work:
    """Returns the work of what `do` does."""
    with _Counter() as counter:
        do()
    return Work(counter.multiplications, counter.elements, counter.operations)


def of_pass(net: nn.Module, z_shape: tuple[int, ...], over: Over = "net") -> Work:
    """Returns the work of a pass of a network on the meta device, there and back, by its definition: how a twin of it
    saves some is a matter of the rate."""
    leave_gradients(net.train(), over)
    z = torch.empty(z_shape, device="meta", requires_grad=over != "net")

    def there_and_back() -> None:
        out = net(z)
        if out.requires_grad:
            out.backward(torch.empty_like(out))

    return counted(there_and_back)


def beside(weights: int, z_values: int, picture_values: int) -> Work:
    """Returns the work of a step outside of its passes: the optimizer's, z's noise, the average and the curve."""
    elements = ELEMENTS_OF_ADAM * weights + ELEMENTS_OF_Z * z_values + ELEMENTS_OF_PICTURE * picture_values
    return Work(0, elements, 0)
