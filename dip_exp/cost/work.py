"""In: a function that uses torch. Out: its work, counted from shapes, so that the machine's load does not matter."""

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
"""Per weight: the weight, its gradient and both moments are read, three of them are written."""

ELEMENTS_OF_Z = 4.0
"""Per value of z: noise is drawn, scaled and added."""

ELEMENTS_OF_PICTURE = 24.0
"""Per value of x_hat: the average, the curve's squared errors, and what the stop rule reads."""


@dataclass(frozen=True)
class Work:
    """multiplications: twice the multiply-adds of convolutions and matrix products. elements: the values that
    operations read and write. operations: their number, because each has a fixed cost."""

    multiplications: float
    elements: float
    operations: float

    def __add__(self, other: "Work") -> "Work":
        return Work(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def times(self, factor: float) -> "Work":
        """Returns the work multiplied by `factor`."""
        return Work(*(factor * part for part in astuple(self)))


class _Counter(TorchDispatchMode):
    """Counts every operation that is executed, backward passes included."""

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
    """Returns the work of calling `do`."""
    with _Counter() as counter:
        do()
    return Work(counter.multiplications, counter.elements, counter.operations)


def of_pass(net: nn.Module, z_shape: tuple[int, ...], over: Over = "net") -> Work:
    """Returns the work of a forward and a backward pass of a network on the meta device. The plain definition is
    counted; what a fast twin saves is part of the rates."""
    leave_gradients(net.train(), over)
    z = torch.empty(z_shape, device="meta", requires_grad=over != "net")

    def there_and_back() -> None:
        out = net(z)
        if out.requires_grad:
            out.backward(torch.empty_like(out))

    return counted(there_and_back)


def overhead(weights: int, z_values: int, picture_values: int) -> Work:
    """Returns the work of a step outside its passes: the optimizer, z's noise, the average and the curve."""
    elements = ELEMENTS_OF_ADAM * weights + ELEMENTS_OF_Z * z_values + ELEMENTS_OF_PICTURE * picture_values
    return Work(0, elements, 0)
