"""`restore` from Python: a packaged task by name, and everything of one's own."""

import os
import signal
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import dip_exp
from dip_exp import Problem, StopRule, Verdict, adjoint_gap, restore, solve
from dip_exp.errors import Interrupted, Refused
from dip_exp.inputs.source import Input
from dip_exp.optims.sgd import SGD
from dip_exp.tasks.jpeg import Jpeg
from tests.checked import unchecked
from tests.conftest import ROOT, module_at

TINY: dict[str, Any] = {"arch": "skip_tiny", "overrides": ["optim.steps=4"], "accelerator": "cpu"}


def picture(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(21, 18), (21, 18, 3), (1, 3, 21, 18)])
def test_the_answer_is_laid_out_as_the_question(shape: tuple[int, ...]):
    x_hat, record = restore(picture(*shape), "denoise", **TINY)
    assert x_hat.shape == shape
    assert x_hat.dtype == np.float32
    assert x_hat.min() >= 0
    assert x_hat.max() <= 1
    assert record["steps"] == 4
    assert record["scores"] == {}
    assert len(record["history"]) == 4


def test_bytes_are_their_fractions():
    y = np.random.default_rng(0).integers(0, 256, (20, 16), dtype=np.uint8)
    one, other = restore(y, **TINY), restore(y.astype(np.float32) / 255, **TINY)
    assert np.array_equal(one.x_hat, other.x_hat)


def test_a_task_by_name_or_as_an_object_and_its_settings():
    by_name = restore(picture(21, 18), "jpeg", **TINY)
    by_object = restore(picture(21, 18), Jpeg(), **{**TINY, "overrides": ["task=jpeg", *TINY["overrides"]]})
    assert np.array_equal(by_name.x_hat, by_object.x_hat)
    x_hat, _ = restore(picture(8, 9), "superres", **{**TINY, "overrides": ["optim.steps=2", "task.factor=3"]})
    assert x_hat.shape == (24, 27)


def test_the_same_seed_is_the_same_picture_and_the_global_generator_is_left_alone():
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    first = restore(picture(21, 18), seed=1, **TINY).x_hat
    assert torch.equal(torch.rand(2), expected)
    assert np.array_equal(first, restore(picture(21, 18), seed=1, **TINY).x_hat)
    assert not np.array_equal(first, restore(picture(21, 18), seed=2, **TINY).x_hat)


class Ramp(Input):
    def draw(self, size: tuple[int, int], y: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return torch.linspace(0, 1, size[0] * size[1]).reshape(1, 1, *size)


class After(StopRule):
    """A rule of a user's own: keeps step 1, ends at step 2."""

    def update(self, step: int, x_hat: torch.Tensor, loss: torch.Tensor) -> Verdict:
        return Verdict(keep=step == 1, stop=step == 2, reason="mine")


def test_everything_can_be_ones_own():
    def halve(x: torch.Tensor) -> torch.Tensor:
        return x[..., ::2, ::2]

    def loss(a_x: torch.Tensor, y: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
        assert weight is not None
        return ((a_x - y).abs() * weight).mean()

    def pose(y: torch.Tensor) -> Problem:
        shape = (y.shape[1], 2 * y.shape[2], 2 * y.shape[3])
        return Problem(y=y, shape=shape, forward=halve, weight=torch.ones_like(y[:, :1]), loss=loss)

    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 3, 1), nn.Sigmoid())
    x_hat, record = restore(
        picture(10, 9, 3), pose, arch=net, input=Ramp(), optim=SGD(steps=50, lr=0.1), stop=After(), accelerator="cpu"
    )
    assert x_hat.shape == (20, 18, 3)
    assert record["stop"] == {"reason": "mine", "ended": True, "step": 2, "told": {}}
    assert record["steps"] == 3


def test_a_problem_of_ones_own_begins_at_noise_under_a_preset():
    words = ["preset=quick", "arch=skip_tiny", "optim.steps=2"]
    _, record = restore(picture(20, 18), lambda y: Problem(y=y), overrides=words, accelerator="cpu")
    assert record["config"]["input"]["_target_"].endswith(".Noise")
    _, record = restore(picture(20, 18), "denoise", overrides=words, accelerator="cpu")
    assert record["config"]["input"]["_target_"].endswith(".Classical")


@pytest.mark.parametrize(("ends", "steps"), [(False, 900), (True, 2700)])
def test_a_rule_of_ones_own_that_may_end_the_run_has_three_times_the_tasks_steps(ends: bool, steps: int):
    rule = type("Mine", (After,), {"ends": ends})()
    for task in ("denoise", "denoise_poisson"):
        record = restore(picture(32, 32), task, stop=rule, **{**TINY, "overrides": [], "scale": "mini"}).record
        assert record["config"]["optim"]["steps"] == steps
        assert record["steps"] == 3


def test_a_truth_of_ones_own_is_scored():
    x = picture(1, 1, 20, 20)
    problem = Problem(y=torch.from_numpy(x) * 0.5, x=torch.from_numpy(x))
    record = restore(x * 0.5, problem, **TINY).record
    assert set(record["scores"]) == {"last", "average", "stopped", "peak", "peak_average"}


def test_several_runs_are_their_mean_and_their_spread():
    y = picture(21, 18, 3)
    x_hat, record = restore(y, seed=5, runs=3, **TINY)
    each = [restore(y, seed=seed, **TINY).x_hat for seed in (5, 6, 7)]
    np.testing.assert_allclose(x_hat, np.mean(each, axis=0), atol=1e-6)
    np.testing.assert_allclose(record["std"], np.std(each, axis=0, ddof=1), atol=1e-6)
    assert record["std"].shape == y.shape
    assert len(record["members"]) == 3
    assert record["scores"] == {}
    assert record["calibration"] is None


def test_several_runs_with_a_truth_are_scored_and_a_rule_begins_anew_each_time():
    x = picture(1, 1, 20, 20)
    problem = Problem(y=torch.from_numpy(x) * 0.5, x=torch.from_numpy(x))
    record = restore(x * 0.5, problem, runs=2, stop=After(), **TINY).record
    assert [one["steps"] for one in record["members"]] == [3, 3]
    assert record["scores"]["stopped"]["psnr"] > np.mean([r["scores"]["stopped"]["psnr"] for r in record["members"]])
    assert record["calibration"]["ratio"] > 0


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"runs": 0}, "runs: given 0; must be a whole number from 1"),
        ({"runs": 2, "arch": nn.Conv2d(32, 3, 1)}, "runs: given 2 with a network of yours, which is trained in place"),
        ({"runs": 2, "checkpoint": ROOT / "no.pt"}, "runs: given 2 with a checkpoint, which is of one fit"),
    ],
)
def test_runs_that_cannot_be_are_refused(settings: dict[str, Any], text: str):
    with pytest.raises(Refused, match=text):
        restore(picture(20, 20), **{**TINY, **settings})


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (([[1, 2]],), "y is int64"),
        ((picture(4, 4, 4, 4, 4),), "y has shape"),
        ((picture(20, 20) * 3,), r"y lies in \[.*; give finite values in \[0, 1\]"),
        ((np.full((20, 20), np.nan),), "y lies in"),
        ((picture(20, 20), lambda y: 3), "problem returned int"),
        ((picture(20, 20), Problem(y=torch.zeros(1, 1, 9, 9))), r"y is \(1, 1, 20, 20\) but the problem's own y"),
        ((picture(20, 20), "inpaint"), "made up"),
        ((picture(20, 20), "denoise"), "too small"),
        ((picture(20, 20), "denoize"), "Could not find 'task/denoize'"),
        ((picture(20, 20), lambda y: Problem(y=y, forward=lambda x: x[..., 1:])), "forward: it gives"),
        ((picture(20, 20), lambda y: Problem(y=y, forward=torch.detach)), "forward: the energy has no gradient"),
    ],
)
def test_bad_questions_are_refused(arguments: tuple, text: str):
    with unchecked(), pytest.raises(Refused, match=text):
        restore(*arguments, accelerator="cpu")


def test_objects_of_the_wrong_kind_are_refused_by_name():
    with unchecked(), pytest.raises(Refused, match="optim: given dict; a name or a dip_exp optim object is needed"):
        restore(picture(20, 20), optim={"steps": 10})  # type: ignore[arg-type]
    record = restore(picture(20, 20), arch="skip_tiny", overrides="optim.steps=2", accelerator="cpu").record
    assert record["steps"] == 2


def test_the_record_says_what_was_really_used():
    record = restore(picture(20, 20), optim=SGD(steps=2, lr=3.0), arch="skip_tiny", accelerator="cpu").record
    assert "SGD" in record["config"]["optim"]
    assert record["config"]["task"]["_target_"].endswith("Denoise")


def test_a_checkpoint_is_of_its_own_observation(tmp_path):
    class Stop(StopRule):
        def update(self, step: int, x_hat: torch.Tensor, loss: torch.Tensor) -> Verdict:
            os.kill(os.getpid(), signal.SIGINT) if step == 1 else None
            return Verdict()

    checkpoint = tmp_path / "checkpoint.pt"
    with pytest.raises(Interrupted):
        restore(picture(20, 20), stop=Stop(), checkpoint=checkpoint, **TINY)
    with pytest.raises(ValueError, match="checkpoint: it is of another observation or seed"):
        restore(picture(20, 20) / 2, checkpoint=checkpoint, **TINY)
    with pytest.raises(ValueError, match=r"checkpoint: it is of the stop rule Stop; given Fixed; delete .*t.before.pt"):
        restore(picture(20, 20), stop="fixed", checkpoint=checkpoint, **TINY)
    resumed = restore(picture(20, 20), stop=Stop(), checkpoint=checkpoint, **TINY)
    assert np.array_equal(resumed.x_hat, restore(picture(20, 20), stop="fixed", **TINY).x_hat)
    assert not checkpoint.exists()
    checkpoint.write_bytes(b"junk")
    with pytest.raises(Refused, match=r"checkpoint: .* cannot be read .*; delete .*t.before.pt to begin again"):
        restore(picture(20, 20), checkpoint=checkpoint, **TINY)


def test_the_package_says_what_it_has():
    for name in dip_exp.__all__:
        assert getattr(dip_exp, name) is not None
    assert f'version = "{dip_exp.__version__}"' in (ROOT / "pyproject.toml").read_text()
    with pytest.raises(
        AttributeError, match="no attribute 'denoise'; it has Arch, Input, Optim, Presentation, Problem"
    ):
        _ = dip_exp.denoise


# -- the documented example --------------------------------------------------------------------------------------------


def example() -> Any:
    return module_at(ROOT / "examples/deblur.py")


def test_the_examples_operator_has_an_adjoint():
    generator = torch.Generator().manual_seed(0)
    assert adjoint_gap(example().blur, (1, 3, 37, 31), (1, 3, 37, 31), generator) < 1e-5


@pytest.mark.long
def test_the_example_restores():
    blurred, restored = example().main(steps=300, side=48)
    assert restored > blurred + 1


def test_an_observation_that_is_no_picture_is_solved_as_it_is():
    """A projection along the columns, in counts: of another size than x_hat, and far above 1."""
    x = torch.from_numpy(picture(1, 3, 16, 20)).mean(1, keepdim=True)
    problem = Problem(y=100 * x.sum(2, keepdim=True), shape=(1, 16, 20), forward=lambda x: 100 * x.sum(2, keepdim=True))
    solved = solve(problem, **{**TINY, "overrides": ["optim.steps=40"]})
    assert solved.x_hat.shape == (1, 1, 16, 20)
    losses = [row["loss"] for row in solved.record["history"]]
    assert losses[-1] < losses[0] / 2
    again = solve(problem, **{**TINY, "overrides": ["optim.steps=40"]})
    assert np.array_equal(again.x_hat, solved.x_hat)
    with pytest.raises(Refused, match=r"solve: given str; a dip_exp.Problem is needed, or restore\(y, ...\)"):
        solve("denoise")  # type: ignore[arg-type]


def test_the_record_of_an_object_of_ones_own_is_the_same_every_time():
    first, again = (restore(picture(10, 9, 3), stop=After(), **TINY).record["config"]["stop"] for _ in range(2))
    assert first == again
    assert first.endswith("After")


def test_a_value_that_is_nan_is_missing_and_the_others_stay():
    y = picture(20, 20)
    y[3, 4] = np.nan
    x_hat, _ = restore(y, "inpaint", **TINY)
    assert np.isfinite(x_hat).all()
    np.testing.assert_array_equal(x_hat[np.isfinite(y)], y[np.isfinite(y)])
