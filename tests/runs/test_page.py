"""The page of a finished run: made of its folder alone, whatever kind of run it is, and never at the run's cost."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from dip_exp import config, images
from dip_exp.images.pixels import MAX_PIXELS
from dip_exp.metrics import kinds
from dip_exp.pages.one_run import RunPage
from dip_exp.pages.pictures import opened
from dip_exp.runs import page, report
from dip_exp.runs.folder import RunFolder
from dip_exp.runs.mean import run_mean
from dip_exp.runs.mosaic import run_tiles
from dip_exp.runs.order import GROUPS
from tests.conftest import SMOKE, Runner

Done = dict[str, Any]


def folder_of(tmp_path: Path, done: Done) -> RunFolder:
    return RunFolder(tmp_path / "results", done["run_id"])


def page_of(tmp_path: Path, done: Done) -> RunPage:
    return page.page(folder_of(tmp_path, done), done)


def derived(go: Callable[..., Done], tmp_path: Path, *words: str) -> Done:
    """Carries out a command that ends with a derived record."""
    given = [*SMOKE, f"results={tmp_path / 'results'}", *words]
    chosen = dict(word.split("=", 1) for word in ("task=denoise", "arch=skip_tiny", "image=astronaut", *given))
    return go(config.layered(given), {group: chosen.get(group, "?") for group in GROUPS}, ["python", "run.py", *given])


def test_every_run_writes_its_page_beside_its_record(run: Runner, tmp_path: Path, capsys: pytest.CaptureFixture):
    done = run("task=denoise", "optim.steps=12")
    folder = folder_of(tmp_path, done)
    assert folder.page.is_file()
    assert f"to look at it:    {folder.page}" in capsys.readouterr().out
    assert not list(folder.path.glob("live.*"))


def test_it_shows_every_picture_once_the_result_first(run: Runner, tmp_path: Path):
    done = run("task=denoise", "optim.steps=12", "stop=emv")
    made = page_of(tmp_path, done)
    assert made.sides[0].name == done["result"]
    assert made.pair == (kinds.OBSERVATION, done["result"])
    with np.load(folder_of(tmp_path, done).path / "outputs.npz") as arrays:
        estimates = {name for name in arrays if not kinds.kind(name).is_map}
        names = {side.name for side in made.sides if not side.is_map}
        assert names <= estimates
        for name in estimates - names:  # left out because it is one of the others
            assert any(np.array_equal(arrays[name], arrays[other]) for other in names)
    labels = [side.label for side in made.sides]
    assert len(set(labels)) == len(labels)
    assert labels[0] == "restored"
    oracles = [side.label for side in made.sides if kinds.kind(side.name).oracle]
    assert all(label.startswith("oracle") for label in oracles)
    for side in made.sides:
        assert not side.file or (folder_of(tmp_path, done).path / side.file).is_file()


def test_the_curve_the_iterates_and_the_marks_are_those_of_the_record(run: Runner, tmp_path: Path):
    done = run("task=denoise", "optim.steps=23", "stop=watch", "rivals=none")
    made = page_of(tmp_path, done)
    assert list(made.columns["step"]) == list(range(1, 24))
    assert [one.step for one in made.iterates] == [1, 2, 5, 10, 20, 23]
    rules = {mark.label.split()[0]: mark for mark in made.marks if mark.sort == "rule"}
    told = {kind.removeprefix("stopped_"): kind for kind in done["stop"]["told"] if kind in done["steps_of"]}
    assert rules.keys() == told.keys()
    assert all(rules[name].step == done["steps_of"][kind] for name, kind in told.items())
    (result,) = (mark for mark in made.marks if mark.sort == "result")
    assert result.step == done["steps_of"]["stopped"]
    heads, rows = report.scores(done)
    assert (made.heads, made.scores) == (heads, rows)
    assert {row[0] for row in rows} == set(done["scores"])
    assert made.command == done["command"]


def test_an_old_curve_that_counts_from_zero_is_shown_from_one(tmp_path: Path):
    path = tmp_path / "history.csv"
    path.write_text("step,loss,psnr,psnr_average,data,seconds\n0,0.5,,,0.5,0.1\n1,0.25,,,0.25,0.2\n")
    assert page.curve(path) == {"step": [1, 2], "loss": [0.5, 0.25], "psnr": [None, None], "psnr_average": [None, None]}


def test_the_result_of_inpainting_is_its_pasted_picture(run: Runner, tmp_path: Path):
    made = page_of(tmp_path, run("task=inpaint", "optim.steps=5", "rivals=none"))
    assert (made.pair[1], made.sides[0].name, made.sides[0].label) == ("pasted", "pasted", "restored")


def test_an_observation_of_another_size_is_shown_as_it_is(run: Runner, tmp_path: Path):
    done = run("task=superres", "optim.steps=5", "rivals=none")
    sizes = {side.name: side.image.size for side in page_of(tmp_path, done).sides}
    assert sizes[done["result"]] == tuple(4 * side for side in sizes[kinds.OBSERVATION])


def test_a_run_without_a_truth_has_a_page_without_scores(run: Runner, tmp_path: Path):
    images.write(tmp_path / "a.png", np.random.default_rng(0).random((1, 3, 40, 50)).astype(np.float32))
    made = page_of(
        tmp_path, run("task=denoise", "optim.steps=5", "image=file", f"image.path={tmp_path / 'a.png'}", "rivals=none")
    )
    assert made.scores == []
    assert not [side for side in made.sides if side.is_map or side.name == "truth"]


def test_a_mean_shows_its_spread_and_names_its_runs(tmp_path: Path):
    done = derived(run_mean, tmp_path, "task=denoise", "optim.steps=5", "runs=2", "rivals=none")
    made = page_of(tmp_path, done)
    assert folder_of(tmp_path, done).page.is_file()
    assert kinds.STD in {side.name for side in made.sides if side.is_map}
    links = [address for one in made.facts for _, address in one.links]
    assert links == [f"../{run_id}/report.html" for run_id in done["members"]]
    assert all((folder_of(tmp_path, done).path / address).is_file() for address in links)


def test_a_tiled_picture_shows_what_was_given_and_its_tiles(tmp_path: Path):
    given = np.random.default_rng(0).random((1, 3, 50, 60)).astype(np.float32)
    images.write(tmp_path / "a.png", given)
    words = (
        "image=file",
        f"image.path={tmp_path / 'a.png'}",
        "image.box=[4,6,50,40]",
        "image.shrink_to=null",
        "tiles=32",
    )
    done = derived(run_tiles, tmp_path, *words, "optim.steps=2", "rivals=none")
    made = page_of(tmp_path, done)
    assert made.pair == (kinds.OBSERVATION, done["result"])
    observation = next(side.image for side in made.sides if side.name == kinds.OBSERVATION)
    expected = np.round(given[0, :, 6:46, 4:54].transpose(1, 2, 0) * 255)
    np.testing.assert_array_equal(np.asarray(observation), expected.astype(np.uint8))
    right, bottom = (
        max(side) for side in zip(*((b.left + b.width, b.top + b.height) for b in made.boxes), strict=True)
    )
    assert (right, bottom) == observation.size
    assert min(box.left for box in made.boxes) == min(box.top for box in made.boxes) == 0


def test_a_page_that_cannot_be_written_costs_no_run_and_the_command_writes_it(
    run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    words = ("task=denoise", "optim.steps=5", "rivals=none")
    with monkeypatch.context() as patch:

        def full(path: Path, text: str) -> None:
            raise OSError(28, "No space left on device")

        patch.setattr(page, "write_text", full)
        done = run(*words)
    folder = folder_of(tmp_path, done)
    assert not folder.page.exists()
    assert f"{folder.page} could not be made (" in capsys.readouterr().out
    assert folder.record() is not None
    assert not folder.saved.exist(), "the folder is tidied all the same"
    run(*words)
    assert folder.page.is_file()


def test_a_run_made_anew_has_a_new_page(run: Runner, tmp_path: Path):
    words = ("task=denoise", "optim.steps=5", "rivals=none")
    folder = folder_of(tmp_path, run(*words))
    before = folder.page.stat().st_mtime_ns
    run(*words)
    assert folder.page.stat().st_mtime_ns == before
    run(*words, "force=true")
    assert folder.page.stat().st_mtime_ns > before


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGES: dict[str, Callable[[Path], object]] = {
    "arrays cut short": lambda folder: _cut(folder / "outputs.npz"),
    "arrays emptied": lambda folder: (folder / "outputs.npz").write_bytes(b""),
    "an iterate cut short": lambda folder: _cut(folder / "snapshots/000005.png"),
    "no numbers in the curve": lambda folder: (folder / "history.csv").write_text("step,loss\na,b\n"),
    "no curve at all": lambda folder: (folder / "history.csv").write_bytes(b"\xff\xfe"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_whatever_is_wrong_with_its_files_a_finished_run_is_finished(
    damage: str, run: Runner, tmp_path: Path, capsys: pytest.CaptureFixture
):
    words = ("task=denoise", "optim.steps=5", "rivals=none")
    folder = folder_of(tmp_path, run(*words))
    folder.page.unlink()
    DAMAGES[damage](folder.path)
    folder.checkpoint.write_bytes(b"left behind")
    capsys.readouterr()
    run(*words)
    assert f"{folder.page} could not be made (" in capsys.readouterr().out
    assert not folder.page.exists()
    assert not folder.checkpoint.exists(), "the folder is tidied all the same"


def test_files_that_are_no_iterates_are_left_alone(run: Runner, tmp_path: Path):
    done = run("task=denoise", "optim.steps=5", "rivals=none")
    snapshots = folder_of(tmp_path, done).path / "snapshots"
    for name in ("._000001.png", "000001 (1).png", "notes.png"):
        (snapshots / name).write_bytes(b"none")
    assert [one.step for one in page_of(tmp_path, done).iterates] == [1, 2, 5]


def test_nothing_is_done_in_the_folder_of_a_run_that_somebody_else_is_at(run: Runner, tmp_path: Path):
    words = ("task=denoise", "optim.steps=5", "rivals=none")
    folder = folder_of(tmp_path, run(*words))
    folder.page.unlink()
    half = folder.path / ".0123.part"
    half.write_bytes(b"being written")
    lock = folder.lock(lambda: pytest.fail("it was free"))
    try:
        run(*words)
        assert half.exists()
        assert not folder.page.exists()
    finally:
        lock.release()
    run(*words)
    assert not half.exists()
    assert folder.page.is_file()


def test_a_configuration_is_printed_as_it_is_whatever_it_holds(run: Runner, tmp_path: Path):
    done = run("task=denoise", "optim.steps=2", "rivals=none")
    done["config"]["image"]["path"] = "a ${b} *c &d <e>: é"
    assert yaml.safe_load(page_of(tmp_path, done).config) == done["config"]


def test_a_merged_picture_may_be_larger_than_what_is_read_from_outside(tmp_path: Path):
    side = math.isqrt(MAX_PIXELS) + 8
    Image.new("L", (side, side), 200).save(tmp_path / "a.png", compress_level=1)
    image, size = opened(tmp_path / "a.png")
    assert size == (side, side)
    assert max(image.size) < 2000
    assert image.getpixel((5, 5)) == 200


def test_a_picture_that_is_damaged_anywhere_is_refused_in_words(tmp_path: Path):
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    path = tmp_path / "a.png"
    Image.fromarray(noise).save(path)
    whole = path.read_bytes()
    second = whole.index(b"IDAT", whole.index(b"IDAT") + 4)
    for damaged in (b"none", whole[:500], whole[:second] + b"\xff\xff\xff\xff" + whole[second + 4 :]):
        path.write_bytes(damaged)
        with pytest.raises((OSError, ValueError)):
            opened(path)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16", "1"])
def test_a_picture_of_any_mode_is_opened_as_eight_bits(mode: str, tmp_path: Path):
    white = Image.fromarray(np.full((6, 4), 65535, np.uint16)) if mode == "I;16" else Image.new(mode, (4, 6), "white")
    white.save(tmp_path / "a.png")
    image, size = opened(tmp_path / "a.png")
    assert size == (4, 6)
    assert image.mode in ("L", "RGB")
    assert (np.asarray(image) == 255).all()


def test_the_page_of_a_mean_says_what_is_its_own(tmp_path: Path):
    done = derived(run_mean, tmp_path, "task=denoise", "optim.steps=5", "runs=2", "rivals=none")
    made = page_of(tmp_path, done)
    assert "steps" not in made.subtitle
    assert not {"steps", "ended", "peak memory"} & {name for one in made.facts for name, _ in one.rows}
