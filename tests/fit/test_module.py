"""Laws of the fit: the same run twice, resumed, watched; what each option does; how it ends."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dip_exp.archs.arch import Arch
from dip_exp.archs.pixels import Pixels
from dip_exp.archs.skip import Skip
from dip_exp.errors import Failed, Interrupted
from dip_exp.fit import draw
from dip_exp.fit.module import Fit
from dip_exp.fit.trainer import Fitted, Trainer
from dip_exp.inputs.noise import Noise
from dip_exp.optims.adam import Adam, AdamW
from dip_exp.optims.lbfgs import LBFGS
from dip_exp.optims.muon import Muon
from dip_exp.optims.optim import Optim, Over, leave_gradients
from dip_exp.optims.sgd import SGD
from dip_exp.optims.sgld import SGLD
from dip_exp.seeds import mix
from dip_exp.stopping.fixed import Fixed
from dip_exp.stopping.rule import CONTINUE, StopRule, Verdict
from dip_exp.tasks.problem import Problem, TotalVariation

ARCH = Skip(down=[4, 4], up=[4, 4], skip=[2, 2])
QUIET = Trainer(accelerator="cpu", progress="off")


def waves(height: int = 21, width: int = 18) -> Tensor:
    rows, columns = torch.meshgrid(torch.arange(height) / 9, torch.arange(width) / 7, indexing="ij")
    return torch.stack((rows.sin(), columns.cos(), (rows + columns).sin()))[None] * 0.4 + 0.5


def make(
    steps: int = 12,
    *,
    arch: Arch | nn.Module = ARCH,
    optim: Optim | None = None,
    stop: StopRule | None = None,
    perturb_std: float = 0.05,
    seed: int = 3,
    problem: Problem | None = None,
    **more: Any,
) -> Fit:
    problem = problem or Problem(y=waves(), x=waves().flip(3))
    net, z = draw.draw(problem, arch, Noise(channels=4), seed)
    optim = optim or Adam(steps=steps)
    settings = {"optim": optim, "stop": stop or Fixed(), "perturb_std": perturb_std, "seed": seed, "every": 5, **more}
    return Fit(problem, net, z, **settings)


def run(fit: Fit, *callbacks: pl.Callback, **more: Any) -> Fitted:
    return QUIET.run(fit, callbacks=list(callbacks), **more)


def same(one: Fitted, other: Fitted) -> bool:
    pictures = all(np.array_equal(one.pictures[kind], other.pictures[kind]) for kind in one.pictures)
    curves = [[{k: v for k, v in row.items() if k != "seconds"} for row in fitted.rows] for fitted in (one, other)]
    return pictures and curves[0] == curves[1] and one.steps_of == other.steps_of


class At(pl.Callback):
    """Does something after a step."""

    def __init__(self, step: int, act: Callable[[Fit], None]) -> None:
        self.step, self.act = step, act

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        if pl_module.history.done == self.step:
            self.act(pl_module)


# -- the same ----------------------------------------------------------------------------------------------------------


def test_the_same_fit_twice_and_another_seed():
    first = run(make())
    assert same(first, run(make()))
    assert not np.array_equal(first.pictures["last"], run(make(seed=4)).pictures["last"])


def test_no_global_generator_is_drawn_from():
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002  # the very generator that must not be touched
    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    run(make())
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002


def test_being_watched_changes_nothing():
    def look(fit: Fit) -> None:
        fit.history.rows()
        fit.snapshot()
        torch.rand(1000)

    assert same(run(make()), run(make(every=1), At(4, look)))


OPTIMS = {
    "adam": Adam(steps=12),
    "adamw": AdamW(steps=12),
    "muon": Muon(steps=12),
    "muon over both": Muon(steps=12, over="both"),
    "sgld": SGLD(steps=12, burn_in=0.2, sample_every=2),
    "sgld over both": SGLD(steps=12, burn_in=0.0, sample_every=1, over="both"),
    "sgd": SGD(steps=12, lr=1.0),
    "lbfgs": LBFGS(steps=6, lr=0.5),
    "both": Adam(steps=12, over="both"),
    "input": Adam(steps=12, over="input"),
    "norms and input": Adam(steps=12, over="norms_and_input"),
    "muon over norms and input": Muon(steps=12, over="norms_and_input"),
    "weight noise": Adam(steps=12, weight_noise=0.02),
    "rollback": Adam(steps=12, rollback="right"),
    "released": Adam(steps=12, rollback="released"),
    "clip": Adam(steps=12, clip=0.01),
}


@pytest.mark.parametrize("name", OPTIMS)
def test_interrupted_and_resumed_equals_uninterrupted(name: str, tmp_path: Path):
    """SIGINT at an awkward step, a new process's worth of new objects, and the same bits."""
    optim = OPTIMS[name]
    whole = run(make(optim=optim))
    checkpoint = tmp_path / "checkpoint.pt"
    for step in (1, 4):
        with pytest.raises(Interrupted, match=f"stopped after step {step} of {optim.steps}"):
            run(make(optim=optim), At(step, lambda _: os.kill(os.getpid(), signal.SIGINT)), checkpoint=checkpoint)
    resumed = run(make(optim=optim), checkpoint=checkpoint)
    assert same(whole, resumed)


ENDING = [signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2]
"""What a user, a launcher or a cluster sends; Ctrl-C is tried above."""


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_saves_too(number: signal.Signals, tmp_path: Path):
    checkpoint = tmp_path / "checkpoint.pt"
    with pytest.raises(Interrupted, match="stopped after step 3 of 12"):
        run(make(), At(3, lambda _: os.kill(os.getpid(), number)), checkpoint=checkpoint)
    assert same(run(make()), run(make(), checkpoint=checkpoint))


def test_a_signal_that_somebody_listens_to_is_theirs(tmp_path: Path):
    heard: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: heard.append(number))
    try:
        fitted = run(make(), At(3, lambda _: os.kill(os.getpid(), signal.SIGUSR1)), checkpoint=tmp_path / "c.pt")
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert fitted.steps == 12
    assert heard == [signal.SIGUSR1]


def test_signal_handlers_are_given_back():
    before = [signal.getsignal(number) for number in (signal.SIGINT, *ENDING)]
    run(make(steps=2))
    assert [signal.getsignal(number) for number in (signal.SIGINT, *ENDING)] == before


def test_a_checkpoint_by_the_clock_resumes_a_killed_run(tmp_path: Path):
    class KilledError(Exception):
        pass

    def kill(_: Fit) -> None:
        raise KilledError

    checkpoint = tmp_path / "checkpoint.pt"
    trainer = Trainer(accelerator="cpu", progress="off", checkpoint_seconds=1e-9)
    with pytest.raises(KilledError):
        trainer.run(make(), callbacks=[At(7, kill)], checkpoint=checkpoint)
    assert same(run(make()), run(make(), checkpoint=checkpoint))


# -- what is computed --------------------------------------------------------------------------------------------------


def test_pixels_under_sgd_are_plain_gradient_descent_on_the_energy():
    y = waves()
    problem = Problem(y=y, prior=TotalVariation(weight=1e-4))
    fit = make(arch=Pixels(), optim=SGD(steps=8, lr=5.0, momentum=0.0), problem=problem, perturb_std=0.0)
    x = next(fit.net.parameters()).detach().clone().requires_grad_()
    fitted = run(fit)
    for _ in range(8):
        (gradient,) = torch.autograd.grad(problem.energy(x), x)
        x = (x - 5.0 * gradient).detach().requires_grad_()
    assert np.allclose(fitted.pictures["last"], x.detach().numpy(), atol=1e-6)


def test_the_average_is_the_papers_recursion_over_the_outputs():
    outputs: list[Tensor] = []

    class Collect(pl.Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs_, batch, batch_idx) -> None:
            outputs.append(pl_module.x_hat.clone())

    fitted = run(make(optim=Adam(steps=12, average=0.9)), Collect())
    average = outputs[0]
    for x_hat in outputs[1:]:
        average = 0.9 * average + 0.1 * x_hat
    assert np.allclose(fitted.pictures["average"], average.numpy(), atol=1e-6)
    assert np.array_equal(fitted.pictures["stopped"], fitted.pictures["average"])


def test_the_curve_is_the_loss_and_the_peaks_are_its_best():
    problem = Problem(y=waves(), x=waves())
    fitted = run(make(problem=problem, perturb_std=0.0))
    psnr = [row["psnr"] for row in fitted.rows]
    assert np.allclose(
        [10 ** (-row["psnr"] / 10) for row in fitted.rows], [row["loss"] for row in fitted.rows], rtol=1e-4
    )
    of = {kind: -10 * np.log10(np.mean((fitted.pictures[kind] - waves().numpy()) ** 2)) for kind in ("peak", "last")}
    assert of["peak"] == pytest.approx(max(*psnr, of["last"]), abs=1e-3)  # no result beats the oracle
    best = int(np.argmax(psnr)) + 1 if max(psnr) > of["last"] else 12
    assert fitted.steps_of["peak"] == best
    assert [row["step"] for row in fitted.rows] == list(range(1, 13))
    seconds = [row["seconds"] for row in fitted.rows]
    assert seconds == sorted(seconds)


def test_without_a_truth_there_is_no_oracle_and_no_psnr():
    fitted = run(make(problem=Problem(y=waves())))
    assert set(fitted.pictures) == {"last", "average", "stopped"}
    assert all(row["psnr"] is None for row in fitted.rows)


def test_loss_sees_the_pictures_own_pixels_only():
    fit = make(perturb_std=0.0)
    assert fit.z.shape[2:] == (24, 20)
    assert fit(fit.z).shape == (1, 3, 21, 18)


def test_the_last_picture_has_the_last_perturbed_z_or_the_clean_one():
    for final in ("perturbed", "clean"):
        fit = make(final=final)
        fitted = run(fit)
        z = fit.z_at(11) if final == "perturbed" else fit.z
        with torch.no_grad():
            assert np.array_equal(fitted.pictures["last"], fit(z).numpy())
    assert not torch.equal(fit.z_at(11), fit.z)


def test_perturbation_is_fresh_at_every_step_and_has_its_size():
    fit = make(perturb_std=0.05)
    fit.noise = torch.Generator()
    fit.z = torch.zeros(1, 8, 64, 64)
    first, again, next_ = fit.z_at(0), fit.z_at(0), fit.z_at(1)
    assert torch.equal(first, again)
    assert abs(float(first.std()) - 0.05) < 1e-3
    assert abs(float((first * next_).mean())) < 1e-4


def test_seeds_of_steps_do_not_collide_in_the_bits_the_generator_uses():
    low = {mix(seed, step) & 0xFFFFFFFF for seed in range(20) for step in range(1000)}
    assert len(low) > 19_990


def test_weight_noise_moves_kernels_by_its_share_and_nothing_else():
    fit = make(optim=Adam(steps=2, weight_noise=0.02))
    fit.noise = torch.Generator()
    before = [p.detach().clone() for p in fit.net.parameters()]
    fit._move_weights(0)
    for old, new in zip(before, (p.detach() for p in fit.net.parameters()), strict=True):
        moved = float((new - old).std() / old.std()) if old.ndim == 4 else float((new - old).abs().max())
        assert moved == (pytest.approx(0.02, rel=0.6) if old.ndim == 4 else 0)


def test_over_says_what_moves():
    for over, net_moves, z_moves in (("net", True, False), ("input", False, True), ("both", True, True)):
        fit = make(optim=Adam(steps=3, over=over))
        weights, z = [p.detach().clone() for p in fit.net.parameters()], fit.z.detach().clone()
        run(fit)
        assert any(not torch.equal(a, b) for a, b in zip(weights, fit.net.parameters(), strict=True)) is net_moves
        assert (not torch.equal(z, fit.z.detach())) is z_moves


@pytest.mark.parametrize("optimizer", [Adam, AdamW, Muon])
def test_kernels_stay_as_drawn_while_norms_and_z_move(optimizer: Any):
    fit = make(optim=optimizer(steps=3, over="norms_and_input"))
    norms = {id(p) for module in fit.net.modules() if isinstance(module, nn.BatchNorm2d) for p in module.parameters()}
    before = [(p, p.detach().clone()) for p in (fit.z, *fit.net.parameters())]
    run(fit)
    assert norms
    for parameter, old in before:
        assert (not torch.equal(parameter, old)) is (parameter is fit.z or id(parameter) in norms)


def test_the_number_of_weights_is_that_of_what_moves():
    counts = {over: run(make(optim=Adam(steps=1, over=over))).weights for over in get_args(Over)}
    fit = make()
    assert counts["net"] == sum(p.numel() for p in fit.net.parameters())
    assert counts["input"] == fit.z.numel()
    assert counts["both"] == counts["net"] + counts["input"]
    normed = sum(2 * module.num_features for module in fit.net.modules() if isinstance(module, nn.BatchNorm2d))
    assert counts["norms_and_input"] == normed + counts["input"]


def test_what_its_owner_has_frozen_stays_frozen():
    net = nn.Sequential(nn.Conv2d(4, 3, 1), nn.BatchNorm2d(3), nn.BatchNorm2d(3))
    net[1].requires_grad_(False)
    leave_gradients(net, "net")
    assert [p.requires_grad for p in net.parameters()] == [True, True, False, False, True, True]
    leave_gradients(net, "norms_and_input")
    assert [p.requires_grad for p in net.parameters()] == [False, False, False, False, True, True]


def test_clipping_bounds_the_first_step_of_gradient_descent():
    fit = make(optim=SGD(steps=1, lr=1.0, momentum=0.0, clip=1e-4), perturb_std=0.0)
    before = torch.cat([p.detach().flatten() for p in fit.net.parameters()])
    run(fit)
    after = torch.cat([p.detach().flatten() for p in fit.net.parameters()])
    assert float((after - before).norm()) <= 1e-4 * 1.01


def test_double_precision_is_double():
    fit = make()
    run(fit, precision="fp64")
    assert fit.average.dtype == torch.float64
    assert all(p.dtype == torch.float64 for p in fit.net.parameters())


def test_half_precision_runs_and_is_near():
    one, other = run(make()), run(make(), precision="bf16")
    assert np.abs(one.pictures["average"] - other.pictures["average"]).max() < 0.1


# -- rollback ----------------------------------------------------------------------------------------------------------


def test_a_collapse_is_rolled_back():
    """A step far too large ruins the fit; `right` undoes it, lowers lr and goes on."""

    def ruin(fit: Fit) -> None:
        with torch.no_grad():
            for parameter in fit.net.parameters():
                parameter.mul_(50)

    free, right, released = (
        run(make(optim=Adam(steps=40, rollback=kind), perturb_std=0.0, seed=1), At(30, ruin))
        for kind in ("none", "right", "released")
    )
    assert free.rollbacks == 0
    assert right.rollbacks == released.rollbacks == 1
    assert right.rows[-1]["loss"] < free.rows[-1]["loss"]
    assert released.rows[-1]["loss"] < free.rows[-1]["loss"]
    # the ruined output is in the released notebook's average and not in ours
    ruined = right.rows[30]
    assert ruined["loss"] > 3 * right.rows[29]["loss"]


# -- how it ends -------------------------------------------------------------------------------------------------------


class Keep(StopRule):
    """Keeps the average of one step and ends the run at a later one."""

    def __init__(self, keep: int, stop: int) -> None:
        self.keep, self.stop, self.seen = keep, stop, 0

    def update(self, step: int, x_hat: Tensor, loss: Tensor) -> Verdict:
        self.seen += 1
        if step == self.stop:
            return Verdict(stop=True, reason="seen enough")
        return Verdict(keep=True) if step == self.keep else CONTINUE

    def state(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def load(self, state: dict[str, Any]) -> None:
        self.seen = state["seen"]


def test_a_rule_ends_the_run_and_keeps_the_step_it_chose(tmp_path: Path):
    averages: dict[int, np.ndarray] = {}
    keep = At(5, lambda fit: averages.update({5: fit.average.numpy().copy()}))
    fitted = run(make(steps=50, stop=Keep(keep=4, stop=9)), keep)
    assert fitted.steps == 10
    assert fitted.reason == "seen enough"
    assert fitted.steps_of["stopped"] == 5
    assert np.array_equal(fitted.pictures["stopped"], averages[5])
    checkpoint, rule = tmp_path / "c.pt", Keep(keep=4, stop=9)
    with pytest.raises(Interrupted):
        run(make(stop=Keep(4, 9)), At(6, lambda _: os.kill(os.getpid(), signal.SIGINT)), checkpoint=checkpoint)
    assert same(fitted, run(make(steps=50, stop=rule), checkpoint=checkpoint))
    assert rule.seen == 10


def test_a_loss_that_is_not_finite_ends_the_run_with_its_step():
    def poison(fit: Fit) -> None:
        with torch.no_grad():
            next(fit.net.parameters()).fill_(torch.nan)

    with pytest.raises(Failed, match=r"fit: the loss of step 4 is nan; .*optim.lr=0.001.*trainer.diverged=stop"):
        run(make(), At(3, poison))
    ends_well = Trainer(accelerator="cpu", progress="off", diverged="stop")
    broken, before = ends_well.run(make(), callbacks=[At(3, poison)]), run(make(steps=3))
    assert broken.broken
    assert broken.diverged
    assert (broken.steps, broken.reason.split(";")[0]) == (3, "fit: the loss of step 4 is nan")
    assert all(np.isfinite(picture).all() for picture in broken.pictures.values())
    assert np.array_equal(broken.pictures["average"], before.pictures["average"])
    poisoned = make()
    poison(poisoned)
    with pytest.raises(Failed, match="the loss of step 1 is nan"):  # there is nothing before it
        ends_well.run(poisoned)


def test_a_fit_that_broke_off_is_gone_on_with_from_before(tmp_path: Path):
    """Killed between its end and its record: the same command does it again and ends alike."""

    def poison(fit: Fit) -> None:
        with torch.no_grad():
            next(fit.net.parameters()).fill_(torch.nan)

    trainer = Trainer(accelerator="cpu", progress="off", diverged="stop", checkpoint_seconds=1e-9)
    whole = trainer.run(make(), callbacks=[At(3, poison)])
    first, again = (trainer.run(make(), callbacks=[At(3, poison)], checkpoint=tmp_path / "c.pt") for _ in range(2))
    assert (first.reason, again.reason) == (whole.reason, whole.reason)
    assert again.steps == 3
    assert same(whole, again)


class Bursting(torch.optim.Adam):
    """Adam whose fourth update makes every weight infinite, as one gradient that overflows does."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.updates = 0

    def step(self, closure: Any = None) -> Any:
        loss = super().step(closure)
        self.updates += 1
        if self.updates == 4:
            for group in self.param_groups:
                for parameter in group["params"]:
                    parameter.data.fill_(torch.inf)
        return loss


def test_a_fit_that_goes_back_gets_over_a_burst(monkeypatch: pytest.MonkeyPatch):
    """The step whose loss is not finite leaves no trace in weights, statistics, optimizer, average and picture."""
    monkeypatch.setattr(torch.optim, "Adam", Bursting)
    whole = run(make(optim=Adam(steps=12, rollback="right")))
    assert whole.rollbacks == 1
    assert [row["step"] for row in whole.rows if not np.isfinite(row["loss"])] == [5]
    assert whole.rows[-1]["loss"] < whole.rows[0]["loss"]
    assert all(np.isfinite(picture).all() for picture in whole.pictures.values())
    assert not whole.broken


def test_a_checkpoint_of_another_rule_is_refused():
    with pytest.raises(ValueError, match=r"Fixed: a checkpoint holds \['seen'\]"):
        Fixed().load({"seen": 3})
