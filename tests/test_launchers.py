"""What runs a multirun's jobs changes where they run, never what they come to; searches; two processes at one run."""

import contextlib
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from dip_exp import cli, config
from dip_exp.errors import Failed, Interrupted, Refused
from dip_exp.runs.folder import RunFolder
from tests.conftest import ROOT, SMOKE, Runner

LAUNCHED = tuple(word for word in SMOKE if word not in ("threads=1", "trainer.progress=off"))
"""Without what a launcher sets itself."""

SLURM = pytest.mark.skipif(shutil.which("sbatch") is None, reason="there is no SLURM here (sbatch)")
RAY = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed here (pip install -e '.[ray]')")


def start(*words: str, cwd: Path) -> subprocess.Popen:
    command = [sys.executable, str(ROOT / "run.py"), *words]
    return subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def command(*words: str, cwd: Path) -> tuple[int, str, str]:
    process = start(*words, cwd=cwd)
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err


def records(results: Path) -> dict[str, dict]:
    return {path.parent.name: json.loads(path.read_text()) for path in (results / "runs").glob("[!.]*/record.json")}


def check_jobs_of(tmp_path: Path, run: Runner, *launcher: str) -> tuple[str, str]:
    """Three jobs, the middle one refused: the others give the bits of this process. Returns what was said."""
    words = [*LAUNCHED, *launcher, "results=there", "task=superres", "task.factor=2,64,4"]
    status, out, err = command("-m", *words, cwd=tmp_path)
    assert status == 1, err
    assert "superres: factor is 64" in err
    assert "a job of this multirun ended without a record" in err
    assert "Traceback" not in err
    assert "ickl" not in err
    expected = {done["run_id"] for done in (run("task=superres", f"task.factor={factor}") for factor in (2, 4))}
    theirs = records(tmp_path / "there")
    assert set(theirs) == expected
    for run_id, done in theirs.items():
        assert done["threads"] == 1
        ours = np.load(tmp_path / "results/runs" / run_id / "outputs.npz")
        found = np.load(tmp_path / "there/runs" / run_id / "outputs.npz")
        assert set(ours) == set(found)
        for kind in ours:
            np.testing.assert_array_equal(ours[kind], found[kind])
    return out, err


# -- launchers ---------------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_joblib_goes_on_past_a_refused_job_and_every_job_is_heard(tmp_path: Path, run: Runner):
    """Without a job that computes, which would take each worker seconds to get ready for."""
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="pip install -e '.[joblib]'")
    for seed in (0, 1):
        run(f"seed={seed}")
    words = [*LAUNCHED, "launcher=joblib", "hydra.launcher.n_jobs=2", "seed=0,-1,1"]
    status, out, err = command("-m", *words, cwd=tmp_path)
    assert status == 1
    assert err.count("error: seed: given -1") == 1
    assert err.count("a job of this multirun ended without a record; its message is above") == 1
    assert "Traceback" not in err
    assert out.count("already finished") == 2


@pytest.mark.slow
def test_joblib_gives_the_same_bits(tmp_path: Path, run: Runner):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="pip install -e '.[joblib]'")
    out, err = check_jobs_of(tmp_path, run, "launcher=joblib", "hydra.launcher.n_jobs=2")
    assert err.count("superres: factor is 64") == 1
    assert out.count("superres of astronaut with skip_tiny") == 2
    assert out.count("classical: bicubic") == 2


@SLURM
@pytest.mark.slow
def test_slurm_gives_the_same_bits_and_goes_on_past_a_refusal(tmp_path: Path, run: Runner):
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="pip install -e '.[slurm]'")
    out, err = check_jobs_of(tmp_path, run, "launcher=submitit", "threads=1", "hydra.launcher.mem_gb=2")
    assert "#2 : " in out
    logs = sorted((tmp_path / "there").glob("multirun/*/.submitit/*/*_log.out"))
    assert len(logs) == 3
    assert str(logs[0].parent.parent.relative_to(tmp_path)) in err
    assert "classical: bicubic" in logs[0].read_text()


@RAY
@pytest.mark.slow
def test_ray_gives_the_same_bits_goes_on_past_a_refusal_and_is_heard(tmp_path: Path, run: Runner):
    out, _ = check_jobs_of(tmp_path, run, "launcher=ray")
    assert "superres of astronaut with skip_tiny" in out


@pytest.mark.parametrize("launcher", ["joblib", "submitit", "ray"])
def test_a_launcher_says_how_many_threads_a_job_has(launcher: str):
    settings = OmegaConf.load(ROOT / f"conf/launcher/{launcher}.yaml")
    assert settings.threads >= 1  # 0, all cores, would have the jobs of one machine slow each other down
    asked = {"submitit": settings.hydra.launcher.get("cpus_per_task"), "joblib": settings.threads}
    assert asked.get(launcher, OmegaConf.select(settings, "hydra.launcher.ray.remote.num_cpus")) == settings.threads


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("launcher=joblib", "hydra-joblib-launcher is not installed  [pip install -e '.[joblib]']"),
        ("launcher=submitit", "[pip install -e '.[slurm]']"),
        ("launcher=ray", "[pip install -e '.[ray]']"),
        ("experiment=search_denoise", "[pip install -e '.[optuna]']"),
    ],
)
def test_a_plugin_that_is_not_installed_is_named_with_its_extra(
    word: str, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    def absent(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr(cli, "version", absent)
    assert text in refusal(["-m", word, "seed=0,1"], monkeypatch, capsys)


def test_where_there_is_no_slurm_that_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    monkeypatch.setattr(cli, "version", lambda package: "1")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert "sbatch and srun not found" in refusal(["-m", "launcher=submitit"], monkeypatch, capsys)


def refusal(words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> str:
    monkeypatch.setattr(sys, "argv", ["run.py", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == cli.REFUSED
    return capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ending_the_process_that_launched_ends_its_jobs(tmp_path: Path, number: int):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="pip install -e '.[joblib]'")
    words = ["launcher=joblib", "hydra.launcher.n_jobs=2", "logger=csv", "logger.every=1", "optim.steps=100000"]
    process = start("-m", *LAUNCHED, *words, "seed=0,1,2", cwd=tmp_path)
    wait_for(tmp_path, "history.csv", 2)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)  # which also waits for every process that could still write there
    assert process.returncode == cli.INTERRUPTED
    assert "the same command goes on from what was saved" in err
    assert "Traceback" not in err


@pytest.mark.long
def test_a_launcher_that_loses_a_process_says_so_and_the_same_command_goes_on(tmp_path: Path):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="pip install -e '.[joblib]'")
    words = ["launcher=joblib", "hydra.launcher.n_jobs=2", "logger=csv", "logger.every=1", "seed=0,1,2"]
    process = start("-m", *LAUNCHED, *words, "optim.steps=100000", "trainer.checkpoint_seconds=0.1", cwd=tmp_path)
    wait_for(tmp_path, "checkpoint.pt", 2)
    os.kill(_workers(tmp_path)[0], signal.SIGKILL)
    _, err = process.communicate(timeout=120)
    assert process.returncode == cli.FAILED
    assert "error: a process of the launcher's is gone" in err
    assert "the same command goes on from what was saved" in err
    assert "Traceback" not in err
    assert not records(tmp_path / "results")
    assert len(list((tmp_path / "results/runs").glob("*/checkpoint.pt"))) == 2


def _workers(folder: Path) -> list[int]:
    """Returns the processes that do a job of a launcher's in this folder."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (place / "cwd").readlink() == folder and "--process-name" in (place / "cmdline").read_text():
                found.append(int(place.name))
    return found


@pytest.mark.parametrize("kind", [Refused, Failed, Interrupted])
def test_what_a_job_raises_comes_whole_from_another_process(kind: type[BaseException]):
    back = pickle.loads(pickle.dumps(kind("image: no")))
    assert type(back) is kind
    assert str(back) == "image: no"


# -- two processes at one run ------------------------------------------------------------------------------------------


def test_a_killed_process_lets_go_of_its_lock(tmp_path: Path):
    take = "from pathlib import Path; from dip_exp.runs.folder import RunFolder; import time; "
    take += "held = RunFolder(Path(), 'run').lock(print); print('taken', flush=True); time.sleep(60)"
    words = [sys.executable, "-c", take]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "taken\n"
        told = []

        def waiting() -> None:
            told.append(holder.poll())
            holder.kill()

        RunFolder(tmp_path, "run").lock(waiting).release()
        assert told == [None]
        assert holder.wait(10) == -signal.SIGKILL


@pytest.mark.slow
def test_two_processes_that_start_one_run_leave_one_record(tmp_path: Path):
    both = [start(*SMOKE, "optim.steps=200", cwd=tmp_path) for _ in range(2)]
    ends = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], ends
    (done,) = records(tmp_path / "results").values()
    assert done["attempt"] == 1
    said = [out for out, _ in ends]
    assert sum("another process is at this run: waiting for it" in out for out in said) <= 1
    assert sum("already finished" in out for out in said) == 1


@pytest.mark.slow
def test_a_run_killed_outright_is_gone_on_with(tmp_path: Path):
    words = [*SMOKE, "logger=csv", "logger.every=1", "optim.steps=1500", "trainer.checkpoint_seconds=0.1"]
    process = start(*words, cwd=tmp_path)
    wait_for(tmp_path, "checkpoint.pt", 1)
    process.kill()
    process.communicate(timeout=60)
    assert not records(tmp_path / "results")
    status, out, err = command(*words, cwd=tmp_path)
    assert status == 0, err
    assert "going on from the checkpoint" in out
    assert "another process" not in out
    (done,) = records(tmp_path / "results").values()
    assert done["attempt"] == 2


def wait_for(tmp_path: Path, name: str, number: int) -> None:
    deadline = time.monotonic() + 90
    while len(list((tmp_path / "results/runs").glob(f"*/{name}"))) < number:
        assert time.monotonic() < deadline, f"no {name} after 90 s"
        time.sleep(0.05)


# -- searches ----------------------------------------------------------------------------------------------------------


def test_the_search_is_on_the_tuning_picture_and_of_settings_there_are():
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason="pip install -e '.[optuna]'")
    cfg = config.compose(["experiment=search_denoise", "arch.down=[8,8,8,8,8]"], hydra_config=True)
    assert (cfg.image.name, cfg.scale.name) == ("coffee", "mini")
    assert cfg.hydra.sweeper.direction == "maximize"
    assert cfg.arch.up == [8, 8, 8, 8, 8]
    for key in cfg.hydra.sweeper.params:
        assert OmegaConf.select(cfg, key) is not None


@pytest.mark.slow
def test_a_search_finds_the_best_of_its_trials(tmp_path: Path):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason="pip install -e '.[optuna]'")
    words = ["experiment=search_denoise", "image.shrink_to=64", "optim.steps=5", "hydra.sweeper.n_trials=3"]
    status, out, err = command("-m", *words, *SMOKE[1:], cwd=tmp_path)
    assert status == 0, err
    assert "arning" not in err
    scores = [done["scores"]["stopped"]["psnr"] for done in records(tmp_path / "results").values()]
    (found,) = (tmp_path / "results").glob("multirun/*/optimization_results.yaml")
    assert len(scores) == 3
    assert OmegaConf.load(found).best_value == max(scores)
    assert f"Best value: {max(scores)}" in out


@pytest.mark.slow
def test_a_search_without_a_truth_is_refused(tmp_path: Path):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason="pip install -e '.[optuna]'")
    status, _, err = command("-m", "experiment=search_denoise", "image.role=observed", cwd=tmp_path)
    assert status == 1
    assert "image: a search wants scores, and an observed picture has no truth  [image.role=clean]" in err
    assert not (tmp_path / "results").exists()
