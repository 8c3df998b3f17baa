"""The network and z fit the picture, whatever its size, or are refused; nothing global is drawn from."""

import numpy as np
import pytest
import torch
from torch import nn

from dip_exp.archs.deep_decoder import DeepDecoder
from dip_exp.archs.pixels import Pixels
from dip_exp.archs.skip import Skip
from dip_exp.archs.unet import UNet
from dip_exp.cost import estimate
from dip_exp.fit import draw
from dip_exp.inputs.classical import Classical
from dip_exp.inputs.noise import Noise
from dip_exp.optims.adam import Adam
from dip_exp.stopping.heldout import HeldOut
from dip_exp.tasks.problem import Problem
from dip_exp.tasks.superres import SuperResolution

SMALL = Skip(down=[8, 8, 8], up=[8, 8, 8], skip=[0, 0, 0])
CPU = estimate.Setting(torch.device("cpu"))
DEEP = Skip(down=[4] * 6, up=[4] * 6, skip=[0] * 6, kernel_down=5)


def problem(height: int, width: int, channels: int = 3) -> Problem:
    return Problem(y=torch.zeros(1, channels, height, width))


@pytest.mark.parametrize("size", [(37, 31), (17, 64), (50, 19), (64, 64)])
@pytest.mark.parametrize("arch", [SMALL, UNet(feature_scale=16), Pixels()], ids=lambda arch: type(arch).__name__)
def test_any_size_is_covered(arch, size: tuple[int, int]):
    net, z = draw.draw(problem(*size), arch, Noise(channels=5), seed=0)
    out = net(z)
    assert out.shape[2] >= size[0]
    assert out.shape[3] >= size[1]
    assert z.shape[2] % arch.multiple == z.shape[3] % arch.multiple == 0
    assert z.shape[2] - size[0] < arch.multiple


@pytest.mark.parametrize("size", [(37, 31), (17, 64), (8, 8), (1, 1)])
def test_a_decoders_z_is_as_much_smaller_as_it_enlarges(size: tuple[int, int]):
    net, z = draw.draw(problem(*size), DeepDecoder(layers=4, channels=5), Noise(channels=5), seed=0)
    assert tuple(z.shape[2:]) == (-(-size[0] // 8), -(-size[1] // 8))
    assert tuple(net(z).shape) == (1, 3, 8 * z.shape[2], 8 * z.shape[3])
    shape = draw.z_shape(problem(*size), DeepDecoder(layers=4, channels=5), Noise(channels=5))
    assert shape == tuple(z.shape)
    price = estimate.estimate(DeepDecoder(layers=4, channels=5), shape, problem(*size), Adam(), CPU)
    assert price.weights == 4 * 25 + 3 * 5 + 2 * 4 * 5


def test_norms_and_input_wants_norms_that_can_be_optimised():
    text = "optim.over: given norms_and_input, but this network has no normalisation layer with weights; choose another"
    without = [UNet(feature_scale=16, norm="instance"), Pixels(), nn.Conv2d(4, 3, 1)]
    for arch in without:
        with pytest.raises(ValueError, match=text):
            draw.draw(problem(64, 64), arch, Noise(channels=4), seed=0, over="norms_and_input")
    draw.draw(problem(64, 64), UNet(feature_scale=16, norm="batch"), Noise(), seed=0, over="norms_and_input")


def test_the_seed_names_weights_and_input_apart():
    (one, z_one), (same, z_same), (other, z_other) = (
        draw.draw(problem(37, 31), SMALL, Noise(), seed) for seed in (0, 0, 1)
    )
    pairs = list(zip(one.parameters(), same.parameters(), other.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b, _ in pairs)
    assert any(not torch.equal(a, c) for a, _, c in pairs)
    assert torch.equal(z_one, z_same)
    assert not torch.equal(z_one, z_other)


def test_the_weights_do_not_hang_on_the_input():
    (one, _), (other, _) = (draw.draw(problem(37, 31), SMALL, source, 0) for source in (Noise(), Noise(law="normal")))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_the_global_generator_is_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    draw.draw(problem(37, 31), SMALL, Noise(), seed=9)
    assert torch.equal(torch.rand(3), expected)


def test_a_picture_too_small_is_refused_with_the_smallest_that_would_do():
    with pytest.raises(
        ValueError, match=r"arch: a picture of 64x64 is too small .* at least (\d+)x\1, or fewer"
    ) as refusal:
        draw.draw(problem(64, 64), DEEP, Noise(channels=1), seed=0)
    smallest = int(str(refusal.value).split("at least ")[1].split("x")[0])
    draw.draw(problem(smallest, smallest), DEEP, Noise(channels=1), seed=0)
    with pytest.raises(ValueError, match="too small"):
        draw.draw(problem(smallest - 1, smallest - 1), DEEP, Noise(channels=1), seed=0)


def test_a_network_of_the_users_that_gives_no_such_picture_is_refused():
    with pytest.raises(
        ValueError, match=r"arch: the network gives \(1, 2, 37, 31\) for z \(1, 4, 37, 31\); the picture"
    ):
        draw.draw(problem(37, 31), nn.Conv2d(4, 2, 1), Noise(channels=4), seed=0)
    with pytest.raises(ValueError, match=r"arch: the given network refused z \(1, 4, 37, 31\)"):
        draw.draw(problem(37, 31), nn.Conv2d(5, 3, 1), Noise(channels=4), seed=0)


def test_memory_is_that_of_the_papers_network():
    arch = Skip(down=[128] * 5, up=[128] * 5, skip=[4] * 5)
    z = torch.empty((1, 32, 512, 512), device="meta")
    large = estimate.memory(arch, z, (3, 512, 512), torch.device("cpu"))
    assert 1.3e9 < large - estimate.BASE_BYTES < 2.0e9  # measured: 1.6e9
    half = estimate.memory(arch, z, (3, 512, 512), torch.device("cpu"), "bf16")
    assert 0.8e9 < half - estimate.BASE_BYTES < 1.3e9  # measured: 0.97e9
    plain = estimate.memory(arch.build(32, 3, (512, 512)), z, (3, 512, 512), torch.device("cpu"))
    # 7.6 GiB of saved activations a megapixel, and a little for weights and z
    assert 0.25 * 7.6 * 2**30 < plain - estimate.BASE_BYTES < 0.25 * 7.6 * 2**30 + 6e8


def test_the_cost_is_counted_and_leaves_everything_as_it_was():
    net, z = draw.draw(problem(96, 80), SMALL, Noise(channels=4), seed=0)
    before = [p.detach().clone() for p in net.parameters()]
    state = torch.get_rng_state()
    price = estimate.estimate(SMALL, tuple(z.shape), problem(96, 80), Adam(), CPU)
    assert price.seconds > 0
    assert price.weights == sum(p.numel() for p in before)
    assert all(torch.equal(a, b) and b.grad is None for a, b in zip(before, net.parameters(), strict=True))
    assert torch.equal(torch.get_rng_state(), state)


def test_the_inputs_own_seed_holds_z_while_the_weights_are_drawn_anew():
    one, other = (draw.draw(problem(32, 32), SMALL, Noise(channels=4, seed=7), seed=seed) for seed in (0, 1))
    assert torch.equal(one[1], other[1])
    assert not torch.equal(next(one[0].parameters()), next(other[0].parameters()))
    free = draw.draw(problem(32, 32), SMALL, Noise(channels=4), seed=7)
    assert torch.equal(free[1], one[1])


def restorable(restore, channels: int = 3) -> Problem:
    return Problem(y=torch.zeros(1, channels, 37, 31), start=("a median", restore))


def test_a_fit_begins_at_the_classical_restoration_extended_by_reflection():
    picture = np.random.default_rng(0).random((1, 3, 37, 31), np.float32)
    _, z = draw.draw(restorable(lambda: picture), SMALL, Classical(), seed=0)
    assert tuple(z.shape) == draw.z_shape(restorable(lambda: picture), SMALL, Classical())
    assert np.array_equal(z[..., :37, :31].numpy(), picture)
    assert torch.equal(z[..., 37, :31], z[..., 35, :31])


def test_a_small_observation_begins_at_its_enlargement():
    y = np.random.default_rng(0).random((1, 3, 16, 20), np.float32)
    small = SuperResolution(factor=4).problem(y, "observed", np.random.default_rng(0))
    assert small.start is not None
    _, z = draw.draw(small, SMALL, Classical(), seed=0)
    assert np.array_equal(z.numpy()[..., :64, :80], small.start[1]())


def test_what_a_fit_will_cost_is_known_without_restoring():
    def never() -> np.ndarray:
        raise AssertionError

    assert draw.z_shape(restorable(never, 1), SMALL, Classical()) == (1, 1, 40, 32)
    assert draw.z_channels(Classical(), 4) == 4


def fails() -> np.ndarray:
    raise ValueError("singular")


@pytest.mark.parametrize(
    ("posed", "text"),
    [
        (
            problem(37, 31),
            "input: given classical, but this problem has no classical restoration .Problem.start.",
        ),
        (restorable(fails), r"input: a median, whose picture is z, failed \(singular\); choose another input"),
        (
            restorable(lambda: np.zeros((1, 3, 9, 9), np.float32)),
            r"a median.*failed \(it gave a picture \(1, 3, 9, 9\)",
        ),
        (restorable(lambda: np.full((1, 3, 37, 31), np.nan, np.float32)), "failed .it gave values that are not finite"),
    ],
    ids=["none", "broken", "shape", "nan"],
)
def test_no_classical_restoration_is_told_before_the_first_step(posed: Problem, text: str):
    with pytest.raises(ValueError, match=text):
        draw.draw(posed, SMALL, Classical(), seed=0)


def no_memory() -> np.ndarray:
    raise MemoryError


def test_a_restorer_that_finds_no_memory_is_told_of():
    with pytest.raises(ValueError, match=r"input: a median, whose picture is z, failed \(MemoryError\)"):
        draw.draw(restorable(no_memory), SMALL, Classical(), seed=0)


def test_a_picture_that_is_too_small_for_the_network_is_refused_before_it_is_restored():
    posed = Problem(y=torch.zeros(1, 3, 9, 9), start=("a median", no_memory))
    with pytest.raises(ValueError, match="arch: a picture of 9x9 is too small for this network"):
        draw.draw(posed, DEEP, Classical(), seed=0)


def test_a_rule_that_holds_pixels_out_is_refused_where_z_has_seen_them():
    posed = restorable(lambda: np.zeros((1, 3, 37, 31), np.float32))
    net, z = draw.draw(posed, SMALL, Classical(), seed=0)
    with pytest.raises(ValueError, match="stop: given a rule that judges by pixels which the fit does not see"):
        draw.assemble(posed, net, z, Classical(), Adam(steps=5), HeldOut(), 0)
    draw.assemble(posed, net, z, Noise(), Adam(steps=5), HeldOut(), 0)


def test_a_network_that_enlarges_cannot_begin_at_a_picture():
    with pytest.raises(ValueError, match=r"input: the classical restoration is 37x31 but z must be 5x4; .*input=noise"):
        draw.draw(restorable(lambda: np.zeros((1, 3, 37, 31), np.float32)), DeepDecoder(layers=4), Classical(), seed=0)
