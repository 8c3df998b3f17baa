"""The command as a user gives it: exit statuses, messages, multiruns."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from dip_exp import images
from tests import warm
from tests.conftest import ROOT, SMOKE


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["task=nonsense"], "error: task=nonsense: there is no such option; task has denoise"),
        (["arch=nonsense"], "hourglass"),
        (["tsk=denoise"], "did you mean task?"),
        (["optim.lrr=1"], "did you mean optim.lr?"),
        (["scale=tiny"], "mini"),
        (["seed=x"], "seed"),
        (["image=file", "image.path=no such.png"], "no such.png"),
        (["image.path=."], "holds no picture"),
        (["image.path=a.png", "task.mask.path=m.png"], "task=denoise has no mask; task=inpaint has"),
        (["seed=null"], "seed"),
        (["arch.down=[8,8"], "arch.down"),
        (["results="], "a folder's name is needed"),
        (["logger=null"], "[logger=none]"),
        (["~seed"], "cannot be removed"),
    ],
)
def test_a_refused_run_says_why_in_a_few_lines_and_exits_2(words: list[str], text: str, tmp_path: Path):
    status, _, err = warm.run(*words, cwd=tmp_path)
    assert status == 2
    assert text in err
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_several_runs_end_with_their_mean(tmp_path: Path):
    status, out, err = warm.run(*SMOKE, "runs=2", f"results={tmp_path}")
    assert status == 0, err
    assert [line for line in out.splitlines() if line.startswith(("run ", "mean of"))] == [
        "run 1 of 2, seed 0",
        "run 2 of 2, seed 1",
        "mean of 2 runs, seeds 0, 1",
    ]
    assert len(list(tmp_path.glob("runs/*/record.json"))) == 3


def test_a_traceback_only_when_asked_for():
    assert "Traceback" in warm.run("image=file", "image.path=no.png", "traceback=true")[2]


def test_a_run_from_anywhere_ends_with_a_table_and_its_folder(tmp_path: Path):
    status, out, err = warm.run(*SMOKE, "task=superres", cwd=tmp_path)
    assert status == 0, err
    assert "superres of astronaut with skip_tiny (2,267 weights), 32x32 (clean: degraded here and scored), 10" in out
    assert " steps of adam in fp32 on cpu: " in out
    assert "classical: bicubic" in out
    folder = Path(out.strip().splitlines()[-1].split()[-1])
    assert (tmp_path / folder / "record.json").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"results"}


def test_a_multirun_goes_on_past_a_refused_job_and_exits_1(tmp_path: Path):
    status, _, err = warm.run("-m", *SMOKE, "task=superres", "task.factor=2,64,4", cwd=tmp_path)
    assert status == 1
    assert err.count("superres: factor is 64") == 1
    assert len(list((tmp_path / "results/runs").iterdir())) == 2


def test_a_folder_of_pictures_is_one_job_each_and_ends_with_a_table(tmp_path: Path):
    folder = tmp_path / "my, pictures [1]"
    folder.mkdir()
    for number, name in enumerate(("it's.png", "b=2.png")):
        x = np.random.default_rng(number).random((1, 3, 20, 20)).astype(np.float32)
        images.write(folder / name, x)
    (folder / "c.jpg").write_text("no picture")
    words = [*SMOKE, "image.shrink_to=null", f"image.path={folder}", "--out", "restored"]
    status, out, err = warm.run(*words, cwd=tmp_path)
    assert status == 1, err
    assert "denoise of it's with skip_tiny" in out
    assert "denoise of b=2 with skip_tiny" in out
    head, *rows, end = out.splitlines()[-5:]
    assert head.split() == ["file", "restored", "step", "PSNR", "dB", "time"]
    assert rows[0].startswith(f"{folder}/b=2.png ")
    assert rows[0].split()[-5:-2] == ["restored/b=2.png", "10", "-"]
    assert "not restored: " in rows[1]
    assert "restored/it's.png" in rows[2]
    assert end == "2 of 3 restored"
    assert {path.name for path in (tmp_path / "restored").iterdir()} == {"it's.png", "b=2.png"}
    assert out.startswith("3 pictures, one after the other: about ")


@pytest.mark.long
def test_a_write_the_system_refuses_ends_the_run_with_a_message_and_no_record(tmp_path: Path):
    """The kernel's own refusal (a limit on file sizes stands in for the full disk), not a simulated one."""
    code = "import resource as r; r.setrlimit(r.RLIMIT_FSIZE, (20_000, 20_000)); from dip_exp.cli import main; main()"
    words = [sys.executable, "-c", code, *SMOKE]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "results: writing to" in done.stderr
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("record.json"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_exits_130_and_can_be_resumed(tmp_path: Path, number: int):
    words = [*SMOKE, "optim.steps=3000", "logger=csv", "logger.every=1"]
    process = warm.Started(words, tmp_path)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        curves = list((tmp_path / "results/runs").glob("*/history.csv"))
        if curves and len(curves[0].read_text().splitlines()) > 10:
            break
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on from there" in err
    (folder,) = (tmp_path / "results/runs").iterdir()
    assert (folder / "checkpoint.pt").exists()
    assert not (folder / "record.json").exists()


def test_help_and_the_config_cost_little():
    status, out, _ = warm.run("--help")
    assert status == 0
    assert "superres" in out
    status, out, _ = warm.run("--cfg", "job", "--resolve", "scale=mini", "task=superres", "image.path=a b.png")
    assert status == 0
    assert "factor: 4" in out
    assert "path: a b.png" in out


def piped(line: str, cwd: Path, **environment: str) -> tuple[int, str, str]:
    """Runs a line of the shell in which $RUN is the command."""
    run = " ".join([sys.executable, str(ROOT / "run.py"), *SMOKE])
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"],
        cwd=cwd,
        env={**os.environ, "RUN": run, **environment},
        capture_output=True,
        timeout=200,
        check=False,
    )
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")


@pytest.mark.long
@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_console_that_lacks_a_letter_ends_nothing(tmp_path: Path, encoding: str):
    images.write(tmp_path / "日本語.png", np.random.default_rng(0).random((1, 3, 20, 20)).astype(np.float32))
    status, out, err = piped("$RUN image.path=日本語.png image.shrink_to=null", tmp_path, PYTHONIOENCODING=encoding)
    assert status == 0, err
    assert r"denoise of \u65e5\u672c\u8a9e with skip_tiny" in out
    assert len(list(tmp_path.glob("results/runs/*/restored.png"))) == 1


@pytest.mark.long
@pytest.mark.parametrize(
    ("line", "records"),
    [
        ("$RUN trainer.progress=auto | head -1", 1),
        ("$RUN trainer.progress=auto 2>&-", 1),
        ("$RUN trainer.progress=auto >&-", 1),
        ("$RUN --help | head -1", 0),
        ("$RUN --cfg job | head -1", 0),
    ],
)
def test_a_reader_that_has_gone_is_no_error(tmp_path: Path, line: str, records: int):
    status, out, err = piped(line, tmp_path)
    assert status == 0, err
    assert "rror" not in err
    assert "\r" not in out + err
    assert "\x1b" not in out + err
    assert len(list(tmp_path.glob("results/runs/*/record.json"))) == records


@pytest.mark.long
def test_a_script_takes_any_letter_and_a_reader_that_has_gone(tmp_path: Path):
    for name in ("ours", "truth"):
        (tmp_path / name).mkdir()
        images.write(tmp_path / name / "日本語.png", np.full((1, 3, 20, 20), 0.5, np.float32))
    script = f"{sys.executable} {ROOT}/scripts"
    line = f"{script}/score.py ours --truth truth --protocol rgb"
    assert piped(line, tmp_path, PYTHONIOENCODING="cp1252")[::2] == (0, "")
    line = f"{script}/sweep.py fig2_curves --dry-run --results {tmp_path / 'r'} | head -1"
    assert piped(line, tmp_path)[::2] == (0, "")


def test_a_swept_group_and_a_key_of_it_run(tmp_path: Path):
    words = ["-m", *SMOKE, "task=superres,superres_x8", "task.pair=consistent", "optim.steps=2"]
    status, _, err = warm.run(*words, cwd=tmp_path)
    assert status == 0, err
    found = [json.loads(path.read_text())["config"]["task"] for path in tmp_path.glob("results/runs/*/record.json")]
    assert sorted((task["factor"], task["pair"]) for task in found) == [(4, "consistent"), (8, "consistent")]


def test_a_refusal_with_standard_error_closed_exits_2(tmp_path: Path):
    assert piped("$RUN steps=10 2>&-", tmp_path)[:2] == (2, "")


def test_a_multirun_writes_under_results_alone_and_says_how_to_repeat_a_job(tmp_path: Path):
    """Nothing is made in the working folder, which may be unwritable. With a configuration of the user's own."""
    here, own, results = tmp_path / "here", tmp_path / "own", tmp_path / "elsewhere"
    (own / "stop").mkdir(parents=True)
    (own / "stop/mine.yaml").write_text("_target_: dip_exp.stopping.fixed.Fixed\n")
    here.mkdir()
    words = ["-m", *SMOKE, "seed=0,1", f"results={results}", "--config-dir", "../own", "stop=mine"]
    status, out, err = warm.run(*words, cwd=here)
    assert status == 0, out + err
    assert not list(here.iterdir())
    assert len(list(results.glob("multirun/*/multirun.yaml"))) == 1
    record = json.loads(next(results.glob("runs/*/record.json")).read_text())
    assert f"--config-dir {own}" in record["command"]
    again = shlex.split(record["command"])[2:]
    status, out, err = warm.run(*again, cwd=tmp_path)
    assert status == 0, err
    assert "already finished" in out


def test_the_version_is_ours(tmp_path: Path):
    status, out, _ = warm.run("--version", cwd=tmp_path)
    assert status == 0
    assert out == f"dip_exp {version('dip_exp')}\n"
