"""Laws of the architectures: equal to a second writing of the released ones, counted, seeded, of the right size."""

import copy
import dataclasses
from functools import cache
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from torch import Tensor, nn

from dip_exp import config
from dip_exp.archs.arch import Arch
from dip_exp.archs.deep_decoder import DeepDecoder
from dip_exp.archs.layers import LanczosHalf, crop_concat
from dip_exp.archs.pixels import Pixels
from dip_exp.archs.resnet import ResNet
from dip_exp.archs.skip import Level, Skip
from dip_exp.archs.unet import UNet
from tests.archs.reference_nets import lanczos_kernel, resnet, skip_net, unet
from tests.conftest import ROOT

YAMLS = sorted((ROOT / "conf" / "arch").glob("*.yaml"))
NAMES = [path.stem for path in YAMLS]


def fields(name: str, scale: str = "paper") -> dict[str, Any]:
    """The resolved keys of one option, its yaml's and those of the yaml it is based on."""
    return copy.deepcopy(_composed(name, scale))


@cache
def _composed(name: str, scale: str) -> dict[str, Any]:
    cfg = config.layered([f"arch={name}", f"scale={scale}"])
    resolved: Any = OmegaConf.to_container(cfg.arch, resolve=True)
    return resolved


def from_yaml(name: str, scale: str = "paper", **changes: Any) -> Arch:
    return instantiate(fields(name, scale) | changes, _convert_="all")


def seeded(arch: Arch, seed: int, *, channels: tuple[int, int] = (3, 2), size: tuple[int, int] = (37, 31)) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return arch.build(*channels, size)


def noise(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(5))


def parameter_count(arch: Arch, in_channels: int, out_channels: int = 3) -> int:
    with torch.device("meta"):
        net = arch.build(in_channels, out_channels, (64, 64))
    return sum(parameter.numel() for parameter in net.parameters())


def output_shape(arch: Arch, channels: tuple[int, int], size: tuple[int, int]) -> tuple[int, ...]:
    with torch.device("meta"):
        return tuple(arch.build(*channels, size)(torch.empty(1, channels[0], *size)).shape)


def equal_to_reference(net: nn.Module, reference: tuple[nn.Module, list[nn.Module]], z: Tensor) -> None:
    """Draws all weights of the reference (so that no shift or scale is neutral), copies them over, compares."""
    expected, layers = reference
    generator = torch.Generator().manual_seed(1)
    theirs = [parameter for layer in layers for parameter in layer.parameters()]
    assert len({id(p) for p in theirs}) == len(list(expected.parameters()))
    ours = list(net.parameters())
    assert [p.shape for p in ours] == [p.shape for p in theirs]
    with torch.no_grad():
        for mine, other in zip(ours, theirs, strict=True):
            other.copy_(torch.randn(other.shape, generator=generator) * 0.4)
            mine.copy_(other)
        x_hat, wanted = net.double()(z.double()), expected.double().train()(z.double())
    assert wanted.std() > 0.01
    # Double precision; the float32 taps of the Lanczos layers are what is left of a difference.
    torch.testing.assert_close(x_hat, wanted, rtol=0, atol=1e-6)


SKIPS = {
    "default, 5 scales": Skip(down=[8, 7, 6, 5, 9], up=[6, 8, 7, 4, 5], skip=[4, 3, 2, 1, 4]),
    "no skips, nearest": Skip(down=[5, 6, 7], up=[4, 5, 6], skip=[0, 0, 0], upsample="nearest"),
    "skips at coarse scales": Skip(down=[5, 6, 7], up=[5, 6, 7], skip=[0, 4, 4], align_corners=True),
    "no 1x1, wide kernel": Skip(down=[6, 5], up=[6, 4], skip=[0, 0], kernel_down=5, need1x1_up=False),
    "average": Skip(down=[5, 6, 7], up=[6, 7, 5], skip=[4, 4, 4], downsample="avg", kernel_skip=3),
    "maximum": Skip(down=[5, 6, 7], up=[6, 7, 5], skip=[0, 4, 0], downsample="max", bias=False),
    "lanczos2": Skip(down=[5, 6], up=[6, 7], skip=[3, 4], downsample="lanczos2", sigmoid=False),
    "lanczos3": Skip(down=[5, 6], up=[6, 7], skip=[0, 0], downsample="lanczos3", pad="zero"),
    "all lists": Skip(
        down=[5, 6, 7],
        up=[6, 7, 5],
        skip=[4, 0, 3],
        kernel_down=[7, 5, 3],
        kernel_up=[3, 5, 7],
        upsample=["nearest", "nearest", "bilinear"],
        pad="zero",
    ),
}


@pytest.mark.parametrize("size", [(64, 64), (66, 98), (37, 31)])
@pytest.mark.parametrize("name", SKIPS)
def test_skip_is_the_released_network(name: str, size: tuple[int, int]) -> None:
    arch = SKIPS[name]
    scales = len(arch.down)
    if scales == 5 and size == (37, 31):
        size = (67, 99)  # reflection needs a map wider than 1 at the bottleneck
    described = dataclasses.asdict(arch)
    del described["bn_init"]
    for key in ("kernel_down", "kernel_up", "upsample"):
        if not isinstance(described[key], list):
            described[key] = [described[key]] * scales
    equal_to_reference(arch.build(3, 2, size), skip_net(3, 2, **described), noise(1, 3, *size))


@pytest.mark.parametrize("size", [(64, 64), (66, 98)])
@pytest.mark.parametrize(
    "arch",
    [
        UNet(feature_scale=16, more_layers=0),
        UNet(feature_scale=16, more_layers=1),
        UNet(feature_scale=30, more_layers=0, norm="batch", upsample="bilinear", pad="reflection"),
        UNet(feature_scale=30, more_layers=0, upsample="bilinear", align_corners=True),
        UNet(feature_scale=30, more_layers=1, norm="batch", upsample="nearest"),
    ],
)
def test_unet_is_the_released_network(arch: UNet, size: tuple[int, int]) -> None:
    described = dataclasses.asdict(arch)
    for key in ("bias", "sigmoid", "bn_init"):
        del described[key]
    if arch.more_layers == 1:
        size = (2 * size[0], 2 * size[1])
    equal_to_reference(arch.build(3, 2, size), unet(3, 2, **described), noise(1, 3, *size))


def test_unet_with_several_more_layers_joins_every_scale() -> None:
    arch = UNet(feature_scale=32, more_layers=3)
    reference = unet(
        1,
        3,
        feature_scale=32,
        more_layers=3,
        upsample="deconv",
        align_corners=False,
        norm="instance",
        pad="zero",
    )
    equal_to_reference(arch.build(1, 3, (256, 256)), reference, noise(1, 1, 256, 256))


@pytest.mark.parametrize("size", [(64, 64), (37, 31)])
@pytest.mark.parametrize("arch", [ResNet(blocks=3, channels=5), ResNet(blocks=0, channels=4, pad="zero")])
def test_resnet_is_the_released_network(arch: ResNet, size: tuple[int, int]) -> None:
    reference = resnet(3, 2, blocks=arch.blocks, channels=arch.channels, pad=arch.pad)
    equal_to_reference(arch.build(3, 2, size), reference, noise(1, 3, *size))


@pytest.mark.parametrize(
    ("name", "in_channels", "out_channels", "count"),
    [
        ("skip", 32, 3, 2_217_831),
        ("skip", 32, 1, 2_217_573),
        ("skip", 3, 3, 2_184_307),
        ("skip_flash", 3, 3, 2_184_307),
        ("skip_jpeg", 3, 3, 572_827),
        ("skip_text", 32, 3, 3_002_627),
        ("skip_region", 2, 3, 2_157_955),
        ("skip_depth6", 1, 3, 2_996_467),
        ("skip_depth4", 1, 3, 1_060_339),
        ("skip_depth2", 1, 3, 59_635),
        ("unet", 1, 3, 1_616_315),
        ("resnet", 1, 3, 158_979),
        ("skip_sparse", 32, 3, 1_027_379),
        ("skip_inversion", 32, 3, 2_606_763),
        ("skip_inversion", 2, 3, 2_583_123),
        ("skip_maximize", 32, 3, 2_948_567),
        ("hourglass", 32, 3, 2_192_515),
        ("deep_decoder", 128, 3, 100_224),
    ],
)
def test_paper_settings_have_the_measured_parameter_counts(
    name: str, in_channels: int, out_channels: int, count: int
) -> None:
    assert parameter_count(from_yaml(name), in_channels, out_channels) == count


def test_settings_beside_the_yamls_have_the_measured_parameter_counts() -> None:
    for scales, count in ((1, 350_339), (3, 1_271_427), (5, 2_192_515)):
        wide = [128] * scales
        assert parameter_count(Skip(down=wide, up=wide, skip=[0] * scales), 32) == count
    assert parameter_count(UNet(feature_scale=4, more_layers=0, norm="batch", upsample="bilinear"), 32) == 2_164_899
    assert parameter_count(ResNet(blocks=10, channels=16), 32) == 54_131


def test_pixels_has_one_parameter_per_value_of_the_picture() -> None:
    net = from_yaml("pixels").build(32, 3, (37, 31))
    assert [tuple(parameter.shape) for parameter in net.parameters()] == [(1, 3, 37, 31)]


@pytest.mark.parametrize("scale", ["paper", "mini"])
@pytest.mark.parametrize("name", NAMES)
def test_every_yaml_builds_and_gives_z_enlarged(name: str, scale: str) -> None:
    arch = from_yaml(name, scale)
    height, width = 4 * arch.multiple, 5 * arch.multiple
    of_z = (height // arch.enlargement, width // arch.enlargement)
    assert output_shape(arch, (7, 5), of_z) == (1, 5, height, width)


@pytest.mark.parametrize("name", NAMES)
def test_every_yaml_writes_out_every_field(name: str) -> None:
    keys = list(fields(name))
    assert keys[0] == "_target_"
    assert keys[1:] == [field.name for field in dataclasses.fields(from_yaml(name))]  # type: ignore[arg-type]
    assert YAMLS[NAMES.index(name)].read_text().startswith("# ")


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"pixels", "skip_tiny", "skip_jpeg"}))  # one size for both scales
def test_mini_is_narrower_and_no_shallower(name: str) -> None:
    paper, mini = from_yaml(name, "paper"), from_yaml(name, "mini")
    assert mini.multiple == paper.multiple
    assert parameter_count(mini, 32) < parameter_count(paper, 32) / 3
    if isinstance(paper, Skip) and isinstance(mini, Skip):
        narrow = {"down": mini.down, "up": mini.up, "skip": mini.skip}
        assert dataclasses.replace(paper, **narrow) == mini
        assert min(mini.down + mini.up) >= 8


def test_the_defaults_of_the_classes_are_those_of_the_yamls() -> None:
    wide = [128] * 5
    assert Skip(down=wide, up=wide, skip=[4] * 5) == from_yaml("skip")
    assert UNet() == from_yaml("unet")
    assert ResNet() == from_yaml("resnet")
    assert Pixels() == from_yaml("pixels")
    assert DeepDecoder() == from_yaml("deep_decoder")


@pytest.mark.parametrize(("layers", "channels"), [(6, 64), (6, 128), (1, 5), (4, 9)])
def test_the_deep_decoder_has_as_many_weights_as_its_paper_says(layers: int, channels: int) -> None:
    formula = layers * channels**2 + 3 * channels + 2 * layers * channels  # Sec. 2; 25,536 and 100,224 at 6 layers
    assert parameter_count(DeepDecoder(layers=layers, channels=channels), channels) == formula


@pytest.mark.parametrize("upsample", ["bilinear", "nearest"])
def test_the_deep_decoder_is_the_papers_recursion(upsample: Any) -> None:
    """B <- norm(relu(doubled B mixed)), the last layer not doubled, written down in the paper's own order."""
    arch = DeepDecoder(layers=3, channels=6, upsample=upsample)
    net = arch.build(4, 2, (1, 1)).double()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    *mixtures, last = [p.flatten(1) for p in net.parameters() if p.ndim == 4]
    affine = [p for p in net.parameters() if p.ndim == 1]
    z = noise(1, 4, 5, 7).double()
    x = z
    for layer, mixture in enumerate(mixtures):
        doubled = x if layer == 2 else nn.Upsample(scale_factor=2, mode=upsample)(x)
        c = torch.einsum("oc,nchw->nohw", mixture, doubled).clamp_min(0)
        variance, mean = torch.var_mean(c, dim=(0, 2, 3), correction=0, keepdim=True)
        gamma, beta = (p.view(1, -1, 1, 1) for p in affine[2 * layer : 2 * layer + 2])
        x = gamma * (c - mean) / (variance + 1e-5).sqrt() + beta
    wanted = torch.sigmoid(torch.einsum("oc,nchw->nohw", last, x))
    assert wanted.shape == (1, 2, 20, 28)
    torch.testing.assert_close(net(z), wanted)


def test_narrow_is_the_papers_network_half_as_wide() -> None:
    for scale in ("paper", "mini"):
        wide, narrow = from_yaml("skip", scale), from_yaml("skip_narrow", scale)
        assert isinstance(wide, Skip)
        assert narrow == dataclasses.replace(wide, down=[n // 2 for n in wide.down], up=[n // 2 for n in wide.up])


SMALL = [
    SKIPS["all lists"],
    SKIPS["lanczos2"],
    SKIPS["maximum"],
    UNet(feature_scale=16, more_layers=0, norm="batch"),
    UNet(feature_scale=16, more_layers=0, norm="instance", upsample="nearest"),
    ResNet(blocks=2, channels=8),
    Pixels(),
    Pixels(sigmoid=True),
    DeepDecoder(layers=3, channels=8),
]
small_archs = pytest.mark.parametrize("arch", SMALL, ids=lambda arch: type(arch).__name__)


@small_archs
def test_weights_follow_the_seed(arch: Arch) -> None:
    first, again, other = (list(seeded(arch, seed).parameters()) for seed in (3, 3, 4))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert all(not torch.equal(a, b) for a, b in zip(first, other, strict=True) if a.dim() == 4)


@small_archs
def test_every_parameter_gets_a_gradient(arch: Arch) -> None:
    net = seeded(arch, 0, size=(64, 64))
    of_z = 64 // arch.enlargement
    (net(noise(1, 3, of_z, of_z)) - noise(1, 2, 64, 64)).square().mean().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        # A bias in front of a norm is cancelled by it, so only the kernels (and pixels) must move.
        assert parameter.dim() < 4 or parameter.grad.abs().max() > 0, name


@small_archs
def test_eval_mode_gives_the_same_picture(arch: Arch) -> None:
    net, z = seeded(arch, 0, size=(64, 64)), noise(1, 3, 64, 64)
    assert torch.equal(net.train()(z), net.eval()(z))


@pytest.mark.parametrize(
    "kind", [Skip(down=[16] * 3, up=[16] * 3, skip=[4] * 3), UNet(norm="batch"), ResNet(blocks=3)], ids=type
)
def test_bn_init_sets_the_scale_of_every_norm(kind: Any) -> None:
    def gammas(bn_init: str) -> Tensor:
        net = seeded(dataclasses.replace(kind, bn_init=bn_init), 0)
        return torch.cat([m.weight.detach() for m in net.modules() if isinstance(m, nn.BatchNorm2d)])

    uniform = gammas("uniform")
    assert 0 <= uniform.min() < 0.1
    assert 0.9 < uniform.max() <= 1
    assert uniform.mean().item() == pytest.approx(0.5, abs=0.1)
    assert (gammas("ones") == 1).all()


@settings(deadline=None, max_examples=25)
@given(st.integers(8, 70), st.integers(8, 70), st.integers(1, 6), st.integers(1, 6))
def test_size_laws_at_any_size_and_channel_count(height: int, width: int, inward: int, outward: int) -> None:
    def shape(arch: Arch) -> tuple[int, ...]:
        net = seeded(arch, 0, channels=(inward, outward), size=(height, width))
        return tuple(net(noise(1, inward, height, width)).shape)

    def skip(kept: int, downsample: Any = "stride") -> Skip:
        return Skip(down=[4, 4], up=[4, 4], skip=[kept, kept], downsample=downsample, pad="zero")

    rounded_up = (-(-height // 4) * 4, -(-width // 4) * 4)
    rounded_down = (height // 4 * 4, width // 4 * 4)
    assert shape(skip(3)) == (1, outward, height, width)
    assert shape(skip(0)) == (1, outward, *rounded_up)
    for mode in ("avg", "max", "lanczos2", "lanczos3"):
        assert shape(skip(0, mode)) == shape(skip(3, mode)) == (1, outward, *rounded_down)
    assert shape(ResNet(blocks=1, channels=4)) == (1, outward, height, width)
    assert shape(Pixels()) == (1, outward, height, width)


def test_the_levels_of_a_skip_network_can_be_read_by_name() -> None:
    net = Skip(down=[8, 9, 10], up=[5, 6, 7], skip=[0, 4, 0], upsample="nearest").build(3, 2, (64, 64))
    levels = [level for level in net.levels if isinstance(level, Level)]
    assert [level.skip is None for level in levels] == [True, False, True]
    assert [level.down.halve.conv.out_channels for level in levels] == [8, 9, 10]
    assert [level.up.norm.num_features for level in levels] == [6, 4 + 7, 10]
    assert [level.up.merge.conv.out_channels for level in levels] == [5, 6, 7]


@pytest.mark.parametrize("lobes", [2, 3])
def test_lanczos_half_is_the_released_kernel_and_keeps_ramps(lobes: int) -> None:
    half = LanczosHalf(lobes).double()
    torch.testing.assert_close(torch.outer(half.taps, half.taps), lanczos_kernel(lobes), rtol=0, atol=1e-7)
    ramp = torch.arange(37.0, dtype=torch.float64).expand(1, 2, 31, 37)
    inner = half(ramp)[0, 1, 0, lobes : 18 - lobes]
    torch.testing.assert_close(inner, 2.0 * torch.arange(lobes, 18 - lobes) + 0.5, rtol=0, atol=1e-5, check_dtype=False)
    torch.testing.assert_close(half(torch.ones(1, 3, 9, 7).double()), torch.ones(1, 3, 4, 3).double())
    assert not half.state_dict()


def test_crop_concat_cuts_about_the_centre_in_the_given_order() -> None:
    tall, wide = noise(1, 2, 9, 4), noise(1, 3, 5, 7)
    joined = crop_concat([tall, wide])
    assert torch.equal(joined, torch.cat([tall[:, :, 2:7], wide[:, :, :, 1:5]], dim=1))


def test_pixels_is_its_parameter_whatever_z_is() -> None:
    net = seeded(Pixels(init_scale=0.25), 0, channels=(32, 3))
    picture = next(net.parameters())
    assert torch.equal(net(noise(1, 32, 64, 64)), picture)
    assert 0 <= picture.min() < 0.01
    assert 0.24 < picture.max() <= 0.25
    squashed = seeded(Pixels(init_scale=0.25, sigmoid=True), 0, channels=(32, 3))
    torch.testing.assert_close(squashed(noise(1, 1, 8, 8)), torch.sigmoid(picture))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"up": [8]}, r"skip: up has 1 entries but down has 2; .* fix arch\.up or arch\.down"),
        ({"skip": [4, 4, 4]}, r"skip: skip has 3 entries but down has 2"),
        ({"kernel_down": [3]}, r"skip: kernel_down has 1 entries but down has 2"),
        ({"upsample": ["nearest"] * 3}, r"skip: upsample has 3 entries but down has 2"),
        ({"down": []}, r"skip: down is empty; give one channel count per scale, .* fix arch\.down"),
        ({"kernel_up": 4}, r"skip: kernel_up is 4; .* such as 3 or 5; fix arch\.kernel_up"),
        ({"kernel_skip": 2}, r"skip: kernel_skip is 2; .* such as 1 or 3"),
        ({"kernel_down": [3, 6]}, r"skip: kernel_down is 6; .* such as 5 or 7"),
        ({"down": [8, 0]}, r"down\.1\s.*greater than or equal to 1"),
        ({"skip": [-1, 0]}, r"skip\.0\s.*greater than or equal to 0"),
        ({"downsample": "lanczos4"}, r"downsample\s.*'stride', 'avg', 'max', 'lanczos2' or 'lanczos3'"),
        ({"upsmaple": "nearest"}, r"upsmaple\s"),
    ],
)
def test_skip_refuses(changes: dict[str, Any], message: str) -> None:
    given_fields: dict[str, Any] = {"down": [8, 8], "up": [8, 8], "skip": [4, 4]} | changes
    with pytest.raises(ValueError, match=message):
        Skip(**given_fields)


@pytest.mark.parametrize(
    ("kind", "wrong", "message"),
    [
        (UNet, {"feature_scale": 65}, r"feature_scale\s.*less than or equal to 64"),
        (UNet, {"norm": "layer"}, r"norm\s.*'batch' or 'instance'"),
        (UNet, {"more_layers": -1}, r"more_layers\s.*greater than or equal to 0"),
        (ResNet, {"channels": 0}, r"channels\s.*greater than or equal to 1"),
        (ResNet, {"pad": "reflect"}, r"pad\s.*'reflection' or 'zero'"),
        (Pixels, {"init_scale": 0}, r"init_scale\s.*greater than 0"),
        (DeepDecoder, {"layers": 0}, r"layers\s.*greater than or equal to 1"),
        (DeepDecoder, {"upsample": "bicubic"}, r"upsample\s.*'nearest' or 'bilinear'"),
    ],
)
def test_the_other_architectures_refuse(kind: Any, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**wrong)
