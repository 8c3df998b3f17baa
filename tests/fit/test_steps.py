"""A fit step by step: what it draws, counts, notes and keeps, and what a checkpoint brings back."""

import itertools
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dip_exp.archs.pixels import Pixels
from dip_exp.errors import Interrupted
from dip_exp.fit import draw, module
from dip_exp.fit.module import Fit
from dip_exp.inputs.noise import Noise
from dip_exp.optims.adam import Adam
from dip_exp.optims.sgd import SGD
from dip_exp.optims.sgld import SGLD
from dip_exp.seeds import mix
from dip_exp.stopping.rule import CONTINUE, StopRule, Verdict, View
from dip_exp.tasks.problem import Problem, TotalVariation
from tests.fit.test_module import ARCH, At, Keep, make, run, same, waves


class Interrupting(At):
    def __init__(self, step: int) -> None:
        super().__init__(step, lambda _: os.kill(os.getpid(), signal.SIGINT))


def interrupted(fit: Fit, step: int) -> dict[str, Any]:
    """Returns the snapshot of a fit that ends after a step."""
    held: list[dict[str, Any]] = []
    with pytest.raises(Interrupted):
        run(fit, At(step, lambda fit: held.append(fit.snapshot())), Interrupting(step))
    return held[0]


# -- what is drawn -----------------------------------------------------------------------------------------------------


def test_a_fit_perturbs_nothing_and_has_seed_0_unless_told_otherwise():
    class Passive(Keep):
        ends = False

    def made(**more: Any) -> Any:
        problem = Problem(y=waves())
        net, z = draw.draw(problem, ARCH, Noise(channels=4), 3)
        return run(Fit(problem, net, z, optim=SGLD(steps=6), stop=Passive(2, 9), **more))

    assert same(made(), made(perturb_std=0.0, seed=0))
    assert not same(made(), made(seed=1))


def drawn(shape: torch.Size, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("std", [0.05, 1.0])
def test_the_perturbation_of_a_step_is_drawn_from_its_seed_and_number(std: float):
    """Bits of runs hang on it: which generator, which seed, which sign."""
    fit = make(perturb_std=std, seed=3)
    fit.noise = torch.Generator()
    for step in (0, 7):
        assert torch.equal(fit.z_at(step), fit.z + std * drawn(fit.z.shape, mix(3, step)))


@pytest.mark.parametrize(
    ("optim", "shake", "stream", "share"),
    [
        (Adam(steps=2, weight_noise=0.02), "_move_weights", 0x5DEECE66D, 0.02),
        (SGLD(steps=10, noise=3.0, lr=0.02), "_diffuse", 0x2545F4914F6CDD1D, None),
    ],
)
def test_the_noise_on_kernels_is_drawn_from_a_stream_of_its_own(optim: Any, shake: str, stream: int, share: Any):
    fit = make(optim=optim, seed=5)
    fit.noise = torch.Generator()
    kernel = next(p for p in fit.net.parameters() if p.ndim == 4)
    before = kernel.detach().clone()
    getattr(fit, shake)(4)
    std = share * before.std() if share else optim.diffusion()
    assert torch.allclose(kernel.detach(), before + std * drawn(kernel.shape, mix(5 ^ stream, 4)), atol=1e-7)


def test_noise_on_kernels_is_part_of_every_step():
    plain = run(make())
    for optim in (Adam(steps=12, weight_noise=0.02), SGLD(steps=12, noise=1.0, weight_decay=0.0)):
        assert not np.array_equal(run(make(optim=optim)).pictures["last"], plain.pictures["last"])


def test_of_a_single_step_the_last_picture_has_its_z():
    fit = make(optim=Adam(steps=1), perturb_std=0.3)
    fitted = run(fit)
    with torch.no_grad():
        assert np.array_equal(fitted.pictures["last"], fit(fit.z_at(0)).numpy())
        assert not np.array_equal(fitted.pictures["last"], fit(fit.z_at(1)).numpy())


def test_z_is_optimised_as_a_copy_and_the_network_in_train_mode():
    problem = Problem(y=waves())
    net, z = draw.draw(problem, ARCH, Noise(channels=4), 3)
    before = z.clone()
    fit = Fit(problem, net.eval(), z, optim=Adam(steps=2, over="both"), stop=Keep(0, 9))
    run(fit)
    assert torch.equal(z, before)
    assert net.training


# -- what a step does --------------------------------------------------------------------------------------------------


class Extra(StopRule):
    """An active rule: adds to the energy of every second step, and derives another problem."""

    active = True
    ends = False

    def pose(self, problem: Problem, z: Tensor, seed: int) -> Problem:
        self.posed = (problem, z, seed)
        return Problem(y=problem.y * 0.5, x=problem.x)

    def begin(self, view: View) -> None:
        self.view = view

    def extra(self, step: int, z: Tensor, x_hat: Tensor, net: Any) -> Tensor | None:
        return None if step % 2 else 0.25 * x_hat.mean()

    def update(self, step: int, x_hat: Tensor, loss: Tensor) -> Verdict:
        return CONTINUE


def test_an_active_rule_derives_the_problem_and_adds_to_the_loss_and_not_to_the_data():
    rule, outputs = Extra(), []
    fit = make(steps=4, stop=rule, perturb_std=0.0)
    assert rule.posed[1:] == (fit.z, 3)
    collect = [At(step, lambda fit: outputs.append(fit.x_hat.clone())) for step in range(1, 5)]
    fitted = run(fit, *collect)
    for step, (row, x_hat) in enumerate(zip(fitted.rows, outputs, strict=True)):
        assert row["data"] == pytest.approx(float((x_hat - 0.5 * waves()).square().mean()), rel=1e-4)
        extra = 0.0 if step % 2 else 0.25 * float(x_hat.mean())
        assert row["loss"] - row["data"] == pytest.approx(extra, abs=1e-6)
    free = run(make(steps=4, perturb_std=0.0, problem=Problem(y=0.5 * waves(), x=waves().flip(3))))
    assert fitted.rows[1]["loss"] != free.rows[1]["loss"]  # the extra term of the first step has moved the weights


@pytest.mark.parametrize(("average", "memory"), [(0.99, 100), (0.9, 10), (0.5, 2), (0.2, 1)])
def test_a_rule_sees_the_problem_the_average_its_memory_and_the_seed(average: float, memory: int):
    rule = Extra()
    fit = make(optim=Adam(steps=1, average=average), stop=rule)
    run(fit)
    assert (rule.view.memory, rule.view.seed) == (memory, 3)
    assert rule.view.problem is fit.problem
    assert rule.view.average is fit.average


class Counted(nn.Module):
    """Counts how often its network is asked."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.asked = net, 0

    def forward(self, z: Tensor) -> Tensor:
        self.asked += 1
        return self.net(z)


class Asking(torch.optim.SGD):
    """Asks for the loss twice in each step, as L-BFGS does more often."""

    losses: list[float]

    def step(self, closure: Any = None) -> Any:
        first = closure()
        super().step()
        self.losses += [float(first), float(closure())]
        return first


class AskingTwice(SGD):
    def build(self, parameters: Any) -> torch.optim.Optimizer:
        optimizer = Asking(parameters, lr=self.lr)
        optimizer.losses = LOSSES
        return optimizer


LOSSES: list[float] = []


def test_an_optimizer_that_asks_again_gets_the_loss_of_the_new_point_and_none_is_computed_twice():
    LOSSES.clear()
    problem = Problem(y=waves(), prior=TotalVariation(weight=1e-3))
    fit = make(arch=Pixels(), optim=AskingTwice(steps=3, lr=2.0), problem=problem, perturb_std=0.0)
    fit.net = Counted(fit.net)
    x = next(fit.net.parameters()).detach().clone().requires_grad_()
    fitted = run(fit)
    for step in range(3):
        energy = problem.energy(x)
        (gradient,) = torch.autograd.grad(energy, x)
        x = (x - 2.0 * gradient).detach().requires_grad_()
        assert LOSSES[2 * step] == pytest.approx(energy.item(), rel=1e-5)
        assert LOSSES[2 * step + 1] == pytest.approx(problem.energy(x).item(), rel=1e-5)
        assert fitted.rows[step]["loss"] == pytest.approx(energy.item(), rel=1e-5)
    assert fit.net.asked == 3 * 2 + 1  # once more for the last picture
    fit = make(arch=Pixels(), optim=SGD(steps=3), perturb_std=0.0)
    fit.net = Counted(fit.net)
    run(fit)
    assert fit.net.asked == 3 + 1


def test_operator_and_loss_compute_in_full_precision_where_the_network_does_not():
    seen: list[tuple[bool, torch.dtype]] = []

    def forward(x_hat: Tensor) -> Tensor:
        seen.append((torch.is_autocast_enabled("cpu"), x_hat.dtype))
        return x_hat

    run(make(steps=2, problem=Problem(y=waves(), forward=forward)), precision="bf16")
    assert set(seen) == {(False, torch.float32)}


# -- what is noted -----------------------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock on which every look takes a second, and the processor three."""
    seconds, cpu = itertools.count(100.0), itertools.count(1000.0, 3.0)
    fake = SimpleNamespace(perf_counter=lambda: next(seconds), process_time=lambda: next(cpu))
    monkeypatch.setattr(module, "time", fake)


@pytest.mark.usefixtures("clock")
def test_seconds_count_from_the_first_step_and_go_on_after_an_interruption():
    fit = make(steps=6)
    run(fit)
    assert [row["seconds"] for row in fit.history.rows()] == [1, 2, 3, 4, 5, 6]
    first = fit.cpu_seconds
    assert first is not None
    assert first % 3 == 0
    assert first > 0
    assert fit.cpu_seconds == first + 3
    snapshot = interrupted(make(steps=6), 3)
    spent = snapshot["cpu_seconds"]
    again = make(steps=6)
    again.resume(snapshot)
    run(again)
    assert [row["seconds"] for row in again.history.rows()] == [1, 2, 3, 4, 5, 6]
    assert again.cpu_seconds is not None
    assert again.cpu_seconds > spent > 0
    snapshot.pop("cpu_seconds")  # as of a run from before it was recorded
    old = make(steps=6)
    old.resume(snapshot)
    run(old)
    assert old.cpu_seconds is None


@pytest.mark.usefixtures("clock")
def test_processor_time_counts_from_the_first_step():
    fit = make(steps=1)
    run(fit)
    assert [fit.cpu_seconds, fit.cpu_seconds] == [6, 9]  # each look is three seconds after the one before


def test_a_run_is_looked_at_after_its_first_every_fifth_and_last_step():
    looked: list[int] = []
    watch = [At(step, lambda fit: looked.append(fit.history.done) if fit.checked else None) for step in range(1, 13)]
    run(make(steps=12), *watch)
    assert looked == [1, 5, 10, 12]


def test_a_run_says_who_ended_it():
    fitted = run(make(steps=3))
    assert (fitted.ended, fitted.reason) == (False, "optim.steps: 3 steps were asked for")
    fitted = run(make(steps=30, stop=Keep(0, 4)))
    assert (fitted.ended, fitted.reason, fitted.steps) == (True, "seen enough", 5)


def test_the_first_step_can_be_the_one_that_is_kept():
    first: list[np.ndarray] = []
    fitted = run(make(stop=Keep(0, 99)), At(1, lambda fit: first.append(fit.average.numpy().copy())))
    assert fitted.steps_of["stopped"] == 1
    assert np.array_equal(fitted.pictures["stopped"], first[0])


def test_every_picture_is_one_picture():
    fitted = run(make(optim=SGLD(steps=12, burn_in=0.2, sample_every=2)))
    assert {"last", "average", "stopped", "peak", "peak_average", "posterior", "posterior_std"} <= set(fitted.pictures)
    assert {picture.shape for picture in fitted.pictures.values()} == {(1, 3, 21, 18)}


class Elsewhere(Tensor):
    """A tensor that says it is on another device than the CPU."""

    device = SimpleNamespace(type="elsewhere")  # type: ignore[assignment]
    __torch_function__ = torch._C._disabled_torch_function_impl  # what is computed from it is an ordinary tensor


class OnDevice(Keep):
    """Says with a tensor what it keeps."""

    def __init__(self, kind: type[Tensor]) -> None:
        super().__init__(4, 9)
        self.kind = kind

    def update(self, step: int, x_hat: Tensor, loss: Tensor) -> Verdict:
        verdict = super().update(step, x_hat, loss)
        keep = torch.tensor(bool(verdict.keep)).as_subclass(self.kind)
        return Verdict(keep=keep, stop=verdict.stop, reason=verdict.reason)


@pytest.mark.parametrize("kind", [Tensor, Elsewhere])
def test_keeping_on_the_device_is_keeping(kind: type[Tensor]):
    assert same(run(make(stop=Keep(4, 9))), run(make(stop=OnDevice(kind))))


def test_without_a_choice_the_last_average_is_the_one_of_the_last_step():
    fitted = run(make(steps=7))
    assert fitted.steps_of["stopped"] == fitted.steps_of["average"] == 7


def test_a_refused_step_is_in_no_average_and_moves_nothing():
    def ruin(fit: Fit) -> None:
        with torch.no_grad():
            for parameter in fit.net.parameters():
                parameter.mul_(50)

    averages: list[Tensor] = []
    keep = [At(step, lambda fit: averages.append(fit.average.clone())) for step in (30, 31, 32)]
    fit = make(optim=Adam(steps=32, rollback="right", average=0.5), perturb_std=0.0, seed=1)
    fitted = run(fit, keep[0], At(30, ruin), *keep[1:])
    assert fitted.rollbacks == 1
    assert torch.equal(averages[0], averages[1])
    assert not torch.equal(averages[1], averages[2])


# -- a checkpoint ------------------------------------------------------------------------------------------------------


def test_a_checkpoint_of_another_observation_or_seed_is_refused():
    snapshot = interrupted(make(), 3)
    for other in (make(seed=4), make(problem=Problem(y=waves() * 0.9))):
        with pytest.raises(ValueError, match="checkpoint: it is of another observation or seed; give another file"):
            other.resume(snapshot)
    make().resume(snapshot)


def test_a_checkpoint_of_another_z_is_refused_and_one_from_before_it_was_hashed_is_read():
    snapshot = interrupted(make(), 3)
    other = make()
    other.resume({key: value for key, value in snapshot.items() if key != "z"})
    with pytest.raises(ValueError, match="checkpoint: its z is another picture, as another version of a classical"):
        make().resume({**snapshot, "z": "0" * 64})


def test_a_checkpoint_from_before_it_said_who_ended_the_run_is_read_by_its_reason():
    held: list[dict[str, Any]] = []
    for fit, by_rule in ((make(steps=3), False), (make(steps=30, stop=Keep(0, 2)), True)):
        run(fit, At(3, lambda fit: held.append(fit.snapshot())))
        snapshot = held[-1]
        assert (snapshot["ended"], snapshot["by_rule"]) == (True, by_rule)
        snapshot.pop("by_rule")
        snapshot.pop("rule")
        again = make(steps=30, stop=Keep(0, 2))
        again.resume(snapshot)
        assert again.by_rule is by_rule
    unfinished = interrupted(make(), 3)
    unfinished.pop("by_rule")
    again = make()
    again.resume(unfinished)
    assert again.by_rule is False


@pytest.mark.parametrize("kind", ["right", "released"])
def test_a_collapse_just_after_an_interruption_is_rolled_back_too(kind: str):
    def made() -> Fit:
        return make(optim=Adam(steps=40, rollback=kind), perturb_std=0.0, seed=1)

    snapshot = interrupted(made(), 30)
    for name, value in snapshot["parameters"].items():
        if name.startswith("net.") and value.is_floating_point():
            value.mul_(50)
    fit = made()
    fit.resume(snapshot)
    fitted = run(fit)
    assert fitted.rollbacks == 1
    assert fitted.rows[30]["loss"] > 3 * fitted.rows[29]["loss"] > fitted.rows[32]["loss"]


def test_an_ended_run_is_resumed_without_a_step(tmp_path: Path):
    checkpoint = tmp_path / "checkpoint.pt"
    fit = make(steps=5)
    whole = run(fit)
    torch.save(fit.snapshot(), checkpoint)
    again = make(steps=5)
    outputs: list[Tensor] = []
    again.net.register_forward_hook(lambda *call: outputs.append(call[-1]))
    assert same(whole, run(again, checkpoint=checkpoint))
    assert len(outputs) == 1  # the last picture
