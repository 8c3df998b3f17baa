"""Where a classical restorer is known to do better, a run's closing lines say so, from the committed tables."""

from pathlib import Path

import pytest

from dip_exp.experiments.tables import Tables
from dip_exp.runs import report, winners
from dip_exp.runs.record import Record
from scripts import winners as script
from tests.conftest import ROOT, Runner
from tests.runs.test_report import record


def done(task: str, **more: object) -> Record:
    return record(choices={"task": task}, scores={}, **more)


def test_what_a_run_quotes_is_what_the_committed_tables_say():
    text = (ROOT / "dip_exp/runs" / winners.FILE).read_text()
    assert text == script.text(Tables(ROOT / "results", "mini")), "python scripts/winners.py"
    assert {"denoise", "inpaint_region"} <= winners.known().keys()
    assert not {"superres", "inpaint", "denoise_speckle"} & winners.known().keys()


def test_a_winner_is_named_with_its_lead_and_with_the_way_to_its_picture():
    line = winners.line(done("denoise", baseline={"name": "non-local means", "seconds": 1.0}), Path("there"))
    assert line.startswith(
        "note: BM3D, a classical method, did better on such damage: by 1.4 dB on average, on 4 of 4 "
    )
    assert line.endswith("rivals=all makes it too, with pip install -e '.[bm3d]'")
    made = {"baseline_bm3d": {"name": "BM3D", "seconds": 20.0}}
    assert winners.line(done("denoise", rivals=made), Path("there")).endswith("its picture: there/baseline_bm3d.png")


@pytest.mark.parametrize("task", ["superres", "nothing_known"])
def test_where_none_is_known_to_win_nothing_is_said(task: str):
    assert winners.line(done(task), Path("there")) == ""


def test_a_score_in_the_table_speaks_for_itself():
    rivals = {"baseline_bm3d": {"name": "BM3D", "seconds": 20.0}}
    scores = {"last": {"psnr": 20.0, "ssim": 0.5}, "baseline_bm3d": {"psnr": 25.0, "ssim": 0.5}}
    assert winners.line(record(choices={"task": "denoise"}, scores=scores, rivals=rivals), Path("there")) == ""


def test_the_closing_lines_of_a_run_without_scores_say_it(run: Runner, tmp_path: Path, capsys: pytest.CaptureFixture):
    run("task=inpaint_region", "image=chelsea", "image.role=clean")
    assert "did better" not in capsys.readouterr().out  # scored
    report.closing(done("denoise"), tmp_path)
    assert "note: BM3D, a classical method, did better" in capsys.readouterr().out
