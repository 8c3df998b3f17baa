"""More steps: the longer run is the ordinary one, and going on from a shorter one changes no bit of it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dip_exp import images
from dip_exp.errors import Refused
from dip_exp.fit.generations import Generations
from dip_exp.fit.module import Fit
from dip_exp.runs.folder import RunFolder, lock_of
from tests.conftest import Runner


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the steps that are really taken."""
    steps: list[int] = []
    step = Fit.training_step

    def noting(self: Fit, batch: Any, batch_idx: int) -> None:
        steps.append(int(batch))
        step(self, batch, batch_idx)

    monkeypatch.setattr(Fit, "training_step", noting)
    return steps


@pytest.fixture
def own(run: Runner, tmp_path: Path) -> Callable[..., tuple[dict[str, Any], Path]]:
    """Runs a picture of the user's, in a results folder by its name, and returns the record and the run's folder."""
    path = images.write(tmp_path / "own.png", np.random.default_rng(3).random((1, 3, 24, 20)).astype(np.float32))

    def runner(results: str, *words: str) -> tuple[dict[str, Any], Path]:
        done = run("image=file", f"image.path={path}", f"results={tmp_path / results}", *words)
        return done, tmp_path / results / "runs" / done["run_id"]

    return runner


def same(one: Path, other: Path) -> None:
    """Asserts that two run folders hold the same pictures, arrays, snapshots and curve."""
    names = {path.relative_to(one) for path in one.rglob("*.png")}
    assert names == {path.relative_to(other) for path in other.rglob("*.png")}
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    left, right = (np.load(folder / "outputs.npz") for folder in (one, other))
    assert set(left) == set(right)
    for kind in left:
        np.testing.assert_array_equal(left[kind], right[kind], err_msg=kind)
    curve, whole = (pd.read_csv(folder / "history.csv").drop(columns="seconds") for folder in (one, other))
    pd.testing.assert_frame_equal(curve, whole, check_exact=True)


@pytest.mark.parametrize(
    "words",
    [
        ("task=superres",),
        ("task=denoise", "image.role=clean", "stop=fixed", "input.perturb_std=0.03"),
        ("task=denoise", "stop=emv"),
        ("task=denoise", "stop=heldout"),
        ("task=superres", "optim=muon"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("longer", ["more=13", "optim.steps=23"])
def test_going_on_equals_all_steps_at_once(own: Callable, taken: list[int], words: tuple[str, ...], longer: str):
    own("here", *words)
    taken.clear()
    on, here = own("here", *words, longer)
    assert taken == list(range(10, 23))
    whole, there = own("there", *words, "optim.steps=23")
    for key in ("run_id", "identity", "scores", "steps_of", "steps", "stop", "result", "rollbacks"):
        assert on[key] == whole[key], key
    same(here, there)


def test_it_goes_on_from_the_longest(own: Callable, taken: list[int], capsys: pytest.CaptureFixture):
    own("here", "task=superres")
    own("here", "task=superres", "more=5")
    taken.clear()
    done, _ = own("here", "task=superres", "more=15")
    assert (taken, done["steps"]) == (list(range(15, 25)), 25)
    assert "going on from the finished run of 15 steps" in capsys.readouterr().out


def test_a_run_of_another_setting_is_none_to_go_on_from(own: Callable, taken: list[int]):
    own("here", "task=superres")
    taken.clear()
    own("here", "task=superres", "optim.lr=0.02", "optim.steps=12")
    assert taken == list(range(12))
    taken.clear()
    own("here", "task=superres", "force=true", "optim.steps=12")
    assert taken == list(range(12))


def test_the_end_names_the_word_and_the_word_works(own: Callable, capsys: pytest.CaptureFixture):
    own("here", "task=superres")
    assert "more steps may still help: the same command with more=10 goes on from here" in capsys.readouterr().out
    own("here", "task=superres")
    assert "more=10 goes on from here" in capsys.readouterr().out
    own("here", "task=superres", "more=10")
    assert "more=20 goes on from here" in capsys.readouterr().out
    own("here", "task=superres", "input=classical")
    assert "more=" not in capsys.readouterr().out, "most was gained in the first steps"
    own("here", "task=denoise", "stop=emv")
    assert "the stop rule did not end within the steps it had: the same command with more=10" in capsys.readouterr().out
    own("here", "task=denoise", "stop=fixed")  # would fit the noise
    own("here", "task=superres", "optim.steps=9", "keep_state=false")
    assert "more" not in capsys.readouterr().out


def test_without_a_state_all_is_made_anew_and_said(own: Callable, taken: list[int], capsys: pytest.CaptureFixture):
    _, folder = own("here", "task=superres")
    (folder / "state.pt").unlink()
    taken.clear()
    own("here", "task=superres", "more=2")
    assert taken == list(range(12))
    said = capsys.readouterr().out
    assert "more: the run of 10 steps has no state.pt to go on from (keep_state=true keeps it); all 12" in said
    own("there", "task=superres", "more=2")
    assert "more: there is no finished run of 10 steps; all 12 steps are made" in capsys.readouterr().out


def test_a_damaged_state_is_not_gone_on_from(own: Callable, taken: list[int], capsys: pytest.CaptureFixture):
    _, folder = own("here", "task=superres")
    (folder / "state.pt").write_bytes((folder / "state.pt").read_bytes()[:-9])
    taken.clear()
    own("here", "task=superres", "more=2")
    assert taken == list(range(12))
    assert "more: the run of 10 steps has a damaged state.pt; all 12 steps are made anew" in capsys.readouterr().out


def test_what_a_killed_process_left_of_a_finished_run_is_tidied_by_the_next(own: Callable, taken: list[int]):
    """Killed after the record and before the rest, or while it wrote a picture."""
    _, folder = own("here", "task=superres")
    (folder / "state.pt").rename(folder / "checkpoint.pt")
    (folder / "current.png").write_bytes(b"x")
    (folder / "snapshots/.0123.part").write_bytes(b"x")
    own("here", "task=superres")
    names = {path.name for path in folder.rglob("*")}
    assert "state.pt" in names
    assert not names & {"checkpoint.pt", "checkpoint.before.pt", "current.png", ".0123.part"}
    taken.clear()
    own("here", "task=superres", "more=2")
    assert taken == [10, 11]


def test_a_finished_run_that_another_process_is_at_is_told_of_and_left_alone(own: Callable):
    """A forced run that has just begun, and has not moved this one aside yet, will write here."""
    done, folder = own("here", "task=superres")
    left = [folder / ".0123.part", folder / "checkpoint.pt", folder.with_name(f".{folder.name}.before") / "x.png"]
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    with lock_of(folder.parents[1], folder.name):
        assert own("here", "task=superres")[0] == done
        assert all(path.exists() for path in left)
    assert own("here", "task=superres")[0] == done
    assert not any(path.exists() for path in left)


def test_what_a_forced_run_has_put_aside_meanwhile_is_left_alone(own: Callable, monkeypatch: pytest.MonkeyPatch):
    """It begins when the record of this one has just been read, and is killed at its first checkpoint."""
    done, folder = own("here", "task=superres")
    aside = folder.with_name(f".{folder.name}.before")
    read = RunFolder.record

    def reading(self: RunFolder) -> Any:
        record = read(self)
        self.begin(afresh=True)
        self.saved.write(b"some steps")
        return record

    monkeypatch.setattr(RunFolder, "record", reading)
    assert own("here", "task=superres")[0] == done
    assert (folder / "checkpoint.pt").exists()
    assert (aside / "before.record.json").exists()


def test_a_finished_run_whose_lock_cannot_be_made_is_told_of(own: Callable):
    """A folder of results that is read-only, and was never locked."""
    done, folder = own("here", "task=superres")
    locks = folder.parents[1] / ".locks"
    shutil.rmtree(locks)
    locks.write_bytes(b"")  # no folder can be made in its place, not even by root
    assert own("here", "task=superres")[0] == done


def test_tidying_twice_keeps_the_last_state(own: Callable):
    """Killed between the two: the checkpoint before the last one is still there."""
    _, folder = own("here", "task=superres")
    state = (folder / "state.pt").read_bytes()
    older = Generations(folder / "older.pt")
    older.write(b"an older one")
    older.path.rename(folder / "checkpoint.before.pt")
    own("here", "task=superres")
    assert (folder / "state.pt").read_bytes() == state
    assert not (folder / "checkpoint.before.pt").exists()


def test_a_run_that_its_rule_ended_has_no_more(own: Callable):
    words = ("task=denoise", "stop=plateau", "stop.window=10", "stop.fall=0.9", "optim.steps=60")
    done, folder = own("here", *words)
    assert done["stop"]["ended"]
    before = sorted(folder.parent.iterdir())
    with pytest.raises(Refused, match=rf"more: .*at most 60 steps was ended by its stop rule after {done['steps']} "):
        own("here", *words, "more=100")
    assert sorted(folder.parent.iterdir()) == before


def test_samples_begin_after_a_share_of_all_steps_so_they_are_made_anew(own: Callable, taken: list[int]):
    own("here", "task=denoise", "optim=sgld", "stop=fixed", "optim.sample_every=2")
    taken.clear()
    own("here", "task=denoise", "optim=sgld", "stop=fixed", "optim.sample_every=2", "more=2")
    assert taken == list(range(12))


def test_only_own_pictures_keep_their_state_unless_asked(run: Runner, own: Callable, tmp_path: Path):
    _, folder = own("here")
    assert (folder / "state.pt").is_file()
    assert not (folder / "checkpoint.pt").exists()
    for words, kept in (((), False), (("keep_state=true", "seed=1"), True)):
        done = run(*words)
        assert (tmp_path / "results" / "runs" / done["run_id"] / "state.pt").is_file() == kept
        assert (
            "more" in json.loads((tmp_path / "results" / "runs" / done["run_id"] / "record.json").read_text())["config"]
        )


def test_a_state_is_that_of_the_moment_before_the_end(own: Callable, monkeypatch: pytest.MonkeyPatch):
    """Also after a failure between the last step and the record, when the resumed run takes no step."""
    from dip_exp.runs import run as module

    def full(*_: object) -> None:
        raise OSError("disk full")

    words = ("task=denoise", "image.role=clean", "stop=fixed")
    with monkeypatch.context() as patch:
        patch.setattr(module, "write", full)
        with pytest.raises(Exception, match="disk full"):
            own("here", *words)
    own("here", *words)
    _, here = own("here", *words, "more=3")
    _, there = own("there", *words, "optim.steps=13")
    same(here, there)


@pytest.mark.parametrize("given", ["0", "-5"])
def test_fewer_than_one_are_refused(own: Callable, given: str):
    with pytest.raises(Refused, match=f"more: given {given}; must be a whole number from 1"):
        own("here", f"more={given}")
