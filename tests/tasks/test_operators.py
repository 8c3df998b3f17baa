import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from dip_exp.tasks.operators import Downsample, adjoint_gap, linearity_gap, reduction_kernel
from tests.checked import unchecked

KERNELS = ["lanczos2", "lanczos3", "box"]
FACTORS = range(2, 9)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def rand(*shape, seed=0):
    return torch.rand(shape, generator=generator(seed), dtype=torch.float64)


def dense(x, factor, kernel):
    """The definition in two dimensions: every output pixel is a window around its block's middle, summed tap by tap."""
    lobes = {"lanczos2": 2, "lanczos3": 3, "box": 0.5}[kernel]
    middle = (factor - 1) / 2
    reach = int(np.ceil(lobes * factor + middle))
    offsets = [n for n in range(-reach, reach + 1) if abs((n - middle) / factor) < lobes]

    def value(n):
        t = (n - middle) / factor
        return (
            1.0
            if kernel == "box" or t == 0
            else lobes * np.sin(np.pi * t) * np.sin(np.pi * t / lobes) / (np.pi * t) ** 2
        )

    height, width = x.shape[-2:]
    total, norm = torch.zeros(*x.shape[:2], height // factor, width // factor, dtype=x.dtype), 0.0
    for i in offsets:
        rows = (torch.arange(0, height, factor) + i).clamp(0, height - 1)
        for j in offsets:
            columns = (torch.arange(0, width, factor) + j).clamp(0, width - 1)
            weight = value(i) * value(j)
            total += weight * x[:, :, rows][..., columns]
            norm += weight
    return total / norm


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("factor", FACTORS)
def test_two_passes_equal_the_dense_definition(factor, kernel):
    x = rand(1, 2, 5 * factor, 3 * factor)
    y = Downsample(factor, kernel)(x)
    assert y.shape == (1, 2, 5, 3)
    assert torch.allclose(y, dense(x, factor, kernel), atol=1e-6)


def test_lanczos2_at_an_even_factor_is_the_authors_dense_kernel():
    """Deep Image Prior's formula: centre (4f + 1 + 1)/2, t_i = |i + 0.5 - centre| / f for i = 1..4f, phase 0.5."""
    factor = 4
    i = np.arange(1, 4 * factor + 1)
    t = np.abs(i + 0.5 - (4 * factor + 2) / 2) / factor
    line = 2 * np.sin(np.pi * t) * np.sin(np.pi * t / 2) / (np.pi * t) ** 2
    kernel = np.outer(line, line)
    x = rand(1, 3, 32, 24)
    weight = torch.zeros(3, 3, 16, 16, dtype=torch.float64)
    for channel in range(3):
        weight[channel, channel] = torch.from_numpy(kernel / kernel.sum())
    margin = (4 * factor - factor) // 2
    expected = F.conv2d(F.pad(x, [margin] * 4, mode="replicate"), weight, stride=factor)
    assert torch.allclose(Downsample(factor)(x), expected, atol=1e-6)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("factor", FACTORS)
def test_kernel_sums_to_1_and_is_symmetric(factor, kernel):
    weights = reduction_kernel(factor, kernel)
    assert weights.sum().item() == pytest.approx(1, abs=1e-12)
    assert torch.allclose(weights, weights.flip(0), atol=1e-15)
    assert (len(weights) - factor) % 2 == 0


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("factor", FACTORS)
def test_a_constant_stays_and_a_ramp_maps_to_block_centres(factor, kernel):
    A = Downsample(factor, kernel)
    size = 11 * factor
    assert torch.allclose(A(torch.full((1, 1, size, size), 0.3)), torch.full((1, 1, 11, 11), 0.3), atol=1e-6)
    ramp = torch.arange(size, dtype=torch.float64)
    centres = factor * torch.arange(11, dtype=torch.float64) + (factor - 1) / 2
    inner = slice(3, -3)  # farther from the border than any kernel reaches
    across = A(ramp.expand(1, 1, size, size))[0, 0]
    down = A(ramp[:, None].expand(1, 1, size, size))[0, 0]
    assert torch.allclose(across[:, inner], centres[inner].expand(11, -1), atol=1e-5 * size)
    assert torch.allclose(down[inner], centres[inner, None].expand(-1, 11), atol=1e-5 * size)


@pytest.mark.parametrize(
    ("kernel", "resample"), [("lanczos3", Image.Resampling.LANCZOS), ("box", Image.Resampling.BOX)]
)
@pytest.mark.parametrize("factor", FACTORS)
def test_away_from_the_border_it_is_pillows_float_resize(factor, kernel, resample):
    x = rand(1, 1, 10 * factor, 9 * factor).float()
    expected = np.asarray(Image.fromarray(x[0, 0].numpy()).resize((9, 10), resample))
    y = Downsample(factor, kernel)(x)[0, 0].numpy()
    assert np.allclose(y[3:-3, 3:-3], expected[3:-3, 3:-3], atol=2e-6)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("factor", [2, 3, 8])
def test_it_is_linear_with_the_adjoint_that_autograd_gives(factor, kernel):
    A = Downsample(factor, kernel)
    x_shape, y_shape = (2, 3, 5 * factor, 4 * factor), (2, 3, 5, 4)
    assert adjoint_gap(A, x_shape, y_shape, generator()) < 1e-6
    assert linearity_gap(A, x_shape, generator()) < 1e-6


def test_channels_and_batch_do_not_mix():
    A = Downsample(3)
    x = rand(2, 5, 9, 12)
    alone = torch.stack([torch.cat([A(x[n : n + 1, c : c + 1])[0] for c in range(5)]) for n in range(2)])
    assert torch.allclose(A(x), alone, atol=1e-12)


def test_it_has_nothing_to_train_or_to_save_and_keeps_dtypes():
    A = Downsample(4)
    assert not list(A.parameters())
    assert not A.state_dict()
    assert A(rand(1, 1, 8, 8)).dtype == torch.float64
    assert A(rand(1, 1, 8, 8).float()).dtype == torch.float32


class WrongGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, *grad_outputs):
        return 3 * grad_outputs[0]


def test_the_gaps_find_wrong_gradients_offsets_and_bends():
    shape = (1, 1, 5, 7)
    assert adjoint_gap(WrongGradient.apply, shape, shape, generator()) > 1e-3
    assert linearity_gap(WrongGradient.apply, shape, generator()) < 1e-6
    assert adjoint_gap(lambda x: x + 1, shape, shape, generator()) > 1e-3
    assert linearity_gap(lambda x: x + 1, shape, generator()) > 1e-2
    assert adjoint_gap(lambda x: x**2, shape, shape, generator()) > 1e-3
    assert linearity_gap(torch.relu, shape, generator()) > 1e-2
    assert linearity_gap(lambda x: 0 * x, shape, generator()) == 0


def test_the_gaps_are_those_of_their_definitions():
    """Of maps for which they are known in closed form: a gradient half as large again, and an offset of 1."""
    shape = (1, 1, 5, 7)
    x, y = (torch.randn(shape, generator=g, dtype=torch.float64) for g in [generator()] * 2)
    cosine = float((x * y).sum() / (x.norm() * y.norm()))
    found = adjoint_gap(WrongGradient.apply, shape, shape, generator(), torch.float64)
    assert found == pytest.approx(abs(2 - 3) * abs(cosine) / 2)
    a, b, n = 1.5, -0.7, 35
    scale = abs(a) * (x + 1).norm() + abs(b) * (y + 1).norm()
    found = linearity_gap(lambda x: x + 1, shape, generator(), torch.float64)
    assert found == pytest.approx(float(abs(1 - a - b) * n**0.5 / scale))


def test_what_is_0_for_two_pictures_and_not_for_their_sum_is_infinitely_far_from_linear():
    calls = []

    def third_time(x):
        calls.append(x)
        return x if len(calls) == 3 else 0 * x

    assert linearity_gap(third_time, (1, 1, 5, 7), generator()) == np.inf


def test_it_says_what_it_is():
    assert str(Downsample(3, "box")) == "Downsample(factor=3, kernel=box)"


def test_the_gaps_draw_only_from_their_generator_and_in_the_dtype_asked():
    state = torch.get_rng_state()
    gaps = [adjoint_gap(Downsample(2), (1, 1, 8, 8), (1, 1, 4, 4), generator(3)) for _ in range(2)]
    linearity_gap(Downsample(2), (1, 1, 8, 8), generator(3))
    assert gaps[0] == gaps[1]
    assert torch.equal(torch.get_rng_state(), state)
    assert adjoint_gap(Downsample(2), (1, 1, 8, 8), (1, 1, 4, 4), generator(3), torch.float64) < 1e-15


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (lambda: Downsample(1), "downsample: factor is 1; must be a whole number from 2"),
        (lambda: Downsample(2.0), "downsample: factor is 2.0; must be a whole number"),  # pyright: ignore
        (lambda: Downsample(2, "cubic"), "kernel is 'cubic'; must be one of lanczos2, lanczos3, box"),  # pyright: ignore
        (
            lambda: Downsample(4)(torch.zeros(1, 3, 37, 32)),
            r"x_hat is 32x37 \(width x height\), no multiple of factor 4",
        ),
        (
            lambda: Downsample(4)(torch.zeros(1, 3, 36, 31)),
            r"x_hat is 31x36 \(width x height\), no multiple of factor 4",
        ),
        (lambda: Downsample(4)(torch.zeros(3, 36, 32)), r"x_hat has shape \(3, 36, 32\); must be \(N,C,H,W\)"),
        (
            lambda: adjoint_gap(Downsample(2), (1, 1, 8, 8), (1, 1, 4, 5), generator()),
            r"A maps \(1, 1, 8, 8\) to \(1, 1, 4, 4\) but y_shape is \(1, 1, 4, 5\)",
        ),
        (lambda: adjoint_gap(torch.detach, (2,), (2,), generator()), r"adjoint_gap: A\(x\) has no gradient"),
        (lambda: adjoint_gap(lambda x: 0 * x, (2,), (2,), generator()), r"adjoint_gap: A\(x\) is 0 for a random x"),
    ],
)
def test_what_cannot_work_is_refused(act, text):
    with unchecked(), pytest.raises(ValueError, match=text):
        act()
