"""Laws of the fast twins: the same function and the same gradients as the plain networks, for less memory."""

import resource
import sys
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from dip_exp.archs.fast import FastSkip, heap, joins, maps, norms, skip, twin
from dip_exp.archs.skip import Skip, SkipModule
from dip_exp.optims.optim import Over, leave_gradients
from tests.archs.test_archs import NAMES, from_yaml

DOUBLE = torch.float64
SIZES = st.tuples(st.integers(3, 9), st.integers(3, 9))


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def plain(**changes: object) -> SkipModule:
    spec = Skip(**({"down": [6, 7, 8], "up": [6, 7, 8], "skip": [2, 0, 3]} | changes))  # type: ignore[arg-type]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return spec.build(3, 2, (1, 1)).double()


@pytest.fixture(params=["as it is", "finely cut"])
def cut(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every map is large enough for the fast blocks, and is then cut as large ones are, or not at all."""
    monkeypatch.setattr(skip, "SMALLEST", 2)
    if request.param == "finely cut":
        monkeypatch.setattr(norms, "BAND_BYTES", 1000)
        monkeypatch.setattr(joins, "CHANNELS_AT_ONCE", 3)


def agree(net: nn.Module, z: Tensor) -> None:
    """Compares the twin's output, and its gradients in z and all weights, with those of the plain network."""
    z = z.requires_grad_()
    wanted = net(z)
    towards = noise(*wanted.shape, seed=2)
    gradients = torch.autograd.grad((wanted * towards).sum(), [z, *net.parameters()])
    found = twin(net)(z)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    largest = max(float(g.abs().max()) for g in gradients)
    for ours, theirs in zip(
        torch.autograd.grad((found * towards).sum(), [z, *twin(net).parameters()]), gradients, strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12 * largest)


@pytest.mark.usefixtures("cut")
@pytest.mark.parametrize("size", [(37, 31), (64, 48), (40, 24)])
@pytest.mark.parametrize("upsample", ["bilinear", "nearest"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"skip": [0, 0, 0]},
        {"skip": [6, 6, 6], "need1x1_up": False},
        {"pad": "zero"},
        {"align_corners": True},
        {"kernel_up": [5, 3, 1], "kernel_down": [3, 5, 3]},
        {"kernel_skip": 3, "bias": False, "sigmoid": False},
        {"downsample": "lanczos2"},
    ],
    ids=str,
)
def test_a_twin_is_the_plain_network(changes: dict[str, object], upsample: str, size: tuple[int, int]):
    agree(plain(upsample=upsample, **changes), noise(1, 3, *size))


@pytest.mark.usefixtures("cut")
@pytest.mark.parametrize(
    "changes", [{}, {"skip": [0, 0, 0]}, {"upsample": "nearest"}, {"kernel_up": 5}, {"pad": "zero"}], ids=str
)
@pytest.mark.parametrize("over", ["norms_and_input", "input"])
def test_a_twin_of_frozen_kernels_has_the_plain_networks_gradients(changes: dict[str, object], over: Over):
    net, z = plain(**changes), noise(1, 3, 40, 24).requires_grad_()
    leave_gradients(net, over)
    left = [z, *(p for p in net.parameters() if p.requires_grad)]
    assert (len(left) > 1) is (over == "norms_and_input")
    wanted, found = net(z), twin(net)(z)
    towards = noise(*wanted.shape, seed=2)
    gradients = [torch.autograd.grad((out * towards).sum(), left) for out in (wanted, found)]
    largest = max(float(g.abs().max()) for g in gradients[0])
    for theirs, ours in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12 * largest)


@pytest.mark.parametrize("frozen", [True, False])
def test_a_frozen_kernels_gradient_is_not_computed(frozen: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(skip, "SMALLEST", 2)
    asked, backward = [], torch.ops.aten.convolution_backward

    def listening(*given: Any) -> Any:
        asked.append(given[-1][1])
        return backward(*given)

    net = plain()
    if frozen:
        leave_gradients(net, "norms_and_input")
    out = twin(net)(noise(1, 3, 40, 24).requires_grad_())
    monkeypatch.setattr(torch.ops.aten, "convolution_backward", listening)
    out.sum().backward()
    assert len(asked) > 10
    assert any(asked) is not frozen


@pytest.mark.parametrize("name", [name for name in NAMES if isinstance(from_yaml(name), Skip)])
def test_the_network_of_every_yaml_equals_its_twin(name: str):
    arch = from_yaml(name, "mini")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = arch.build(3, 2, (192, 192)).double()
    agree(net, noise(1, 3, 192, 192))


def test_float32_agrees_to_its_own_accuracy():
    net = plain().float()
    z = noise(1, 3, 128, 96).float()
    out, fast = net(z), twin(net)(z)
    torch.testing.assert_close(fast, out, rtol=0, atol=2e-6)


def test_a_network_without_a_twin_is_its_own():
    net = nn.Conv2d(3, 2, 3)
    assert twin(net) is net


def test_a_twin_holds_the_very_weights():
    net = plain()
    assert [id(p) for p in twin(net).parameters()] == [id(p) for p in net.parameters()]


def test_a_batch_of_several_goes_the_same_way(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(skip, "SMALLEST", 2)
    agree(plain(), noise(2, 3, 32, 40))


# -- half precision ----------------------------------------------------------------------------------------------------

HALF = torch.bfloat16


def half_gradients(net: nn.Module, z: Tensor, towards: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the output of a network under autocast, and all its weights' gradients as one vector."""
    with torch.autocast("cpu", dtype=HALF):
        out = net(z)
    weights = [p for p in net.parameters() if p.requires_grad]
    return out, torch.cat([g.flatten() for g in torch.autograd.grad((out.float() * towards).sum(), weights)])


@pytest.mark.usefixtures("cut")
@pytest.mark.parametrize("size", [(64, 48), (37, 31)])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"upsample": "nearest"},
        {"skip": [0, 0, 0]},
        {"pad": "zero"},
        {"align_corners": True},
        {"kernel_up": [5, 3, 1], "kernel_down": [3, 5, 1]},
        {"kernel_skip": 3, "bias": False, "sigmoid": False},
        {"downsample": "lanczos2"},
    ],
    ids=str,
)
def test_a_half_twin_is_as_near_as_plain_autocast(changes: dict[str, object], size: tuple[int, int]):
    exact = plain(**changes)
    z = noise(1, 3, *size)
    wanted = exact(z)
    towards = noise(*wanted.shape, seed=2)
    gradients = torch.autograd.grad((wanted * towards).sum(), list(exact.parameters()))
    right = torch.cat([g.flatten() for g in gradients])
    net = plain(**changes).float()
    errors = []
    for each in (net, twin(net)):
        out, found = (of.detach() for of in half_gradients(each, z.float(), towards.float()))
        errors.append([float((a - b).norm() / b.norm()) for a, b in ((out, wanted.detach()), (found, right))])
    (of_autocast, slope_of_autocast), (of_twin, slope_of_twin) = errors
    assert of_twin < 1.5 * of_autocast
    assert slope_of_twin < 1.3 * slope_of_autocast


def test_a_half_twin_returns_full_pictures_and_gradients_with_the_same_bits_twice():
    net = twin(plain().float())
    z, towards = noise(1, 3, 64, 96).float(), noise(1, 2, 64, 96, seed=2).float()
    (one, slopes), (other, same) = (half_gradients(net, z, towards) for _ in range(2))
    assert one.dtype == slopes.dtype == torch.float32
    assert torch.equal(one, other)
    assert torch.equal(slopes, same)


def test_a_half_twins_kernels_take_part_in_no_gradient_while_frozen():
    net = plain().float()
    leave_gradients(net, "norms_and_input")
    z = noise(1, 3, 64, 64).float().requires_grad_()
    with torch.autocast("cpu", dtype=HALF):
        out = twin(net)(z)
    (found,) = torch.autograd.grad(out.sum(), [z])
    assert found.dtype == torch.float32
    assert bool(found.abs().sum() > 0)


def test_a_half_twin_keeps_half_of_the_twins_maps():
    def kept(half: bool) -> int:
        storages: dict[int, Tensor] = {}

        def remember(tensor: Tensor) -> Tensor:
            storages[tensor.untyped_storage()._cdata] = tensor
            return tensor

        weights = {p.untyped_storage()._cdata for p in net.parameters()}
        with saved_tensors_hooks(remember, lambda t: t), torch.autocast("cpu", dtype=HALF, enabled=half):
            net(torch.zeros(1, 3, 128, 128))
        return sum(t.numel() * t.element_size() for key, t in storages.items() if key not in weights)

    net = twin(plain().float())
    assert kept(True) < 0.6 * kept(False)


def test_autocast_to_anything_else_takes_the_plain_network():
    net = plain().float()
    z = noise(1, 3, 64, 64).float()
    with torch.autocast("cpu", dtype=torch.float16):
        assert torch.equal(twin(net)(z), net(z))


def test_a_twin_keeps_less_than_half_for_its_backward_pass():
    def kept(net: nn.Module) -> int:
        storages: dict[int, Tensor] = {}

        def remember(tensor: Tensor) -> Tensor:
            storages[tensor.untyped_storage()._cdata] = tensor
            return tensor

        weights = {p.untyped_storage()._cdata for p in net.parameters()}
        with saved_tensors_hooks(remember, lambda tensor: tensor):
            net(torch.zeros(1, 32, 128, 128, device="meta"))
        return sum(t.numel() for key, t in storages.items() if key not in weights)

    with torch.device("meta"):
        net = from_yaml("skip", "mini").build(32, 3, (128, 128))
    assert kept(twin(net)) < 0.5 * kept(net)


# -- the linear maps ---------------------------------------------------------------------------------------------------


@given(size=SIZES, width=st.integers(0, 2))
def test_borders_are_those_of_torch_and_numpy(size: tuple[int, int], width: int):
    x = noise(1, 2, *size)
    pads = ((0, 0), (0, 0), (width, width), (width, width))
    np.testing.assert_array_equal(maps.mirrored(x, width).numpy(), np.pad(x.numpy(), pads, mode="reflect"))
    np.testing.assert_array_equal(maps.repeated(x, width).numpy(), np.pad(x.numpy(), pads, mode="symmetric"))


@given(size=SIZES, width=st.integers(1, 2), which=st.sampled_from(["mirrored", "repeated"]))
def test_the_adjoint_of_a_border_is_its_adjoint(size: tuple[int, int], width: int, which: str):
    forward, adjoint = getattr(maps, which), getattr(maps, f"{which}_adjoint")
    x = noise(1, 2, *size)
    g = noise(*forward(x, width).shape, seed=1)
    assert torch.isclose((forward(x, width) * g).sum(), (x * adjoint(g.clone(), width)).sum())


@given(size=SIZES, bilinear=st.booleans())
def test_the_adjoint_of_interleaving_is_its_adjoint(size: tuple[int, int], bilinear: bool):
    pieces = maps.bilinear_pieces if bilinear else maps.nearest_pieces
    more = 3 if bilinear else 1
    phases = noise(1, 8, size[0] + more, size[1] + more)
    placed = maps.interleaved(phases, pieces(size[0]), pieces(size[1]))
    frame = 2 if bilinear else 0
    assert placed.shape == (1, 2, 2 * size[0] + frame, 2 * size[1] + frame)
    g = noise(*placed.shape, seed=1)
    back = maps.interleaved_adjoint(g, pieces(size[0]), pieces(size[1]), (phases.shape[2], phases.shape[3]))
    assert torch.isclose((placed * g).sum(), (phases * back).sum())


def test_the_adjoint_of_the_four_kernels_is_their_adjoint():
    weight, g = noise(3, 2, 3, 3), noise(12, 2, 2, 2, seed=1)
    assert torch.isclose((maps.kernels(weight) * g).sum(), (weight * maps.kernels_adjoint(g)).sum())


@settings(max_examples=20)
@given(size=SIZES, bilinear=st.booleans())
def test_the_norm_of_a_doubled_map_is_found_without_it(size: tuple[int, int], bilinear: bool):
    x = noise(1, 3, *size)
    doubled = nn.Upsample(scale_factor=2, mode="bilinear" if bilinear else "nearest")(x)
    found = norms.measured(x, torch.ones(3).double(), torch.zeros(3).double(), 1e-5, doubled=bilinear)
    torch.testing.assert_close(found.mean, doubled.mean((0, 2, 3)))
    torch.testing.assert_close(found.inverse, (doubled.var((0, 2, 3), correction=0) + 1e-5).rsqrt())


# -- memory that stays -------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="page faults are counted on Linux")
def test_freed_memory_is_not_fetched_again_from_the_kernel():
    def faults() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(5):
            torch.zeros(2**24)  # 64 MB
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    with heap.kept():
        faults()
        assert faults() < 1000


# -- a whole fit -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_curves_of_300_steps_agree_statistically():
    """Rounding parts two fits within some tens of steps; what is compared is where they come to, seed by seed."""
    finals: dict[str, list[float]] = {"plain": [], "fast": []}
    y = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for seed in range(6):
        for which in finals:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                net: nn.Module = Skip(down=[16] * 3, up=[16] * 3, skip=[4] * 3).build(8, 3, (64, 64))
                z = torch.rand(1, 8, 64, 64) * 0.1
            net = net if which == "plain" else FastSkip(net)  # type: ignore[arg-type]
            optimizer = torch.optim.Adam(net.parameters(), lr=0.01, fused=True)
            losses = []
            for _ in range(300):
                optimizer.zero_grad()
                loss = (net(z) - y).square().mean()
                loss.backward()
                optimizer.step()
                losses.append(float(loss.detach()))
            finals[which].append(float(np.log(losses[-50:]).mean()))
    difference = np.subtract(finals["fast"], finals["plain"])
    assert abs(difference.mean()) < 3 * difference.std(ddof=1) / np.sqrt(len(difference)) + 1e-3
    assert abs(difference.mean()) < 0.05
