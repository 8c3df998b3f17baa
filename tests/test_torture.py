"""Runs that are killed at any moment, or whose disk is full, lose nothing: the short form of scripts/torture.py."""

import os
import signal
from pathlib import Path

import pytest

from dip_exp.errors import Interrupted
from dip_exp.fit.callbacks import write_curve
from dip_exp.runs.folder import RunFolder
from scripts import faults, torture
from tests import warm
from tests.conftest import ROOT
from tests.fit.test_module import At, make, run, same

COUNT = 8


@pytest.mark.long
@pytest.mark.parametrize("name", torture.COMMANDS)
def test_whatever_disturbs_a_run_it_ends_with_the_same_bits(name: str, tmp_path: Path):
    words = [str(COUNT), "--of", name, "--table", str(tmp_path / "torture.csv")]
    status, out, err = warm.run(*words, cwd=ROOT, script=ROOT / "scripts/torture.py")
    assert (status, err) == (0, ""), out + err
    rows = [row.split(",")[:4] for row in (tmp_path / "torture.csv").read_text().splitlines()[1:]]
    assert rows == [[name, kind, *[str(COUNT // 4)] * 2] for kind in torture.KINDS]


@pytest.mark.parametrize("kept_on", [True, False])
def test_steps_that_are_taken_again_are_noticed_although_their_bits_are_the_same(kept_on: bool, tmp_path: Path):
    folder = RunFolder(tmp_path, "0123456789ab")
    folder.path.mkdir(parents=True)
    assert torture.steps_kept(tmp_path) == {}
    with pytest.raises(Interrupted):
        run(make(), At(7, lambda _: os.kill(os.getpid(), signal.SIGINT)), checkpoint=folder.checkpoint)
    kept = torture.steps_kept(tmp_path)
    assert [len(seconds) for seconds in kept.values()] == [7]
    if not kept_on:
        folder.saved.drop()
    fitted = run(make(), checkpoint=folder.checkpoint)
    assert same(fitted, run(make()))
    write_curve(folder.path / "history.csv", fitted.rows)
    assert [folder.run_id in told for told in torture.taken_again(kept)] == ([] if kept_on else [True])


def test_every_change_of_a_folder_is_a_write(tmp_path: Path):
    """In a process of its own: an audit hook stays as long as its process."""
    seen, elsewhere = tmp_path / "seen", tmp_path / "elsewhere"
    seen.mkdir()
    child = os.fork()
    if child == 0:
        writes = faults.Writes(seen, lambda _: None)
        (seen / "a").write_text("x")  # 1
        (seen / "a").read_text()
        elsewhere.write_text("x")
        (seen / "a").rename(seen / "b")  # 2
        (seen / "c").mkdir()  # 3
        (seen / "b").unlink()  # 4
        (seen / "c").rmdir()  # 5
        os.close(os.open(seen / "d", os.O_WRONLY | os.O_CREAT))  # 6
        os._exit(writes.count)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 6


def test_a_process_that_is_killed_before_it_says_anything_is_one_that_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(torture, "_become", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    ended = torture.run("run", tmp_path / "folder")
    assert (ended.status, ended.said, ended.writes) == (-signal.SIGKILL, "", 0)
