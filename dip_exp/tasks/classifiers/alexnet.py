"""Caffe's version of AlexNet (BVLC AlexNet): local response normalisation, grouped convolutions, ceil-mode pooling."""

from collections import OrderedDict

from torch import nn

from dip_exp.component import component
from dip_exp.tasks.classifiers.classifier import Classifier, Dense, Preprocessing, State


@component
class AlexNet(Classifier):
    """The layers conv1, relu1, norm1, pool1, conv2, ..., pool5, fc6, relu6, drop6, fc7, relu7, drop7, fc8, prob.

    The network of the paper's Fig. 9. torchvision's AlexNet differs (no normalisation, 64 channels in the first layer).
    """

    @property
    def side(self) -> int:
        return 227

    def chain(self) -> "OrderedDict[str, nn.Module]":
        def pool() -> nn.Module:
            return nn.MaxPool2d(3, 2, ceil_mode=True)

        def norm() -> nn.Module:
            return nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75)

        return OrderedDict(
            conv1=nn.Conv2d(3, 96, 11, stride=4),
            relu1=nn.ReLU(),
            norm1=norm(),
            pool1=pool(),
            conv2=nn.Conv2d(96, 256, 5, padding=2, groups=2),
            relu2=nn.ReLU(),
            norm2=norm(),
            pool2=pool(),
            conv3=nn.Conv2d(256, 384, 3, padding=1),
            relu3=nn.ReLU(),
            conv4=nn.Conv2d(384, 384, 3, padding=1, groups=2),
            relu4=nn.ReLU(),
            conv5=nn.Conv2d(384, 256, 3, padding=1, groups=2),
            relu5=nn.ReLU(),
            pool5=pool(),
            fc6=Dense(256 * 6 * 6, 4096),
            relu6=nn.ReLU(),
            drop6=nn.Dropout(),
            fc7=Dense(4096, 4096),
            relu7=nn.ReLU(),
            drop7=nn.Dropout(),
            fc8=Dense(4096, 1000),
            prob=nn.Softmax(1),
        )

    def recognised(self, state: State) -> tuple[State, Preprocessing]:
        if "features.0.weight" in state:
            raise ValueError(
                "net: these are torchvision's AlexNet, another network; the Caffe one (conv1.weight) is meant"
            )
        return state, "caffe"
