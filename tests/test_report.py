"""What a run says: times in words, the smaller command above ten minutes, and oracles named as such."""

import pytest
import torch

from dip_exp import report
from dip_exp.cost import Cost
from dip_exp.problems.problem import Problem

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
    report.opening("denoise of x with skip", PROBLEM, Cost(1.0, 2.5e9, 1234), steps, torch.device("cpu"), smaller)
    out = capsys.readouterr().out
    assert out.startswith("denoise of x with skip (1,234 weights), 18x21 (observed: restored as it is)")
    assert "2.5 GB" in out
    assert ("smaller: run it" in out) is said


def test_oracles_are_labelled():
    for kind in ("peak", "peak_average"):
        assert report.MEANING[kind].startswith("oracle")
    assert not any("oracle" in text for kind, text in report.MEANING.items() if "peak" not in kind)
