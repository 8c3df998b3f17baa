"""EfficientNet-Lite0: an ImageNet classifier with weights in a Python package. It is labelled as a substitute."""

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn.functional import pad

from dip_exp.component import component
from dip_exp.shapes import Float
from dip_exp.tasks.classifiers.classifier import Classifier, Dense, Preprocessing, State

BLOCKS = (
    *((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80)),
    *((3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320)),
)
"""Per stage of EfficientNet-B0 (Tan and Le 2019, Table 1): blocks, kernel, stride of the first, expansion, channels."""


@component
class EfficientNetLite0(Classifier):
    """The layers stem, block1, ..., block16, head, pool, fc8, prob. ReLU6, no squeeze-and-excitation."""

    @property
    def side(self) -> int:
        return 224

    def chain(self) -> "OrderedDict[str, nn.Module]":
        layers: OrderedDict[str, nn.Module] = OrderedDict(stem=_normed(3, 32, 3, 2))
        channels = 32
        for count, kernel, stride, expansion, width in BLOCKS:
            for number in range(count):
                block = _Block(channels, width, kernel, stride if number == 0 else 1, expansion)
                layers[f"block{len(layers)}"] = block
                channels = width
        layers["head"] = _normed(320, 1280, 1)
        return layers | OrderedDict(pool=nn.AdaptiveAvgPool2d(1), fc8=Dense(1280, 1000), prob=nn.Softmax(1))

    def recognised(self, state: State) -> tuple[State, Preprocessing]:
        return {_own_name(key): value for key, value in state.items()}, "efficientnet"

    @property
    def remedy(self) -> str:
        return f"{self.path!r} is not there; pip install -e '.[classifier]' brings it"


class _Same(nn.Conv2d):
    """A convolution with TensorFlow's padding "SAME": equal on both sides, or one more after if the total is odd."""

    def forward(self, input: Float[Tensor, "N c h w"]) -> Float[Tensor, "N C H W"]:
        kernel, stride = self.kernel_size[0], self.stride[0]
        surplus = [max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in input.shape[-2:]]
        before = [part // 2 for part in surplus]
        widths = (before[1], surplus[1] - before[1], before[0], surplus[0] - before[0])
        return super().forward(pad(input, widths))


def _normed(
    channels: int, width: int, kernel: int, stride: int = 1, groups: int = 1, act: bool = True
) -> nn.Sequential:
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        conv=_Same(channels, width, kernel, stride, groups=groups, bias=False), norm=nn.BatchNorm2d(width, eps=1e-3)
    )
    return nn.Sequential(parts | OrderedDict(act=nn.ReLU6()) if act else parts)


class _Block(nn.Module):
    """Inverted residual: 1x1 expansion, depthwise convolution, 1x1 projection; adds the input if the shapes match."""

    def __init__(self, channels: int, width: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = channels * expansion
        self.expand = _normed(channels, inner, 1) if expansion > 1 else nn.Identity()
        self.depthwise = _normed(inner, inner, kernel, stride, groups=inner)
        self.project = _normed(inner, width, 1, act=False)
        self.residual = stride == 1 and channels == width

    def forward(self, x: Float[Tensor, "N c h w"]) -> Float[Tensor, "N C H W"]:
        out = self.project(self.depthwise(self.expand(x)))
        return out + x if self.residual else out


def _own_name(key: str) -> str:
    """Returns the name in `chain` of a tensor in the package's file."""
    *place, tensor = key.split(".")
    if place == ["_fc"]:
        return f"fc8.{tensor}"
    if place[0] != "_blocks":
        return {"_conv_stem": "stem.conv", "_bn0": "stem.norm", "_conv_head": "head.conv", "_bn1": "head.norm"}.get(
            place[0], place[0]
        ) + f".{tensor}"
    part = {
        "_expand_conv": "expand.conv",
        "_bn0": "expand.norm",
        "_depthwise_conv": "depthwise.conv",
        "_bn1": "depthwise.norm",
        "_project_conv": "project.conv",
        "_bn2": "project.norm",
    }[place[2]]
    return f"block{int(place[1]) + 1}.{part}.{tensor}"
