"""Flash/no-flash: pairs that fit are told from those that do not, and a fit that hangs in one colour is told of."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dip_exp import images, metrics
from dip_exp.inputs.picture import GivenPicture
from dip_exp.observe.flash import FlashFile, Synthetic, shift_between
from dip_exp.tasks import baselines
from dip_exp.tasks.flash import FlashNoFlash, stuck
from tests.checked import unchecked
from tests.conftest import Runner


def picture(size: int = 96) -> np.ndarray:
    return images.shrink(images.packaged("chelsea").x, size)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_the_synthetic_pair_is_of_one_scene_in_two_lights():
    x = picture()
    pair = Synthetic().pair(x, rng())
    assert pair.x is not None
    assert pair.flash.shape == pair.y.shape == pair.x.shape
    assert np.array_equal(pair.y, Synthetic().pair(x, rng()).y)
    assert np.array_equal(pair.flash, Synthetic(sigma=0.0).pair(x, rng()).flash)  # the flash picture has no noise
    red, _, blue = pair.x.mean(axis=(0, 2, 3)) / x.mean(axis=(0, 2, 3))
    assert red > blue  # warm light
    assert "synthetic" in pair.notes[0]


@pytest.mark.parametrize("moved", [(0, 0), (3, -5), (-2, 1)])
def test_a_pair_that_is_shifted_is_told_of_and_moved_back(tmp_path: Path, moved: tuple[int, int]):
    x = picture(160)
    pair = Synthetic(sigma=10.0).pair(x, rng())
    inside = (slice(None), slice(None), slice(10, -10), slice(10, -10))
    flash = np.roll(pair.flash, moved, axis=(2, 3))[inside]
    y, straight = pair.y[inside], pair.flash[inside]
    assert shift_between(y, flash) == pytest.approx((-moved[0], -moved[1]), abs=0.3)
    path = images.write(tmp_path / "flash.png", flash)
    told = FlashFile(path=str(path)).pair(y, rng())
    assert bool(told.notes) == (moved != (0, 0))
    back = FlashFile(path=str(path), register=True).pair(y, rng()).flash
    middle = (..., slice(10, -10), slice(10, -10))
    assert np.abs(back - straight)[middle].mean() < 0.01


def test_pictures_of_two_sizes_are_refused(tmp_path: Path):
    path = images.write(tmp_path / "flash.png", picture(64))
    with pytest.raises(ValueError, match="are 64x43 and 96x64; they must be of one size"):
        FlashFile(path=str(path)).pair(picture(96), rng())


def test_z_is_the_flash_picture(tmp_path: Path):
    x = picture(64)
    problem = FlashNoFlash().problem(x, "clean", rng())
    assert problem.guide is not None
    z = GivenPicture().draw(problem.guide.shape[2:], problem.guide, torch.Generator())
    assert torch.equal(z, problem.guide)
    path = images.write(tmp_path / "flash.png", picture(64))
    observed = FlashNoFlash(flash=FlashFile(path=str(path))).problem(x, "observed", rng())
    assert observed.x is None
    with pytest.raises(ValueError, match=r"task/flash=file task\.flash\.path=FLASH"):
        FlashNoFlash().problem(x, "observed", rng())
    with pytest.raises(ValueError, match="no truth to be scored against"):
        FlashNoFlash(flash=FlashFile(path=str(path))).problem(x, "clean", rng())


def test_a_fit_that_is_stuck_in_one_colour_is_told_of():
    pair = Synthetic().pair(picture(), rng())
    assert pair.x is not None
    assert stuck(pair.y, pair.x) == []
    red = pair.x.copy()
    red[:, 1:] = 0
    (said,) = stuck(pair.y, red)
    assert "its green is off by -" in said
    assert "seed=1" in said


def test_a_pair_of_files_is_restored_from_the_command_line_s_words(run: Runner, tmp_path: Path):
    pair = Synthetic().pair(picture(32), rng())
    flash, dark = (images.write(tmp_path / f"{name}.png", p) for name, p in (("flash", pair.flash), ("dark", pair.y)))
    files = ("image=file", f"image.path={dark}", "task/flash=file", f"task.flash.path={flash}")
    done = run("task=flash", *files, "optim.steps=3")
    folder = tmp_path / "results" / "runs" / done["run_id"]
    assert done["scores"] == {}
    assert {"observation.png", "guide.png", "baseline.png", "restored.png"} <= {p.name for p in folder.iterdir()}
    assert done["sha256"]["task.flash.path"] == images.file_sha256(flash)


# -- the joint bilateral filter ----------------------------------------------------------------------------------------


def test_it_keeps_the_flash_pictures_edges_and_takes_the_noise():
    edge = np.full((1, 3, 40, 40), 0.2, np.float32)
    edge[..., 20:] = 0.8
    y = np.clip(edge + 0.1 * rng().standard_normal(edge.shape), 0, 1).astype(np.float32)
    smoothed = baselines.joint_bilateral(y, edge)
    protocol = metrics.PROTOCOLS["rgb"]
    assert metrics.psnr(smoothed, edge, protocol) > metrics.psnr(y, edge, protocol) + 10
    blind = baselines.joint_bilateral(y, np.full_like(edge, 0.5))  # without an edge to go by, it blurs over it
    assert metrics.psnr(blind, edge, protocol) < metrics.psnr(smoothed, edge, protocol) - 5


def test_a_flat_picture_stays_and_bad_ones_are_refused():
    flat = np.full((1, 3, 12, 9), 0.4, np.float32)
    assert baselines.joint_bilateral(flat, flat) == pytest.approx(flat, abs=1e-6)
    with unchecked(), pytest.raises(ValueError, match="must have the same size"):
        baselines.joint_bilateral(flat, flat[..., 1:])
