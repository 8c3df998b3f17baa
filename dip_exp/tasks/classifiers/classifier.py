"""Trained classifiers for inversion and activation maximisation: named layers, with weights from a file."""

import pickle
from abc import ABC, abstractmethod
from collections import OrderedDict
from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from dip_exp.component import PathText, component, located
from dip_exp.errors import first_line
from dip_exp.images.files import file_sha256
from dip_exp.shapes import Float, Float32

State = dict[str, Tensor]
Preprocessing = Literal["caffe", "torchvision", "efficientnet"]


@component
class Classifier(ABC):
    """A network trained on ImageNet, as a chain of named layers. To add one, write a subclass in a file, and a yaml.

    path:   the file of its weights: a state dict written by `torch.save`, read with `weights_only=True`.
    sha256: the hash that the file must have; null: not checked.
    """

    path: PathText | None = None
    sha256: str | None = None

    @property
    def called(self) -> str:
        """Its name in messages."""
        return type(self).__name__

    @property
    @abstractmethod
    def side(self) -> int:
        """The side of the square pictures it was trained on, in pixels."""

    @abstractmethod
    def chain(self) -> "OrderedDict[str, nn.Module]":
        """Returns the layers by name, in order; the weights have the right shapes and arbitrary values."""

    @abstractmethod
    def recognised(self, state: State) -> tuple[State, Preprocessing]:
        """Returns a file's state dict under the names of `chain`, and the preprocessing that its weights need."""

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of its layers, in order."""
        with torch.device("meta"):
            return tuple(self.chain())

    def upto(self, layer: str, side: int) -> "Features":
        """Returns the network up to a layer, for pictures of `side` x `side`, with the file's weights, frozen.

        Raises ValueError if the layer is unknown or cannot take such pictures; if the file is missing, has another
        sha256 than declared, or is not a state dict; or if its keys or shapes are not those of this network.
        """
        self.check(layer)
        self._check_side(layer, side)
        state, preprocessing = self.recognised(_read(self.located(), self.sha256))
        chain = OrderedDict[str, nn.Module]()
        with torch.device("meta"):
            for name, module in self.chain().items():
                chain[name] = module
        _check_keys(self.called, chain, state)
        kept = OrderedDict(list(chain.items())[: list(chain).index(layer) + 1])
        net = nn.Sequential(kept)
        wanted = set(net.state_dict())
        net.load_state_dict({key: value for key, value in state.items() if key in wanted}, assign=True)
        return Features(net.float().eval().requires_grad_(False), preprocessing)

    def outline(self, layer: str, side: int) -> "Features":
        """Returns the same as `upto`, on the meta device: it reads no file and takes no memory."""
        if layer not in self.layers:
            raise ValueError(f"layer: {self.called} has no {layer!r}; it has {', '.join(self.layers)}")
        self._check_side(layer, side)
        with torch.device("meta"):
            chain = list(self.chain().items())[: self.layers.index(layer) + 1]
            return Features(nn.Sequential(OrderedDict(chain)).eval().requires_grad_(False), "torchvision")

    def check(self, layer: str) -> None:
        """Raises ValueError for an unknown layer, listing the known ones, and if there is no file of weights."""
        if layer not in self.layers:
            raise ValueError(f"layer: {self.called} has no {layer!r}; it has {', '.join(self.layers)}")
        self.located()

    def _check_side(self, layer: str, side: int) -> None:
        with torch.device("meta"):
            chain = list(self.chain().items())
            net = nn.Sequential(OrderedDict(chain[: list(self.layers).index(layer) + 1])).eval()
            try:
                net(torch.empty(1, 3, side, side))
            except RuntimeError as error:
                raise ValueError(
                    f"side: given {side}, but {layer} of {self.called} takes no such picture "
                    f"({str(error).splitlines()[0]}); it was trained on {self.side}  [task.side=null]"
                ) from error

    def located(self) -> Path:
        """Returns the path of its weights. Raises ValueError if none is given or the file does not exist."""
        if self.path is None:
            raise ValueError(f"net: no weights of {self.called} are given; name their file, task.net.path=FILE")
        path = located(self.path)
        if not path.is_file():
            raise ValueError(f"net: the weights of {self.called} are missing: {self.remedy}")
        return path

    @property
    def remedy(self) -> str:
        """The part of an error message that says which file is missing and how to get it."""
        return (
            f"{self.path!r} is not there, and no public file is known that holds them alone; put yours there, or name "
            f"it, task.net.path=FILE"
        )


def _read(path: Path, declared: str | None) -> State:
    if declared is not None and _sha256(path) != declared:
        raise ValueError(f"net: {path} is not the declared file: its sha256 is not {declared}  [task.net.sha256=null]")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=False)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"net: {path} holds more than weights (a whole pickled network, which could run any code), and is not "
            f"opened; where you trust it, save its weights alone: torch.save(torch.load(OLD, weights_only=False)"
            f".state_dict(), NEW), and give NEW"
        ) from error
    except Exception as error:
        raise ValueError(f"net: {path} cannot be read ({first_line(error)})") from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError(f"net: {path} holds no state dict (names and tensors)")
    return state


_sha256 = lru_cache(maxsize=4)(file_sha256)
"""Cached, so that a task that reads two layers does not hash half a gigabyte twice."""


def _check_keys(who: str, chain: "OrderedDict[str, nn.Module]", state: State) -> None:
    wanted = {key: tuple(value.shape) for key, value in nn.Sequential(chain).state_dict().items()}
    missing = [key for key in wanted if key not in state and not key.endswith("num_batches_tracked")]
    if missing:
        raise ValueError(
            f"net: these are not the weights of {who}: {len(missing)} of {len(wanted)} tensors are not in the file, "
            f"such as {missing[0]!r}; it has {', '.join(list(state)[:4])}, ..."
        )
    wrong = [key for key, shape in wanted.items() if key in state and tuple(state[key].shape) != shape]
    if wrong:
        given, needed = tuple(state[wrong[0]].shape), wanted[wrong[0]]
        raise ValueError(f"net: these are not the weights of {who}: {wrong[0]!r} is {given} and must be {needed}")


class Features(nn.Module):
    """A(x): maps an RGB picture (1, 3, H, W) in [0, 1] to a layer's output (1, C, h, w); h = w = 1 for a vector."""

    mean: Float32[Tensor, "1 3 1 1"]
    deviation: Float32[Tensor, "1 3 1 1"]

    def __init__(self, net: nn.Sequential, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.net = net
        self.preprocessing = preprocessing
        mean, deviation, scale = _MEANS[preprocessing]
        self.register_buffer("mean", torch.tensor(mean)[None, :, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation)[None, :, None, None], persistent=False)
        self.scale = scale

    def forward(self, x: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N C h w"]:
        return self.net(self.prepared(x.to(self.mean.dtype))).to(x.dtype)  # its weights are float32

    def prepared(self, x: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N 3 H W"]:
        """Returns the picture with the preprocessing that the network was trained with."""
        x = x.flip(1) if self.preprocessing == "caffe" else x
        return (x * self.scale - self.mean) / self.deviation

    def train(self, mode: bool = True) -> "Features":
        """Keeps evaluation mode, because the forward operator must not change during a fit."""
        return super().train(False)


_MEANS: dict[str, tuple[tuple[float, ...], tuple[float, ...], float]] = {
    "caffe": ((103.939, 116.779, 123.680), (1.0, 1.0, 1.0), 255.0),  # blue, green, red
    "torchvision": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 1.0),
    "efficientnet": ((127.0, 127.0, 127.0), (128.0, 128.0, 128.0), 255.0),
}
"""Mean and standard deviation per channel, and the factor that multiplies values in [0, 1] first."""


class Dense(nn.Linear):
    """A fully connected layer: flattens (N, C, h, w), and returns (N, out, 1, 1)."""

    def forward(self, input: Float[Tensor, "N c h w"]) -> Float[Tensor, "N C 1 1"]:
        return super().forward(input.flatten(1))[..., None, None]
