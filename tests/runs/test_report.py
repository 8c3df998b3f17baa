"""What a run says: times in words, the smaller command above ten minutes, and oracles named as such."""

from pathlib import Path

import pytest
import torch

from dip_exp.cost.estimate import Cost
from dip_exp.metrics import kinds
from dip_exp.runs import report
from dip_exp.runs.record import upgrade
from dip_exp.tasks.problem import Problem

PROBLEM = Problem(y=torch.zeros(1, 3, 21, 18))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(3.21, "3.2 s"), (45, "45 s"), (89, "89 s"), (720, "12 min"), (12_000, "3 h 20 min")],
)
def test_durations_in_words(seconds: float, words: str):
    assert report.duration(seconds) == words


@pytest.mark.parametrize(
    ("steps", "smaller", "said"), [(1000, "run it", True), (10, "run it", False), (1000, "", False)]
)
def test_the_smaller_command_is_named_above_ten_minutes(capsys, steps: int, smaller: str, said: bool):
    report.opening(
        "denoise of x with skip",
        PROBLEM,
        Cost(1.0, 2.5e9, 1234),
        steps,
        "of muon in fp32 on cpu",
        smaller,
        sooner=False,
    )
    out = capsys.readouterr().out
    assert out.startswith("denoise of x with skip (1,234 weights), 18x21 (observed: restored as it is)")
    assert "2.5 GB" in out
    assert ("smaller: run it" in out) is said


def test_a_run_that_a_rule_may_end_takes_at_most_so_long(capsys):
    cost = Cost(1.0, 2.5e9, 1234)
    report.opening("denoise of x with skip", PROBLEM, cost, 45, "of muon in fp32 on cpu", "", sooner=True)
    assert "at most 45 steps of muon in fp32 on cpu: at most 45 s" in capsys.readouterr().out


def record(**more: object) -> dict:
    """A record as the runs of before had it, and more, as a reader gets it."""
    scores = {kind: {"psnr": 20.0, "ssim": 0.5} for kind in ("baseline", "last")}
    done = {
        "scores": scores,
        "protocol": "rgb",
        "stop": {"reason": "optim.steps: 5 steps were asked for", "step": 5},
        "steps_of": {"last": 10},
        "steps": 10,
        "seconds": 1.0,
    }
    return upgrade({**done, "seconds_per_step": 0.1, "baseline": {"name": "bicubic", "seconds": 0.25}, **more})


def test_every_classical_restorer_has_its_name_and_seconds_in_the_table(capsys):
    before = record()
    report.closing(before, Path("there"))
    old = capsys.readouterr().out
    assert "baseline             20.00      0.5000          classical: bicubic (0.25 s)" in old
    scores = {**before["scores"], "baseline_wavelets": {"psnr": 21.0, "ssim": 0.6}}
    rivals = {"baseline_wavelets": {"name": "wavelet shrinkage", "seconds": 1.5}}
    report.closing(record(scores=scores, rivals=rivals), Path("there"))
    new = capsys.readouterr().out
    assert "classical: bicubic (0.25 s)" in new
    (line,) = (line for line in new.splitlines() if line.startswith("baseline_wavelets "))
    assert line.split()[1:3] == ["21.00", "0.6000"]
    assert line.endswith("classical: wavelet shrinkage (1.5 s)")
    assert len({line.index("PSNR") for line in new.splitlines() if "PSNR" in line} | {line.index("21.00") - 2}) == 1
    scores["pasted"] = scores["last"]
    report.closing(record(scores=scores, rivals=rivals), Path("there"))
    assert capsys.readouterr().out.count("keeps known pixels: compare with pasted") == 2


def test_oracles_are_labelled():
    for kind in ("peak", "peak_average"):
        assert kinds.KINDS[kind].meaning.startswith("oracle")
    assert not any("oracle" in kind.meaning for name, kind in kinds.KINDS.items() if "peak" not in name)
