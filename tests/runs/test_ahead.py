"""What a multirun over pictures says before its first job."""

from pathlib import Path

import numpy as np
import pytest

from dip_exp import cli, config, images
from dip_exp.config import commandline
from dip_exp.runs import ahead, report
from dip_exp.runs.folder import RECORD, RunFolder
from dip_exp.runs.order import Named, identify
from dip_exp.runs.price import expected
from tests.conftest import A_RECORD

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


def seconds(path: str, tmp_path: Path) -> float:
    named = of(path, tmp_path)
    return expected(named.config, CHOICES, named.image.shape()).seconds


def test_the_total_is_that_of_its_runs(pictures: list[str], tmp_path: Path, capsys: pytest.CaptureFixture):
    total = report.duration(sum(seconds(path, tmp_path) for path in pictures))
    assert said(pictures, capsys, tmp_path) == (
        f"3 pictures, one after the other: at most {total} of one quiet core in all\n"
    )


def test_finished_and_unreadable_pictures_take_no_time(
    pictures: list[str], tmp_path: Path, capsys: pytest.CaptureFixture
):
    folder = RunFolder(tmp_path, of(pictures[0], tmp_path).run_id)
    folder.path.mkdir(parents=True)
    folder.finish({**A_RECORD})
    Path(pictures[1]).write_text("no picture")
    total = report.duration(seconds(pictures[2], tmp_path))
    assert f"3 pictures (1 already finished), one after the other: at most {total}" in said(pictures, capsys, tmp_path)
    assert said(pictures[:2], capsys, tmp_path) == "2 pictures (1 already finished)\n"
    assert "(1 already" not in said(pictures[2:], capsys, tmp_path, "force=true")


def test_a_damaged_record_is_left_to_its_job(pictures: list[str], tmp_path: Path, capsys: pytest.CaptureFixture):
    folder = RunFolder(tmp_path, of(pictures[0], tmp_path).run_id)
    folder.path.mkdir(parents=True)
    (folder.path / RECORD).write_text("{")
    total = report.duration(sum(seconds(path, tmp_path) for path in pictures[1:]))
    assert f"3 pictures, one after the other: at most {total}" in said(pictures, capsys, tmp_path)


def test_jobs_of_several_runs_say_it_themselves(pictures: list[str], tmp_path: Path, capsys: pytest.CaptureFixture):
    assert said(pictures, capsys, tmp_path, "runs=2") == "3 pictures, one after the other\n"
    assert said(pictures, capsys, tmp_path, "tiles=64") == "3 pictures, one after the other\n"


def test_a_folders_pictures_are_known_from_the_words(pictures: list[str]):
    words = commandline.prepare([*WORDS, f"image.path={Path(pictures[0]).parent}"])
    over = commandline.over_pictures(words)
    assert over is not None
    settings, paths = over
    assert config.compose(settings).image.path == pictures[0]
    resolved = []
    for path in paths:
        cfg = config.compose([*WORDS, "image=file", "image.path=unset"])
        cfg.image.path = path
        resolved.append(cfg.image.path)
    assert resolved == pictures


@pytest.mark.parametrize(("experiment", "told"), [("smoke", True), ("fig6_region", False)])
def test_a_total_is_not_told_of_an_experiments_own_sweep(
    pictures: list[str], experiment: str, told: bool, tmp_path: Path, capsys: pytest.CaptureFixture
):
    words = [*WORDS, f"results={tmp_path}", f"experiment={experiment}", f"image.path={Path(pictures[0]).parent}"]
    cli._announce_pictures(commandline.prepare(words))
    assert ("3 pictures" in capsys.readouterr().out) is told


@pytest.mark.parametrize("more", [["arch=skip,resnet"], ["-m", "seed=0,1"], ["--cfg", "job"]], ids=" ".join)
def test_whatever_else_is_swept_or_asked_is_left_to_hydra(pictures: list[str], more: list[str]):
    assert commandline.over_pictures(commandline.prepare([f"image.path={Path(pictures[0]).parent}", *more])) is None
    assert commandline.over_pictures(commandline.prepare([f"image.path={pictures[0]}"])) is None
