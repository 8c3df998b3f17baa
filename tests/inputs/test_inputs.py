"""Laws of z."""

import numpy as np
import pytest
import torch

from dip_exp import images
from dip_exp.inputs.fourier import Fourier
from dip_exp.inputs.meshgrid import Meshgrid
from dip_exp.inputs.noise import Noise
from dip_exp.inputs.picture import GivenPicture

SIZE = (40, 32)
Y = torch.rand((1, 3, 37, 31), generator=torch.Generator().manual_seed(1))


def draw(source, seed: int = 0):
    return source.draw(SIZE, Y, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("source", "channels"),
    [
        (Noise(), 32),
        (Noise(channels=1, law="normal"), 1),
        (Meshgrid(), 2),
        (Fourier(octaves=3), 12),
        (GivenPicture(), 3),
    ],
)
def test_shape_and_same_seed_same_z(source, channels: int):
    z = draw(source)
    assert z.shape == (1, channels, *SIZE)
    assert z.dtype == torch.float32
    assert torch.equal(z, draw(source))


def test_noise_has_its_law():
    uniform, normal = draw(Noise(channels=64)), draw(Noise(channels=64, law="normal"))
    assert uniform.min() >= 0
    assert uniform.max() <= 0.1
    assert abs(float(uniform.mean()) - 0.05) < 1e-3
    assert abs(float(normal.std()) - 0.1) < 2e-3
    assert not torch.equal(uniform, draw(Noise(channels=64), seed=1))


def test_meshgrid_runs_from_zero_to_one_along_its_axis():
    z = draw(Meshgrid())[0]
    assert torch.equal(z[0], torch.linspace(0, 1, 32).expand(SIZE))
    assert torch.equal(z[1], torch.linspace(0, 1, 40)[:, None].expand(SIZE))


def test_fourier_features_have_unit_pairs():
    z = draw(Fourier(octaves=4))[0]
    assert torch.allclose(z[:8].square() + z[8:].square(), torch.ones(8, *SIZE), atol=1e-5)


def test_fourier_features_are_octaves_of_half_a_period_a_side():
    z = draw(Fourier(octaves=4))[0]
    sines, cosines = z[:8].unflatten(0, (4, 2)), z[8:].unflatten(0, (4, 2))
    assert torch.allclose(sines[1:], 2 * sines[:-1] * cosines[:-1], atol=1e-5)  # sin 2a = 2 sin a cos a
    assert torch.allclose(cosines[0, 0], (torch.pi * torch.linspace(0, 1, 32)).cos().expand(SIZE), atol=1e-6)
    assert torch.allclose(cosines[0, 1], (torch.pi * torch.linspace(0, 1, 40))[:, None].cos().expand(SIZE), atol=1e-6)


def test_a_given_picture_is_itself_and_is_continued_by_reflection(tmp_path):
    z = draw(GivenPicture())
    assert torch.equal(z[..., :37, :31], Y)
    assert torch.equal(z[..., 37, :31], Y[..., 35, :])
    x = np.round(Y.numpy() * 255) / 255
    path = images.write(tmp_path / "z.png", x.astype(np.float32))
    assert np.array_equal(draw(GivenPicture(path=str(path)))[..., :37, :31].numpy(), x.astype(np.float32))


def test_a_given_picture_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"input: the picture \(the observation\) is 9x9 but z must be 40x32"):
        GivenPicture().draw(SIZE, torch.zeros(1, 3, 9, 9), torch.Generator())
