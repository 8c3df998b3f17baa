"""The laws of every kind of part, over every option in conf: a new file and its yaml are tested by existing."""

import os
import signal
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch

from dip_exp import config
from dip_exp.config.build import build
from dip_exp.errors import Interrupted, Refused
from dip_exp.fit.draw import draw
from dip_exp.tasks.problem import Problem
from tests.conftest import SMOKE, Runner
from tests.options import options, pose, words

GROUPS = ("task", "task/mask", "arch", "input", "optim", "stop")
CASES = {group: options(group) for group in GROUPS}


def plain(group: str, option: str, *more: str) -> dict[str, Any]:
    """Returns an option's plain settings; what needs a file of the user's is skipped."""
    try:
        return config.plain(config.layered([*SMOKE, *words(group, option), *more]))
    except Refused as error:
        pytest.skip(str(error))


def posed(settings: dict[str, Any], role: str | None = None) -> Problem:
    try:
        return pose(settings, role)
    except FileNotFoundError as error:  # weights of a classifier that is not installed
        pytest.skip(str(error))


TASKS = [("task", option) for option in CASES["task"]] + [("task/mask", option) for option in CASES["task/mask"]]
tasks = pytest.mark.parametrize(("group", "option"), TASKS, ids=[f"{group}={option}" for group, option in TASKS])


@tasks
def test_a_problem_fits_together_and_has_a_slope(group: str, option: str):
    problem = posed(plain(group, option))
    x_hat = torch.full((1, *problem.shape), 0.4, requires_grad=True)
    assert problem.forward(x_hat).shape == problem.y.shape
    energy = problem.energy(x_hat)
    energy.backward()
    assert torch.isfinite(energy)
    assert x_hat.grad is not None
    assert torch.isfinite(x_hat.grad).all()
    assert x_hat.grad.abs().max() > 0
    if problem.x is not None:
        assert problem.x.shape == x_hat.shape
        assert 0 <= problem.x.min() <= problem.x.max() <= 1


@tasks
def test_an_observation_is_that_of_its_seed(group: str, option: str):
    first, again, other = (posed(plain(group, option, f"degrade_seed={seed}")) for seed in (3, 3, 4))
    assert torch.equal(first.y, again.y)
    if first.weight is not None and again.weight is not None:
        assert torch.equal(first.weight, again.weight)
    assert first.y.shape == other.y.shape


@pytest.mark.parametrize("option", CASES["task"])
def test_an_observed_picture_is_scored_against_nothing(option: str):
    settings = plain("task", option)
    try:
        problem = posed(settings, "observed")
    except (ValueError, TypeError):  # a task that needs to be told what is missing, or has no picture at all
        return
    assert problem.x is None


def drawn(settings: dict[str, Any], seed: int) -> tuple[torch.nn.Module, torch.Tensor]:
    arch, source, optim = (build(settings, group, {}) for group in ("arch", "input", "optim"))
    return draw(posed(settings), arch, source, seed, optim.over)


@pytest.mark.parametrize("option", CASES["arch"])
def test_weights_follow_the_seed_and_every_kernel_learns(option: str):
    settings = plain("arch", option)
    (net, z), (same, _), (other, _) = (drawn(settings, seed) for seed in (3, 3, 4))
    kernels = [(a, b, c) for a, b, c in zip(net.parameters(), same.parameters(), other.parameters(), strict=True)]
    assert all(torch.equal(a, b) for a, b, _ in kernels)
    assert all(not torch.equal(a, c) for a, _, c in kernels if a.ndim == 4)
    problem = posed(settings)
    _, height, width = problem.shape
    x_hat = net.train()(z)[..., :height, :width]
    assert x_hat.shape == (1, *problem.shape)
    problem.energy(x_hat).backward()
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name
            assert parameter.ndim < 4 or parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("option", CASES["input"])
def test_z_follows_its_seed_and_has_the_size_that_is_asked_for(option: str):
    settings = plain("input", option)
    source = build(settings, "input", {})
    y = torch.linspace(0, 1, 3 * 24 * 16).reshape(1, 3, 24, 16)
    first, again = (source.draw((24, 16), y, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, again)
    assert first.shape[0] == 1
    assert first.shape[2:] == (24, 16)
    assert first.dtype == torch.float32
    assert torch.isfinite(first).all()


class Interrupt(pl.Callback):
    """Presses Ctrl-C after the third step."""

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if pl_module.history.done == 3:
            os.kill(os.getpid(), signal.SIGINT)


FITTED = [(group, option) for group in ("optim", "stop", "input") for option in CASES[group]]


@pytest.mark.parametrize(("group", "option"), FITTED, ids=[f"{group}={option}" for group, option in FITTED])
def test_a_fit_descends_and_an_interrupted_one_ends_with_the_same_bits(
    group: str, option: str, run: Runner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    own = words(group, option)
    plain(group, option)

    def pictures(run_id: str) -> dict[str, np.ndarray]:
        with np.load(tmp_path / "results" / "runs" / run_id / "outputs.npz") as arrays:
            return dict(arrays)

    whole = run(*own)
    before = pictures(whole["run_id"])
    assert np.isfinite(before["last"]).all()
    assert whole["steps"] > 3
    monkeypatch.setattr("dip_exp.runs.run._snapshots", lambda _: [Interrupt()])
    with pytest.raises(Interrupted, match="stopped after step 3 of "):
        run(*own, "force=true")
    monkeypatch.undo()
    resumed = run(*own)
    after = pictures(resumed["run_id"])
    assert resumed["run_id"] == whole["run_id"]
    assert after.keys() == before.keys()
    assert all(np.array_equal(before[kind], after[kind]) for kind in before if not kind.startswith("baseline"))


def test_every_group_has_options():
    assert all(len(options) > 2 for options in CASES.values())
