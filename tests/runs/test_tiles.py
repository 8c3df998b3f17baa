"""Laws of a picture in tiles: ordinary runs, merged into a derived record; only what is missing is done."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dip_exp import config, images
from dip_exp.config import commandline
from dip_exp.errors import Refused
from dip_exp.images.tiling import merged
from dip_exp.runs import memory, mosaic, tiles
from dip_exp.runs import run as run_module
from dip_exp.runs.mosaic import run_tiles
from dip_exp.runs.order import GROUPS
from tests import warm
from tests.conftest import ROOT, SMOKE

Tiled = Callable[..., dict[str, Any]]
RNG = np.random.default_rng(3)
SETTINGS = (*SMOKE, "rivals=none", "optim.steps=2", "image=file", "image.shrink_to=null", "tiles=32")


def choices_of(words: list[str]) -> dict[str, str]:
    chosen = dict(word.split("=", 1) for word in ("task=denoise", "arch=skip_tiny", *words))
    return {group: chosen.get(group, "?") for group in GROUPS}


@pytest.fixture
def tiled(tmp_path: Path) -> Tiled:
    """Restores `a.png` in tmp_path in tiles, as the command line does, and returns the record."""

    def runner(*overrides: str, tabled: bool = False) -> dict[str, Any]:
        words = [*SETTINGS, f"image.path={tmp_path / 'a.png'}", f"results={tmp_path / 'results'}", *overrides]
        return run_tiles(config.layered(words), choices_of(words), ["python", "run.py", *words], tabled=tabled)

    return runner


def drawn(path: Path, *shape: int, depth: type = np.uint8) -> np.ndarray:
    """Writes a random picture of levels and returns it. shape: (H, W, samples)."""
    levels = RNG.integers(0, np.iinfo(depth).max + 1, shape).astype(depth)
    if depth == np.uint8:
        Image.fromarray(levels).save(path)
    else:
        x = np.ascontiguousarray((levels[..., :3] / 65535).astype(np.float32).transpose(2, 0, 1)[None])
        alpha = (levels[..., 3] / 65535).astype(np.float32)
        images.write_restored(path.parent, x, images.Picture(x, alpha, None, "uint16", "a", ""))
        (path.parent / "restored.png").rename(path)
    return levels


def member(tmp_path: Path, run_id: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    folder = tmp_path / "results/runs" / run_id
    with np.load(folder / "outputs.npz") as arrays:
        return json.loads((folder / "record.json").read_text()), dict(arrays)


def shown(tmp_path: Path, done: dict[str, Any]) -> np.ndarray:
    return np.asarray(Image.open(tmp_path / "results/runs" / done["run_id"] / "restored.png"))


def test_the_merged_picture_is_that_of_ordinary_runs_and_is_found_again(
    tiled: Tiled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    drawn(tmp_path / "a.png", 50, 60, 3)
    done = tiled()
    said = capsys.readouterr().out
    assert "60x50 in 6 tiles of 32x32, which share 8 pixels: 6 runs of 2 steps, one after the other about" in said
    assert said.index("60x50 in 6 tiles") < said.index("tile 1 of 6") < said.index("tile 6 of 6")
    assert done["kind"] == "tiles"
    assert [box[:2] for box in done["tiles"]["boxes"]] == [[x, y] for y in (0, 18) for x in (0, 14, 28)]
    found = [member(tmp_path, run_id) for run_id in done["members"]]
    assert [one["config"]["image"]["box"] for one, _ in found] == done["tiles"]["boxes"]
    assert found[1][0]["command"].endswith("'image.box=[14,0,32,32]'")
    assert "tiles=" not in found[1][0]["command"]
    assert done["steps"] == 12
    assert done["scores"] == {}
    words = [*SETTINGS, f"image.path={tmp_path / 'a.png'}", f"results={tmp_path / 'results'}"]
    grid = tiles.planned(config.layered(words), choices_of(words)).grid
    x_hat = merged(grid, lambda number: found[number][1]["stopped"])
    assert np.abs(shown(tmp_path, done) / 255 - x_hat[0].transpose(1, 2, 0)).max() <= 0.5 / 255 + 1e-6
    for module, name in ((run_module, "compute"), (mosaic, "merged")):
        monkeypatch.setattr(module, name, lambda *_: pytest.fail("something was computed"))
    assert tiled() == done
    assert "already finished (nothing was computed" in capsys.readouterr().out


def test_interrupted_only_the_missing_tiles_are_done(
    tiled: Tiled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    drawn(tmp_path / "a.png", 32, 60, 3)
    compute, computed = run_module.compute, []

    def broken(order: Any, out: Any) -> dict[str, Any]:
        if len(computed) == 2:
            raise KeyboardInterrupt
        computed.append(order.config["image"]["box"])
        return compute(order, out)

    monkeypatch.setattr(run_module, "compute", broken)
    with pytest.raises(KeyboardInterrupt):
        tiled()
    assert len(list((tmp_path / "results/runs").glob("*/record.json"))) == 2
    again = []
    monkeypatch.setattr(
        run_module, "compute", lambda order, out: again.append(order.config["image"]["box"]) or compute(order, out)
    )
    capsys.readouterr()
    done = tiled()
    assert "(2 already finished): 1 runs of 2 steps" in capsys.readouterr().out
    assert computed + again == done["tiles"]["boxes"]
    picture = shown(tmp_path, done)
    (tmp_path / "results/runs" / done["members"][1] / "record.json").unlink()
    again.clear()
    tiled()
    assert again == [done["tiles"]["boxes"][1]]
    assert np.array_equal(shown(tmp_path, done), picture)


def test_inpainting_copies_the_tiles_where_nothing_is_missing(tiled: Tiled, tmp_path: Path):
    levels = drawn(tmp_path / "a.png", 50, 80, 3)
    mask = np.full((50, 80), 255, np.uint8)
    mask[5:12, 3:9] = 0
    Image.fromarray(mask).save(tmp_path / "m.png")
    words = ("task=inpaint", "task/mask=file", f"task.mask.path={tmp_path / 'm.png'}")
    done = tiled(*words)
    assert len(done["members"]) == 1
    assert done["tiles"]["copied"] == list(range(1, len(done["tiles"]["boxes"])))
    picture = shown(tmp_path, done)
    assert np.array_equal(picture[mask > 0], levels[mask > 0])
    assert not np.array_equal(picture[mask == 0], levels[mask == 0])
    rgba = np.dstack([levels, mask])
    Image.fromarray(rgba).save(tmp_path / "a.png")  # what is restored can be seen
    assert (shown(tmp_path, tiled(*words))[..., -1] == 255).all()
    Image.fromarray(levels).save(tmp_path / "a.png")
    scored = tiled(*words, "image.role=clean")
    assert set(scored["scores"]["pasted"]) == {"psnr", "ssim", "psnr_missing"}
    mask[:32, 40:80] = 0
    Image.fromarray(mask).save(tmp_path / "m.png")
    with pytest.raises(Refused, match=r"tiles: in the tile \[48, 0, 32, 32\] no pixel is known; give larger ones"):
        tiled(*words)
    with pytest.raises(Refused, match=r"the mask \(Bernoulli\) would be another one in each tile.*task/mask=file"):
        tiled("task=inpaint", "image.role=clean")


def test_superresolution_is_as_much_larger_as_a_tile_and_keeps_16_bits_and_alpha(tiled: Tiled, tmp_path: Path):
    levels = drawn(tmp_path / "a.png", 32, 40, 4, depth=np.uint16)
    done = tiled("task=superres", "task.factor=2")
    assert done["tiles"]["factor"] == 2
    found = images.read(tmp_path / "results/runs" / done["run_id"] / "restored.png")
    assert (found.depth, found.size) == ("uint16", (80, 64))
    assert found.alpha is not None
    first = member(tmp_path, done["members"][0])[1]["stopped"]
    assert np.abs(found.x[..., :16] - first[..., :16]).max() <= 0.5 / 65535 + 1e-6  # no other tile reaches there
    same = tiled()
    alpha = images.read(tmp_path / "results/runs" / same["run_id"] / "restored.png").alpha
    assert alpha is not None
    assert np.array_equal(np.rint(alpha * 65535), levels[..., 3])


def test_a_tile_of_one_colour_is_copied_and_enlarged(tiled: Tiled, tmp_path: Path):
    levels = drawn(tmp_path / "a.png", 32, 64, 3)
    levels[:, 32:] = (10, 200, 30)
    Image.fromarray(levels).save(tmp_path / "a.png")
    done = tiled("task=superres", "task.factor=2", "tile_overlap=0")
    assert done["tiles"]["copied"] == [1]
    assert (shown(tmp_path, done)[:, 64:] == (10, 200, 30)).all()


def test_a_clean_picture_is_scored_as_a_whole(tiled: Tiled, tmp_path: Path):
    drawn(tmp_path / "a.png", 40, 36, 3)
    done = tiled("image.role=clean", "image.box=[2,3,34,37]", f"out={tmp_path / 'b.tif'}")
    assert done["tiles"]["boxes"][-1] == [4, 8, 32, 32]
    truth = images.read(tmp_path / "a.png").x[:, :, 3:40, 2:36]
    restored = images.read(tmp_path / "b.tif").x
    assert restored.shape == truth.shape
    psnr = -10 * np.log10(np.mean((restored - truth) ** 2))
    assert done["scores"]["stopped"]["psnr"] == pytest.approx(psnr, abs=0.01)


def test_auto_takes_the_largest_that_fits_and_goes_on_with_those_it_began(
    tiled: Tiled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    drawn(tmp_path / "a.png", 130, 130, 3)
    free = [1.2e9]
    monkeypatch.setattr(memory, "available_here", lambda device, limit: free[0])
    words = [*SETTINGS, f"image.path={tmp_path / 'a.png'}", f"results={tmp_path / 'results'}", "tiles=auto"]

    def side() -> int:
        return tiles.planned(config.layered(words), choices_of(words)).grid.side

    free[0] = 1e12
    assert side() == 512
    begun = tiles.planned(config.layered([*words, "tiles=128"]), choices_of(words))
    next(iter(begun.folders.values())).path.mkdir(parents=True)
    assert side() == 128
    next(iter(begun.folders.values())).path.rmdir()
    free[0] = 1e6
    with pytest.raises(
        Refused, match=r"the smallest that auto chooses, of 128 pixels, need .* GB each, more than half"
    ):
        side()


def test_a_merged_picture_that_would_not_fit_is_refused_before_the_first_tile(
    tiled: Tiled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    drawn(tmp_path / "a.png", 130, 130, 3)
    monkeypatch.setattr(tiles, "MERGED_BYTES", 1e6)
    with pytest.raises(
        Refused, match=r"tiles: the merged picture of 130x130 needs about 51\.2 GB at the end, and 2\.0 GB"
    ):
        tiled("memory_limit=2GB")
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["tiles=33"], "tiles: given 33; must be auto, or a side in pixels that is a multiple of 32"),
        (["tiles=big"], "tiles: given 'big'; must be auto"),
        (["tile_overlap=20"], "tile_overlap: given 20 for tiles of 32; must be from 0 to half a side, 16"),
        (["runs=2"], r"tiles: given 32 with runs=2; a tile is one run  \[runs=1\]"),
        (["image.shrink_to=20"], r"tiles: image.shrink_to is 20; .*\[image.shrink_to=null\]"),
        (["task=reconstruct"], "tiles: task=reconstruct does not restore a part of a picture on its own"),
        (["task=flash"], "tiles: task=flash does not"),
        (["arch=skip"], "arch: a picture of 32x32 is too small for this network"),
        (["task=superres", "task.factor=3", "image.role=clean"], "makes 30x30 of a tile of 32x32; its sides must be"),
    ],
    ids=str,
)
def test_what_cannot_be_done_in_tiles_is_refused_before_the_first_step(
    words: list[str], text: str, tiled: Tiled, tmp_path: Path
):
    drawn(tmp_path / "a.png", 40, 40, 3)
    with pytest.raises(Refused, match=text):
        tiled(*words)
    assert not (tmp_path / "results/runs").exists()


def test_jobs_of_an_experiment_and_pictures_of_one_colour_are_refused(tiled: Tiled, tmp_path: Path):
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    with pytest.raises(Refused, match="tiles: the picture has one colour, or none of its pixels is missing"):
        tiled()
    with pytest.raises(Refused, match=r"tiles: given 32 for the jobs of an experiment; must be null"):
        tiled(tabled=True)


@pytest.mark.long
def test_a_multirun_has_a_job_for_each_tile_that_is_left_and_ends_with_the_merged_picture(tmp_path: Path):
    drawn(tmp_path / "a.png", 32, 60, 3)
    own = (*SMOKE[1:], "arch=skip_tiny", "rivals=none", "optim.steps=2", "image.path=a.png", "tiles=32", "out=b.png")
    status, out, err = warm.run("-m", *own, cwd=tmp_path)
    assert status == 0, err
    assert (
        out.index("3 runs of at most 2 steps") < out.index("[job 0]") < out.index("[job 2]") < out.index("merged from")
    )
    assert "image.box=[28,0,32,32]" in out
    assert "[job 3]" not in out
    assert len(list((tmp_path / "results/runs").glob("*/record.json"))) == 4
    assert images.read(tmp_path / "b.png").size == (60, 32)
    status, again, err = warm.run("-m", *own, cwd=tmp_path)
    assert status == 0, err
    assert "[job" not in again
    assert "already finished (nothing was computed" in again
    words = [*own[:-2], f"image.path={tmp_path / 'a.png'}", "image=file", "tiles=32", f"results={tmp_path / 'results'}"]
    alone = tiles.planned(config.layered(words), choices_of(words))  # the same runs, without a multirun
    assert alone.left == []
    assert (tmp_path / "results/runs" / alone.identity() / "restored.png").is_file()


@pytest.mark.long
def test_the_workers_of_joblib_do_the_tiles_with_the_same_bits(tmp_path: Path):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="pip install -e '.[joblib]'")
    drawn(tmp_path / "a.png", 32, 60, 3)
    own = (
        "trainer=cpu",
        "logger=none",
        "arch=skip_tiny",
        "rivals=none",
        "optim.steps=2",
        "image.path=a.png",
        "tiles=32",
    )
    joblib = ("launcher=joblib", "hydra.launcher.n_jobs=2", "results=two", "out=two.png")
    done = subprocess.run(  # a process of its own: the workers of a fork do not start
        [sys.executable, str(ROOT / "run.py"), "-m", *own, *joblib],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert "merged from 3 tiles" in done.stdout
    assert len(list((tmp_path / "two/runs").glob("*/record.json"))) == 4
    status, _, err = warm.run("-m", *own, "results=one", "out=one.png", cwd=tmp_path)
    assert status == 0, err
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_a_multirun_that_sweeps_more_does_the_tiles_of_each_job_in_it():
    settings = ["image=file", "image.path='a.png'", "tiles=64", "out='b.png'", "image.box=[0,0,9,9]"]
    assert commandline.in_tiles(["--multirun", *settings]) == settings
    assert commandline.in_tiles(settings) is None
    assert commandline.in_tiles(["--multirun", *settings, "seed=0,1"]) is None
    assert commandline.in_tiles(["--multirun", *settings[:2]]) is None
    assert commandline.over_boxes(settings, [[0, 0, 4, 4], [3, 0, 4, 4]]) == [
        *("--multirun", "image=file", "image.path='a.png'", "image.box=[0,0,4,4],[3,0,4,4]")
    ]
