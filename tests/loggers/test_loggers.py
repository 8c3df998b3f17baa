"""W&B is a window: it changes no pixel, needs no network, and its loss is no run's loss."""

import contextlib
import json
import os
import signal
import time
from pathlib import Path

import pytest

from dip_exp.loggers import wandb
from dip_exp.loggers.logger import Run
from dip_exp.loggers.wandb import Wandb, _WandbSession, _WandbWatch
from tests import warm
from tests.conftest import Runner


@pytest.fixture(autouse=True)
def _no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "config"))


def offline_runs(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("offline-run-*") if path.is_dir())


def written(path: Path, last: bytes, seconds: float = 30) -> bytes:
    """Returns the records of a .wandb file once `last` is among them: W&B's own process writes it, and `finish`
    returns before that process has let go of the file."""
    until = time.monotonic() + seconds
    while last not in (data := records(path)) and time.monotonic() < until:
        time.sleep(0.05)
    return data


def records(path: Path) -> bytes:
    """Returns what a .wandb file holds: a LevelDB log, whose blocks of 32 KiB may cut a text in two with a header."""
    data, place, found = path.read_bytes(), 7, b""
    while place < len(data):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        length = int.from_bytes(data[place + 4 : place + 6], "little")
        found += data[place + 7 : place + 7 + length]
        place += 7 + length
    return found


def test_an_offline_run_holds_curve_pictures_and_table(run: Runner, tmp_path: Path):
    folder = tmp_path / "wandb"
    done = run("logger=wandb", f"logger.folder={folder}", "logger.every=2", "task=superres")
    (window,) = offline_runs(folder)
    assert window.name.endswith(f"{done['run_id']}-1")
    data = written(next(window.glob("*.wandb")), b"stopped/ssim")
    for text in (b"psnr_average", b"ssim_average", b"iteration", b"stopped/ssim", b"task:superres", b"skip_tiny"):
        assert text in data, text
    names = {path.name.split("_")[0] for path in (window / "files/media/images").rglob("*.png")}
    assert {"x", "average"} <= names
    assert list((window / "files/media/table").rglob("scores*"))


def test_watching_changes_nothing_and_each_run_is_its_own(run: Runner, tmp_path: Path):
    folder = tmp_path / "wandb"
    plain = run()
    watched = run("logger=wandb", f"logger.folder={folder}", "force=true")
    assert watched["scores"] == plain["scores"]
    run("logger=wandb", f"logger.folder={folder}", "seed=1")
    assert len({path.name.split("-")[-2] for path in offline_runs(folder)}) == 2


def test_online_without_an_account_goes_on_offline(run: Runner, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    folder = tmp_path / "wandb"
    run("logger=wandb", "logger.mode=online", f"logger.folder={folder}")
    assert "no W&B account is set up here" in caplog.text
    assert len(offline_runs(folder)) == 1


def test_a_service_that_does_not_answer_costs_a_message(
    run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    folder = tmp_path / "wandb"
    monkeypatch.setattr(wandb, "_has_key", lambda: True)
    honest = Wandb._logger

    def unreachable(self: Wandb, about: Run, *, offline: bool):
        if not offline:
            raise RuntimeError("no route to host")
        return honest(self, about, offline=offline)

    monkeypatch.setattr(Wandb, "_logger", unreachable)
    assert run("logger=wandb", "logger.mode=online", f"logger.folder={folder}")["scores"]
    assert "W&B did not answer (no route to host): going on offline" in caplog.text


def test_a_window_that_breaks_in_mid_run_costs_a_message(
    run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def broken(*_: object) -> None:
        raise RuntimeError("socket closed")

    monkeypatch.setattr(_WandbWatch, "_tell", broken)
    monkeypatch.setattr(_WandbSession, "_show", broken)
    assert run("logger=wandb", f"logger.folder={tmp_path / 'wandb'}")["scores"]
    assert "W&B failed (socket closed)" in caplog.text


def test_a_place_that_cannot_be_written_costs_a_message(run: Runner, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "file").write_text("")
    assert run("logger=wandb", f"logger.folder={tmp_path / 'file/wandb'}")["scores"]
    assert "W&B did not answer" in caplog.text
    assert "going on without it" in caplog.text


@pytest.mark.long
def test_a_service_that_is_killed_costs_one_message_and_no_traceback(tmp_path: Path):
    """The process of W&B's that writes its files, killed outright in the middle of a run."""
    words = ["task=denoise", "arch=pixels", "image.shrink_to=32", "optim.steps=1500", "trainer.progress=off"]
    process = warm.Started([*words, "logger=wandb", f"logger.folder={tmp_path}/wandb"], tmp_path)
    deadline = time.monotonic() + 60
    while not (_has_begun(tmp_path) and (services := _services(tmp_path))):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for service in services:
        os.kill(service, signal.SIGKILL)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert err.count("logger: W&B failed") == 1
    assert "Traceback" not in err
    (record,) = tmp_path.glob("results/runs/*/record.json")
    assert json.loads(record.read_text())["steps"] == 1500


def _has_begun(folder: Path) -> bool:
    return any(path.read_text().count("\n") > 2 for path in folder.glob("results/runs/*/history.csv"))


def _services(folder: Path) -> list[int]:
    """Returns the processes of W&B's that have a run's file in the folder open."""
    found = []
    for links in Path("/proc").glob("[0-9]*/fd"):
        with contextlib.suppress(OSError):
            if any(str(folder) in str(link.readlink()) and link.name != "cwd" for link in links.iterdir()):
                found.append(int(links.parent.name))
    return [number for number in found if "wandb" in Path(f"/proc/{number}/cmdline").read_text()]
