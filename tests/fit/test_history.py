"""Laws of the curve: what a row says, which step was best, and that a checkpoint loses nothing."""

import numpy as np
import pytest
import torch
from torch import Tensor

from dip_exp.fit.history import COLUMNS, History
from dip_exp.metrics import Protocol, psnr
from dip_exp.metrics.kinds import PEAK, PEAK_AVERAGE
from dip_exp.tasks.presentation import Presentation
from dip_exp.tasks.problem import Problem

TRUTH = torch.rand((1, 3, 6, 5), generator=torch.Generator().manual_seed(0)) * 0.5 + 0.25
OFF = (0.2, 0.1, 0.05, 0.1, 0.02, 0.3)
"""How far the output of each step is from the truth; the average is half as far as the output three steps before."""

PROBLEM = Problem(y=TRUTH, x=TRUTH)


def outputs(step: int) -> tuple[Tensor, Tensor]:
    return TRUTH + OFF[step], TRUTH - OFF[step - 3] / 2


def filled(history: History, first: int = 0, last: int = len(OFF)) -> History:
    for step in range(first, last):
        loss = torch.tensor(10.0 - step)
        history.add(step, 2.0 * step + 0.123456, loss, loss / 2, *outputs(step))
    return history


def full(problem: Problem = PROBLEM) -> History:
    return filled(History(len(OFF), problem))


def test_a_row_is_its_step_from_1_and_what_was_measured():
    rows = full().rows()
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert all(tuple(row) == COLUMNS for row in rows)
    for step, row in enumerate(rows):
        assert (row["loss"], row["data"]) == (10 - step, (10 - step) / 2)
        assert row["seconds"] == round(2 * step + 0.123456, 4)
        for name, picture in zip(("psnr", "psnr_average"), outputs(step), strict=True):
            assert row[name] == pytest.approx(psnr(picture.numpy(), TRUTH.numpy(), PROBLEM.protocol), abs=1e-3)


@pytest.mark.parametrize("since", range(len(OFF) + 1))
def test_rows_since_a_step_are_the_last_of_all(since: int):
    assert full().rows(since) == full().rows()[since:]


def test_there_are_rows_of_done_steps_alone():
    history = History(len(OFF), PROBLEM)
    assert history.rows() == []
    assert history.peaks() == {}
    assert len(filled(history, 0, 1).rows()) == 1
    assert {step for step, _ in history.peaks().values()} == {0}
    assert len(filled(history, 1, 2).rows()) == 2


def test_the_peaks_are_the_steps_nearest_to_the_truth_each_in_its_series():
    history = full()
    best = {PEAK: 4, PEAK_AVERAGE: 1}
    peaks = history.peaks()
    assert {name: step for name, (step, _) in peaks.items()} == best
    for (name, step), which in zip(best.items(), (0, 1), strict=True):
        assert np.array_equal(peaks[name][1], outputs(step)[which].numpy())


def test_of_two_equally_near_the_first_is_the_peak():
    history = History(2, PROBLEM)
    for step, sign in enumerate((1, -1)):
        history.add(step, 0.0, torch.tensor(1.0), torch.tensor(1.0), TRUTH + sign * 0.125, TRUTH)
    assert history.peaks()[PEAK_AVERAGE][0] == 0


def test_the_last_picture_may_be_the_peak_of_the_outputs_and_adds_no_row():
    for off, step in ((0.01, 5), (0.1, 4)):
        history = full()
        history.consider_last(TRUTH + off)
        peaks = history.peaks()
        assert (peaks[PEAK][0], peaks[PEAK_AVERAGE][0]) == (step, 1)
        assert np.array_equal(peaks[PEAK][1], (TRUTH + min(off, OFF[4])).numpy())
        assert history.rows() == full().rows()


def test_the_truth_is_compared_as_the_protocol_views_it():
    """Errors in a border that the protocol crops move no peak."""
    history = History(2, Problem(y=TRUTH, x=TRUTH, presentation=Presentation(protocol=Protocol(crop=[1, 0, 0, 0]))))
    edge, whole = TRUTH.clone(), TRUTH + 0.01
    edge[..., 0, :] = 0
    for step, picture in enumerate((whole, edge)):
        history.add(step, 0.0, torch.tensor(1.0), torch.tensor(1.0), picture, picture)
    assert history.peaks()[PEAK][0] == 1
    assert np.array_equal(history.peaks()[PEAK][1], edge.numpy())
    assert history.rows()[1]["psnr"] is None  # an error of 0 has no PSNR in dB


def test_without_a_truth_there_is_the_loss_and_no_score():
    history = full(Problem(y=TRUTH))
    history.consider_last(TRUTH)
    assert (history.has_truth, history.peaks()) == (False, {})
    assert history.best_picture.numel() == 0
    assert [(row["loss"], row["psnr"], row["psnr_average"]) for row in history.rows()][2] == (8, None, None)
    with_truth = full()  # of the outputs and of their averages
    assert with_truth.has_truth
    assert with_truth.best_picture.shape == (2, 3, 6, 5)
    assert with_truth.best.shape == with_truth.best_step.shape == (2,)


@pytest.mark.parametrize("wrong", [torch.nan, torch.inf])
def test_the_first_step_without_a_finite_loss_is_found_from_where_one_looks(wrong: float):
    history = full()
    assert history.first_bad_step(0) is None
    for step in (2, 4):
        history.series[step, 0] = wrong
    assert [history.first_bad_step(since) for since in range(6)] == [2, 2, 2, 4, 4, None]
    later = filled(History(len(OFF), PROBLEM), 0, 3)  # steps that are still to come have no loss
    assert later.first_bad_step(0) is None


def test_a_checkpoint_loses_nothing_and_holds_no_steps_to_come():
    half = filled(History(len(OFF), PROBLEM), 0, 4)
    state = half.state()
    assert len(state["series"]) == len(state["seconds"]) == state["done"] == 4
    resumed = History(len(OFF), PROBLEM)
    resumed.load(state)
    assert resumed.rows() == half.rows()
    filled(resumed, 4)
    assert resumed.rows() == full().rows()
    for name, (step, picture) in full().peaks().items():
        assert resumed.peaks()[name][0] == step
        assert np.array_equal(resumed.peaks()[name][1], picture)
