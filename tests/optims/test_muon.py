"""Laws of orthogonalised momentum."""

import pytest
import torch
from torch import Tensor, nn

from dip_exp.optims.muon import COEFFICIENTS, ITERATIONS, Muon, OrthogonalisedMomentum, is_kernel, orthogonalised


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def iterated(x: Tensor) -> Tensor:
    """The iteration as it is written down: x <- a x + b (x x') x + c (x x')^2 x."""
    a, b, c = COEFFICIENTS
    x = x / x.norm()
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x


@pytest.mark.parametrize("shape", [(8, 20), (20, 8), (5, 5), (1, 7), (7, 1)])
def test_it_is_the_iteration_on_every_matrix(shape: tuple[int, int]):
    matrices = noise(3, *shape)
    wanted = torch.stack([iterated(m.T).T if shape[0] > shape[1] else iterated(m) for m in matrices])
    torch.testing.assert_close(orthogonalised(matrices), wanted)


def test_singular_values_come_near_one_and_vectors_stay():
    matrices = noise(4, 12, 30)
    found = orthogonalised(matrices)
    values = torch.linalg.svdvals(found)
    assert values.min() > 0.6
    assert values.max() < 1.3
    u, _, vh = torch.linalg.svd(matrices, full_matrices=False)
    middle = u.mT @ found @ vh.mT
    torch.testing.assert_close(middle, torch.diag_embed(middle.diagonal(dim1=1, dim2=2)), rtol=0, atol=1e-9)


def test_zero_stays_zero():
    assert torch.equal(orthogonalised(torch.zeros(1, 3, 4)), torch.zeros(1, 3, 4))


def test_kernels_are_told_from_z_and_pictures():
    assert is_kernel(torch.zeros(8, 4, 3, 3))
    assert is_kernel(torch.zeros(1, 4, 1, 1))
    assert not is_kernel(torch.zeros(1, 32, 64, 48))
    assert not is_kernel(torch.zeros(8))


def test_a_kernels_step_has_the_asked_size():
    wide, tall = (nn.Parameter(noise(*shape)) for shape in ((4, 8, 3, 3), (36, 4, 1, 1)))
    before = [wide.detach().clone(), tall.detach().clone()]
    optimizer = OrthogonalisedMomentum([wide, tall], lr=0.01, kernel_lr=0.1, momentum=0.9, betas=(0.9, 0.999), eps=1e-8)
    (wide.square().sum() + tall.square().sum()).backward()
    optimizer.step()
    for parameter, old, scale in zip((wide, tall), before, (1.0, 3.0), strict=True):
        values = torch.linalg.svdvals((old - parameter.detach()).flatten(1)) / (0.1 * scale)
        assert values.min() > 0.6
        assert values.max() < 1.3


def test_everything_else_moves_as_by_adam():
    ours, theirs = nn.Parameter(noise(5)), nn.Parameter(noise(5))
    optimizers = (
        Muon(lr=0.01).build([ours]),
        torch.optim.Adam([theirs], lr=0.01, betas=(0.9, 0.999), eps=1e-8, fused=True),
    )
    for _ in range(3):
        for parameter, optimizer in zip((ours, theirs), optimizers, strict=True):
            optimizer.zero_grad()
            (parameter**4).sum().backward()
            optimizer.step()
    assert torch.equal(ours, theirs)


def test_a_closure_is_asked_and_its_value_returned():
    parameter = nn.Parameter(noise(3, 2, 1, 1))
    optimizer = Muon().build([parameter])

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = parameter.square().sum()
        loss.backward()
        return loss

    first, second = (float(optimizer.step(closure).detach()) for _ in range(2))  # type: ignore[arg-type]
    assert second < first
