"""What a multirun over pictures says before its first job."""

from pathlib import Path

import numpy as np
import pytest

from dip_exp import config, images
from dip_exp.config import commandline
from dip_exp.runs import ahead, report
from dip_exp.runs.order import Named, identify
from dip_exp.runs.price import expected

WORDS = ["task=denoise", "arch=skip_tiny", "optim.steps=5", "trainer=cpu", "threads=1"]
CHOICES = {"task": "denoise", "arch": "skip_tiny"}
SIZES = ((32, 32), (40, 36), (32, 32))
NAMES = ("a b.png", "it's, $x.png", "c.png")


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    """Three pictures of two sizes, two of them with awkward names."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, size in zip(NAMES, SIZES, strict=True):
        images.write(folder / name, rng.random((1, 3, *size)).astype(np.float32))
    return sorted(str(folder / name) for name in NAMES)


def said(paths: list[str], capsys: pytest.CaptureFixture, tmp_path: Path, *more: str) -> str:
    cfg = config.compose([*WORDS, "image=file", f"results={tmp_path}", "image.path=unset", *more])
    ahead.announce(cfg, CHOICES, paths)
    return capsys.readouterr().out


def of(path: str, tmp_path: Path) -> Named:
    cfg = config.compose([*WORDS, "image=file", f"results={tmp_path}", "image.path=unset"])
    cfg.image.path = path
    return identify(cfg, CHOICES)


def test_the_total_is_that_of_its_runs(pictures: list[str], tmp_path: Path, capsys: pytest.CaptureFixture):
    runs = [expected(of(path, tmp_path).config, CHOICES, of(path, tmp_path).image.shape()) for path in pictures]
    total = report.duration(sum(run.cost.seconds * run.steps for run in runs))
    assert said(pictures, capsys, tmp_path) == (
        f"3 pictures, one after the other: at most {total} of one quiet core in all\n"
    )


def test_finished_and_unreadable_pictures_take_no_time(
    pictures: list[str], tmp_path: Path, capsys: pytest.CaptureFixture
):
    from dip_exp.runs.folder import RunFolder

    folder = RunFolder(tmp_path, of(pictures[0], tmp_path).run_id)
    folder.path.mkdir(parents=True)
    folder.finish({})
    Path(pictures[1]).write_text("no picture")
    (run,) = [expected(of(path, tmp_path).config, CHOICES, of(path, tmp_path).image.shape()) for path in pictures[2:]]
    total = report.duration(run.cost.seconds * run.steps)
    assert f"3 pictures (1 already finished), one after the other: at most {total}" in said(pictures, capsys, tmp_path)
    assert said(pictures[:2], capsys, tmp_path) == "2 pictures (1 already finished)\n"
    assert "(1 already" not in said(pictures[2:], capsys, tmp_path, "force=true")


def test_jobs_of_several_runs_say_it_themselves(pictures: list[str], tmp_path: Path, capsys: pytest.CaptureFixture):
    assert said(pictures, capsys, tmp_path, "runs=2") == "3 pictures, one after the other\n"
    assert said(pictures, capsys, tmp_path, "tiles=64") == "3 pictures, one after the other\n"


def test_a_folders_pictures_are_known_from_the_words(pictures: list[str]):
    words = commandline.prepare([*WORDS, f"image.path={Path(pictures[0]).parent}"])
    over = commandline.over_pictures(words)
    assert over is not None
    settings, paths = over
    assert not any(word.startswith("image.path=") for word in settings)
    resolved = []
    for path in paths:
        cfg = config.compose([*WORDS, "image=file", "image.path=unset"])
        cfg.image.path = path
        resolved.append(cfg.image.path)
    assert resolved == pictures


@pytest.mark.parametrize("more", [["arch=skip,resnet"], ["-m", "seed=0,1"], ["--cfg", "job"]], ids=" ".join)
def test_whatever_else_is_swept_or_asked_is_left_to_hydra(pictures: list[str], more: list[str]):
    assert commandline.over_pictures(commandline.prepare([f"image.path={Path(pictures[0]).parent}", *more])) is None
    assert commandline.over_pictures(commandline.prepare([f"image.path={pictures[0]}"])) is None
