"""Laws of the rollback: what counts as a drop of 5 dB, what comes back, and what the released notebook does instead."""

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dip_exp.fit.rollback import DROP, LOOKS_AWAY_EVERY, Rollback

KINDS = ("right", "released")


def db(decibels: float) -> Tensor:
    """The loss of a fit that is so many dB worse than one of loss 1."""
    return torch.tensor(10 ** (decibels / 10), dtype=torch.float64)


class Fitted:
    """A small network with statistics, its optimizer, and the rollback that watches it."""

    def __init__(self, kind: str) -> None:
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=0.1)
        self.rollback = Rollback(kind, self.net, self.optimizer)

    def gradient(self) -> None:
        self.optimizer.zero_grad()
        self.net(torch.arange(15.0).reshape(5, 3) ** 2).square().mean().backward()

    def step(self) -> None:
        self.gradient()
        self.optimizer.step()

    def moves(self, step: int, loss: Tensor) -> bool:
        """Whether the rollback counts this step as a collapse."""
        before = self.rollback.count
        refused = self.rollback.refuses(step, loss)
        assert self.rollback.count - before in (0, 1)
        assert refused is (self.rollback.count > before and self.rollback.kind == "right")
        return self.rollback.count > before

    def weights(self) -> list[Tensor]:
        return [p.detach().clone() for p in self.net.parameters()]

    def buffers(self) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in self.net.named_buffers()}

    def moments(self) -> list[Tensor]:
        return [state[key].clone() for state in self.optimizer.state.values() for key in ("exp_avg", "exp_avg_sq")]

    def rates(self) -> list[float]:
        return [group["lr"] for group in self.optimizer.param_groups]


@pytest.fixture(params=KINDS)
def fitted(request: pytest.FixtureRequest) -> Fitted:
    return Fitted(request.param)


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_collapse_is_more_than_5_db(fitted: Fitted):
    assert 10 * math.log10(DROP) == pytest.approx(5)
    assert not fitted.moves(1, db(0))
    assert fitted.moves(2, db(5.01))
    assert not fitted.moves(3, db(4.99))
    assert fitted.rollback.count == 1


def test_exactly_5_db_is_none(fitted: Fitted):
    fitted.rollback.refuses(1, db(0))
    assert not fitted.moves(2, torch.tensor(DROP, dtype=torch.float64))
    fitted = Fitted(fitted.rollback.kind)
    fitted.rollback.refuses(1, db(0))
    assert fitted.moves(2, torch.tensor(math.nextafter(DROP, 9), dtype=torch.float64))


def test_each_step_is_compared_with_the_last_good_one_before_it(fitted: Fitted):
    for step in range(1, 9):
        assert not fitted.moves(step, db(4 * step))  # 32 dB in all, 4 at a time
    assert fitted.moves(9, db(37.5))
    assert fitted.moves(10, db(37.5))  # still from 32 dB: the bad step was not taken for a good one
    assert not fitted.moves(11, db(-50))
    assert fitted.moves(12, db(-44))


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_a_collapse_and_no_good_step(fitted: Fitted, wrong: float):
    assert not fitted.moves(1, torch.tensor(wrong))  # nothing is known that could come back
    assert fitted.rollback.loss is None
    fitted.rollback.refuses(2, db(0))
    assert fitted.moves(3, torch.tensor(wrong))
    assert fitted.rollback.loss == 1


def test_only_right_refuses_the_bad_step():
    for kind in KINDS:
        rollback = Fitted(kind).rollback
        assert rollback.refuses(1, db(0)) is False
        assert rollback.refuses(2, db(9)) is (kind == "right")
        assert rollback.refuses(3, db(0)) is False


def test_right_brings_back_weights_statistics_and_moments_and_lowers_the_rate():
    fitted = Fitted("right")
    fitted.step()
    fitted.rollback.refuses(1, db(0))
    weights, buffers, moments = fitted.weights(), fitted.buffers(), fitted.moments()
    for times in (1, 2, 3):  # what is kept for the next collapse is not worn by this one
        fitted.step()
        fitted.step()
        assert not same(weights, fitted.weights())
        assert fitted.rollback.refuses(1 + times, db(9))
        assert same(weights, fitted.weights())
        assert same(moments, fitted.moments())
        assert all(torch.equal(buffers[name], value) for name, value in fitted.buffers().items())
        assert fitted.rates() == [pytest.approx(0.1 * 0.9**times)]


def test_right_lowers_the_rate_of_each_group_by_itself():
    net = nn.Linear(2, 2)
    optimizer = torch.optim.SGD([{"params": [net.weight], "lr": 1.0}, {"params": [net.bias], "lr": 0.1}])
    rollback = Rollback("right", net, optimizer)
    rollback.refuses(1, db(0))
    rollback.refuses(2, db(9))
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.9, 0.09])


def test_released_brings_back_the_weights_alone():
    fitted = Fitted("released")
    fitted.rollback.refuses(1, db(0))
    weights = fitted.weights()
    for step in (2, 3):
        fitted.step()
        buffers, moments = fitted.buffers(), fitted.moments()
        fitted.rollback.refuses(step, db(9))
        assert same(weights, fitted.weights())
        assert same(moments, fitted.moments())
        assert all(torch.equal(buffers[name], value) for name, value in fitted.buffers().items())
        assert fitted.rates() == [0.1]


def test_released_does_not_look_at_every_hundredth_step():
    assert LOOKS_AWAY_EVERY == 100  # show_every of the notebook
    for kind in KINDS:
        fitted = Fitted(kind)
        assert not fitted.moves(0, db(-9))
        assert (fitted.rollback.loss is None) is (kind == "released")
        fitted.rollback.refuses(1, db(0))
        looked = [step for step in range(2, 402) if fitted.moves(step, db(9))]
        away = [100, 200, 300, 400] if kind == "released" else []
        assert looked == [step for step in range(2, 402) if step not in away]


def test_what_a_checkpoint_holds_goes_on_as_before(fitted: Fitted):
    fitted.step()
    fitted.rollback.refuses(1, db(0))
    fitted.step()
    fitted.rollback.refuses(2, db(9))
    weights, state = fitted.weights(), copy.deepcopy(fitted.rollback.state())
    other = Fitted(fitted.rollback.kind)
    other.step()
    other.rollback.load(state)
    held: dict[str, Any] = {"count": other.rollback.count, "loss": other.rollback.loss}
    assert held == {"count": 1, "loss": 1}
    for _ in range(3):
        other.step()
    assert other.moves(3, db(9))
    assert same(weights, other.weights())
