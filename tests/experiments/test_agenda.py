"""A campaign starts what fits, ends in order, loses nothing to a kill, and says what is left."""

import json
import math
import os
import runpy
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dip_exp import cli, leash
from dip_exp.errors import Refused
from dip_exp.experiments import agenda, collect, launch, plan, processes, sweeps
from dip_exp.experiments.agenda import Agenda
from dip_exp.runs.folder import RunFolder, lock_of
from tests.conftest import A_RECORD, ROOT, SMOKE
from tests.test_launchers import RAY, wait_for

NAMES = ["fig2_curves", "fig6_region"]
"""Four runs, and after them two."""

HOUR = 3600.0


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Agenda]:
    """Makes an agenda of six runs whose estimates are given, with nothing in any table unless it is collected."""

    def maker(*seconds: float | Refused | None, launcher: str = "local", words: tuple[str, ...] = ()) -> Agenda:
        ask = launch.Ask("mini", launcher=launcher, results=tmp_path, overrides=words)
        listed = [entry.run_id for entry in plan.entries(NAMES, ask)]

        def estimate(job: sweeps.Job, ask: launch.Ask, known: dict[str, float]) -> float | None:
            one = seconds[listed.index(job.run_id) % len(seconds)]
            if isinstance(one, Refused):
                raise one
            return one

        monkeypatch.setattr(launch, "estimate", estimate)
        return Agenda(NAMES, ask)

    return maker


def finish(work: Agenda, entry: plan.Entry, seconds: float) -> None:
    folder = RunFolder(work.ask.results, entry.run_id)
    folder.path.mkdir(parents=True)
    folder.finish({**A_RECORD, "seconds": seconds})


# -- what is started ---------------------------------------------------------------------------------------------------


def test_the_first_run_that_fits_is_next_and_one_that_does_not_is_passed_over(make: Callable):
    work = make(HOUR, 60, 2 * HOUR, 50, 70, None)
    entries = work.entries
    assert work.take(3 * HOUR, set()) == [entries[0]]
    assert work.take(3 * HOUR, {entries[0].run_id}) == [entries[1]]
    assert work.take(100, set()) == [entries[1]]
    assert work.take(55, set()) == [entries[3]]
    assert work.take(10, set()) is None
    assert work.take(math.inf, {entry.run_id for entry in entries[:5]}) is None  # the sixth's pictures are not here


def test_a_run_that_another_process_is_at_is_passed_over_and_waited_for_when_it_is_the_last(make: Callable):
    work = make(60)
    entries = work.entries
    lock = lock_of(work.ask.results, entries[0].run_id)
    with lock:
        assert work.take(HOUR, set()) == [entries[1]]
        assert work.take(HOUR, {entry.run_id for entry in entries[1:]}) == []
    assert work.take(HOUR, set()) == [entries[0]]
    finish(work, entries[0], 60)
    assert work.take(HOUR, set()) == [entries[1]]


def test_a_run_that_is_refused_is_told_of_and_the_others_go_on(make: Callable, capsys: pytest.CaptureFixture):
    work = make(Refused("image: too small"), *[60] * 5)
    assert work.take(HOUR, set()) == [work.entries[1]]
    assert capsys.readouterr().out.count("image: too small") == 1
    assert "failed: fig2_curves image=astronaut task.target=natural seed=0: image: too small" in agenda.summary(
        work, None
    )


def test_what_a_checkpoint_has_need_not_fit_again(make: Callable):
    work = make(HOUR)
    first = work.entries[0]
    assert work.take(HOUR / 2, set()) is None
    folder = RunFolder(work.ask.results, first.run_id)
    folder.path.mkdir(parents=True)
    import torch

    torch.save({"start": 750}, folder.checkpoint)
    assert work.seconds(work.look(first)) == HOUR / 4
    (taken,) = work.take(HOUR / 2, set())
    assert (taken.run_id, taken.done) == (first.run_id, 750)


def test_what_was_measured_corrects_later_estimates(make: Callable, monkeypatch: pytest.MonkeyPatch):
    work = make(HOUR)
    monkeypatch.setattr(collect, "collect", lambda *_: [])
    first, second, *_ = work.entries
    finish(work, first, 2 * HOUR)
    work.settle([first], "exit status 0")
    assert work.finished == [first.run_id]
    factor = (2 * HOUR + agenda.BELIEVED_SECONDS) / (HOUR + agenda.BELIEVED_SECONDS)
    assert work.seconds(second) == pytest.approx(HOUR * factor)
    assert 1.8 < factor < 2
    tiny = agenda.Pace(estimated=1, measured=20)
    assert tiny.factor < 1.1


@pytest.mark.parametrize("count", [1, 2])
def test_a_launcher_is_given_the_sweep_of_the_runs_that_fit(
    make: Callable, monkeypatch: pytest.MonkeyPatch, count: int
):
    monkeypatch.setattr(os, "cpu_count", lambda: 4 * count)
    work = make(60, launcher="joblib")
    entries = work.entries
    assert (work.lanes.children, work.lanes.jobs) == (2, 2 * count)
    jobs = work.take(HOUR, set())
    assert jobs == entries[:4]
    assert work.take(HOUR, {entry.run_id for entry in jobs}) == entries[4:]
    words = processes.command(jobs, work.ask, work.lanes)
    assert words[1:4] == ["-m", "dip_exp.leash", "-m"]
    assert f"hydra.launcher.n_jobs={2 * count}" in words
    swept = [word for word in words[4:] if not word.startswith(("experiment=", "scale=", "results="))]
    assert {job.run_id for job in sweeps.jobs("fig2_curves", "mini", 1, swept)} == {entry.run_id for entry in jobs}


def test_a_sweep_is_no_larger_than_the_time_left(make: Callable, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    work = make(100, launcher="joblib")
    assert work.lanes.jobs == 1
    assert work.take(250, set()) == work.entries[:2]


@pytest.mark.parametrize("launcher", ["submitit", pytest.param("ray", marks=RAY)])
def test_a_cluster_is_given_multiruns_and_told_nothing_of_this_machine(make: Callable, launcher: str):
    work = make(60, launcher=launcher)
    words = processes.command(work.take(HOUR, set()), work.ask, work.lanes)
    assert f"launcher={launcher}" in words
    assert not any(word.startswith("hydra.launcher.n_jobs") for word in words)
    assert "task.target=natural,noisy,scrambled,uniform" in words


def test_settings_of_the_command_line_do_not_undo_a_jobs_own(make: Callable):
    work = make(60, words=("image=astronaut,chelsea", "trainer=cpu"))
    (job,) = work.take(HOUR, set())
    words = processes.command([job], work.ask, work.lanes)
    assert [word for word in words if word.startswith("image=")] == ["image=astronaut"]
    assert "trainer=cpu" in words


# -- how it ends -------------------------------------------------------------------------------------------------------


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Lets each run's process be a line of Python, which knows the run's folder as `folder`."""
    monkeypatch.setattr(collect, "collect", lambda *_: [])

    def set_to(code: str) -> None:
        def command(jobs: list[plan.Entry], ask: launch.Ask, own: agenda.Lanes) -> list[str]:
            folder = str(RunFolder(ask.results, jobs[0].run_id).path)
            start = (
                f"import os, signal, sys, time, pathlib; folder = pathlib.Path({folder!r}); folder.mkdir(parents=True)"
            )
            return [sys.executable, "-c", f"{start}\n{code}"]

        monkeypatch.setattr(processes, "command", command)

    return set_to


FINISHES = f"(folder / 'record.json').write_text({json.dumps({**A_RECORD, 'seconds': 1})!r})"
GOES_ON = "(folder / 'checkpoint.pt').write_text(''); time.sleep(60)"


def test_all_that_fits_is_run_in_order_and_a_failure_does_not_stop_it(
    make: Callable, children: Callable, capsys: pytest.CaptureFixture
):
    work = make(1, 1, 1, 1, 1, HOUR)
    broken = work.entries[1].run_id
    children(f"sys.exit(3) if {broken!r} in str(folder) else None; {FINISHES}")
    assert processes.carry_out(work, time.monotonic() + 100) is False
    order = [entry.run_id for entry in work.entries]
    assert work.finished == [order[0], *order[2:5]]
    assert set(work.failed) == {broken}
    said = capsys.readouterr().out
    assert "it ended without a record (exit status 3); its message is above" in said
    text = agenda.summary(work, None)
    assert "done: 4 of 6 runs, 4 of them in this campaign" in text
    assert "left: 2 runs, 0 of them begun; about 60 min here" in text


def test_at_the_end_of_the_hours_what_goes_on_is_told_to_end(make: Callable, children: Callable):
    work = make(1)
    children(GOES_ON)
    began = time.monotonic()
    assert processes.carry_out(work, began + 2) is False
    assert 2 <= time.monotonic() - began < 20
    first, *others = work.entries
    assert first.state == launch.BEGUN
    assert all(entry.state == launch.MISSING for entry in others)
    assert not work.failed


def test_a_child_that_does_not_end_is_killed(make: Callable, children: Callable, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(processes, "GRACE_SECONDS", 0.5)
    work = make(1)
    children(f"signal.signal(signal.SIGTERM, signal.SIG_IGN); {GOES_ON}")
    began = time.monotonic()
    processes.carry_out(work, began + 2)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_child_and_the_campaign(make: Callable, children: Callable, number: int, tmp_path: Path):
    work = make(1)
    children(GOES_ON)

    def interrupt() -> None:
        deadline = time.monotonic() + 30
        while not list(tmp_path.glob("runs/*/checkpoint.pt")) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=interrupt)
    before = signal.getsignal(number)
    thread.start()
    assert processes.carry_out(work, math.inf) is True
    thread.join()
    assert signal.getsignal(number) is before
    assert work.entries[0].state == launch.BEGUN
    assert not work.failed


def test_a_plan_says_what_fits_and_how_long_the_rest_takes(make: Callable):
    work = make(HOUR, HOUR, HOUR, 3 * HOUR, HOUR, None)
    lines = agenda.summary(work, 2.5 * HOUR).splitlines()
    ends = [line.split()[-2:] if line.split()[-1] == "min" else None for line in lines[2:8]]
    assert ends[0] == ["60", "min"]
    assert "2 h 0 min" in lines[3]
    assert "left: 6 runs, 0 of them begun; about 7 h 0 min here" in lines
    assert "      longer than these hours: 1 of them, the longest 3 h 0 min" in lines


# -- the script, as it is called ---------------------------------------------------------------------------------------

TINY = ("image.shrink_to=24", "arch=skip_tiny", "logger=csv", "logger.every=1", "trainer.progress=off")


def started(*words: str, cwd: Path, steps: int = 6) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / "scripts/campaign.py"), *words, "--results", "results", "--threads", "1"]
    command += ["--scale", "mini", "--set", *TINY, f"optim.steps={steps}"]
    return subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.long
def test_a_campaign_runs_collects_and_says_what_is_done(tmp_path: Path):
    process = started("fig6_region", "--hours", "1", cwd=tmp_path)
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert "done: 2 of 2 runs, 2 of them in this campaign" in out
    assert len(list(tmp_path.glob("results/runs/*/record.json"))) == 2
    assert "fig6_region" in (tmp_path / "results/tables/mini/jobs.csv").read_text()
    assert not (tmp_path / "results/multirun").exists()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["fig99"], "campaign: there is no 'fig99'; experiments are calibration"),
        (["--launcher", "submitit"], "launcher=submitit: SLURM's sbatch and srun not found here"),
        (["--hours", "0"], "campaign: --hours is 0; must be more than 0"),
        (["--hours", "nan"], "campaign: --hours is nan; must be more than 0"),
        (["--seeds", "0"], "campaign: --seeds is 0; must be 1 or more"),
        (["--threads", "-1"], "campaign: --threads is -1; must be 0 or more"),
    ],
)
def test_what_no_campaign_can_be_made_of_is_refused(
    words: list[str], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.setattr(sys, "argv", ["campaign.py", *words, "--results", str(tmp_path / "results"), "--nice", "0"])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    main = runpy.run_path(str(ROOT / "scripts/campaign.py"))["main"]
    assert main() == cli.REFUSED
    assert text in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_a_run_on_a_leash_ends_in_order_when_whoever_started_it_is_gone(tmp_path: Path):
    words = [sys.executable, "-m", "dip_exp.leash", *SMOKE, "optim.steps=100000", "logger=csv", "logger.every=1"]
    words.append(f"results={tmp_path / 'results'}")
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_for(tmp_path, "history.csv", 1)
        assert process.poll() is None
        assert process.stdin is not None
        process.stdin.close()  # as the kernel does it for a process that dies
        assert process.wait(60) == cli.INTERRUPTED
    assert len(list(tmp_path.glob("results/runs/*/checkpoint.pt"))) == 1


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_campaign_that_is_killed_is_gone_on_with_to_the_same_bits(tmp_path: Path, number: int):
    steps = 1500
    process = started("fig7_text", cwd=tmp_path, steps=steps)
    wait_for(tmp_path, "history.csv", 1)
    process.send_signal(number)
    process.communicate(timeout=100)
    wait_for(tmp_path, "checkpoint.pt", 1)
    assert not list(tmp_path.glob("results/runs/*/record.json"))
    again = started("fig7_text", cwd=tmp_path, steps=steps)
    out, err = again.communicate(timeout=400)
    assert again.returncode == 0, err
    assert "going on from the checkpoint of an interrupted run" in out
    whole = started("fig7_text", cwd=tmp_path_of(tmp_path, "whole"), steps=steps)
    whole.communicate(timeout=400)
    assert whole.returncode == 0
    (ours,), (theirs,) = (list(folder.glob("results/runs/*")) for folder in (tmp_path, tmp_path / "whole"))
    assert json.loads((ours / "record.json").read_text())["attempt"] == 2
    with np.load(ours / "outputs.npz") as a, np.load(theirs / "outputs.npz") as b:
        assert set(a) == set(b)
        for kind in a:
            np.testing.assert_array_equal(a[kind], b[kind])


def tmp_path_of(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_campaign_goes_over_joblib(tmp_path: Path):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="pip install -e '.[joblib]'")
    process = started("fig2_curves", "fig6_region", "--launcher", "joblib", "--hours", "1", cwd=tmp_path)
    out, err = process.communicate(timeout=800)
    assert process.returncode == 0, err
    assert "done: 6 of 6 runs, 6 of them in this campaign" in out
    assert len(list(tmp_path.glob("results/runs/*/record.json"))) == 6


@pytest.mark.skipif(not leash.AUTOGROUP.exists(), reason="this kernel shares no processors among sessions")
@pytest.mark.parametrize("niceness", [0, 7])
def test_a_niced_run_makes_its_session_as_nice(niceness: int):
    code = f"import os; os.nice({niceness}); from dip_exp import leash; leash.stand_back(); "
    code += "print(leash.AUTOGROUP.read_text())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, start_new_session=True, capture_output=True, text=True
    )
    whole = min(19, os.nice(0) + niceness)  # this process may be niced itself
    assert done.stdout.strip().endswith(f"nice {whole}"), done
