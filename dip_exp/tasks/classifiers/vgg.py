"""VGG-16 and VGG-19 (Simonyan and Zisserman 2015), layer names as in the Caffe release and the authors' notebooks."""

from collections import OrderedDict
from typing import Literal

from torch import nn

from dip_exp.component import component
from dip_exp.images import sets
from dip_exp.tasks.classifiers.classifier import Classifier, Dense, Preprocessing, State

PER_BLOCK = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
WIDTHS = (64, 128, 256, 512, 512)


@component
class VGG(Classifier):
    """The layers conv1_1, relu1_1, ..., pool5, fc6, relu6, drop6, fc7, relu7, drop7, fc8, prob.

    depth: 16 or 19. Accepts torchvision's files (features.0.weight, ...; RGB, mean and standard deviation) and those of
    the authors and the Caffe release (conv1_1.weight, ...; BGR, means only).
    """

    depth: Literal[16, 19] = 16

    @property
    def called(self) -> str:
        return f"VGG-{self.depth}"

    @property
    def side(self) -> int:
        return 224

    def chain(self) -> "OrderedDict[str, nn.Module]":
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        channels = 3
        for block, (count, width) in enumerate(zip(PER_BLOCK[self.depth], WIDTHS, strict=True), start=1):
            for number in range(1, count + 1):
                layers[f"conv{block}_{number}"] = nn.Conv2d(channels, width, 3, padding=1)
                layers[f"relu{block}_{number}"] = nn.ReLU()
                channels = width
            layers[f"pool{block}"] = nn.MaxPool2d(2)
        layers |= OrderedDict(fc6=Dense(512 * 7 * 7, 4096), relu6=nn.ReLU(), drop6=nn.Dropout())
        layers |= OrderedDict(fc7=Dense(4096, 4096), relu7=nn.ReLU(), drop7=nn.Dropout())
        return layers | OrderedDict(fc8=Dense(4096, 1000), prob=nn.Softmax(1))

    def recognised(self, state: State) -> tuple[State, Preprocessing]:
        if "features.0.weight" not in state:
            return state, "caffe"
        numbers = sorted({int(key.split(".")[1]) for key in state if key.startswith("features.")})
        dense = sorted({int(key.split(".")[1]) for key in state if key.startswith("classifier.")})
        names = [name for name in self.layers if name.startswith("conv")]
        renamed = {f"features.{number}": name for number, name in zip(numbers, names, strict=False)}
        renamed |= {f"classifier.{number}": name for number, name in zip(dense, ("fc6", "fc7", "fc8"), strict=False)}
        # Some files (jcjohnson's) have Caffe's weights under torchvision's names, with dense layers numbered 1, 4, 6.
        preprocessing: Preprocessing = "torchvision" if dense[:1] == [0] else "caffe"
        return {_renamed(key, renamed): value for key, value in state.items()}, preprocessing

    @property
    def remedy(self) -> str:
        missing = sets.missing(self.path or "", self.sha256)
        return f"{missing}; or give one of yours: task.net.path=FILE task.net.sha256=null"


def _renamed(key: str, names: dict[str, str]) -> str:
    module, _, tensor = key.rpartition(".")
    return f"{names.get(module, module)}.{tensor}"
