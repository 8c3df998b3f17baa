"""Stop rules: what they measure is what they say, they really end a run, and they keep the step they chose."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dip_exp.archs.skip import Skip
from dip_exp.errors import Interrupted, Refused
from dip_exp.fit import draw
from dip_exp.fit.module import Fit
from dip_exp.fit.trainer import Fitted, Trainer
from dip_exp.inputs.noise import Noise as NoiseInput
from dip_exp.inputs.picture import GivenPicture
from dip_exp.optims.adam import Adam
from dip_exp.stopping.discrepancy import Discrepancy
from dip_exp.stopping.emv import ExponentialVariance
from dip_exp.stopping.heldout import HeldOut
from dip_exp.stopping.least import Least
from dip_exp.stopping.plateau import Plateau
from dip_exp.stopping.rule import StopRule, Verdict, View
from dip_exp.stopping.sure import Sure
from dip_exp.stopping.variance import sampled
from dip_exp.stopping.watch import Watch
from dip_exp.stopping.wmv import WindowedVariance
from dip_exp.tasks import noise
from dip_exp.tasks.denoise import Denoise
from dip_exp.tasks.denoise_impulse import DenoiseImpulse
from dip_exp.tasks.denoise_poisson import DenoisePoisson
from dip_exp.tasks.denoise_speckle import DenoiseSpeckle
from dip_exp.tasks.problem import Problem

ARCH = Skip(down=[4], up=[4], skip=[2])
QUIET = Trainer(accelerator="cpu", progress="off")


def waves(height: int = 21, width: int = 18) -> Tensor:
    rows, columns = torch.meshgrid(torch.arange(height) / 9, torch.arange(width) / 7, indexing="ij")
    return torch.stack((rows.sin(), columns.cos(), (rows + columns).sin()))[None] * 0.4 + 0.5


def noisy(sigma: float = 0.2) -> Problem:
    x = waves()
    y = (x + sigma * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    return Problem(y=y, x=x, noise=noise.gaussian(sigma, clipped=True))


def make(stop: StopRule, problem: Problem | None = None, steps: int = 120, **more: Any) -> Fit:
    problem = problem or noisy()
    source = GivenPicture() if isinstance(stop, Sure) else NoiseInput(channels=4)
    net, z = draw.draw(problem, ARCH, source, 3)
    optim = Adam(steps=steps, average=0.9)
    return Fit(problem, net, z, **{"optim": optim, "stop": stop, "perturb_std": 0.05, "seed": 3, "every": 5, **more})


def run(fit: Fit, **more: Any) -> Fitted:
    return QUIET.run(fit, **more)


class Interrupting(pl.Callback):
    """Ctrl-C after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        if pl_module.history.done == self.step:
            os.kill(os.getpid(), signal.SIGINT)


class Recorded(StopRule):
    """Ends nothing, and stores every output and every average."""

    def begin(self, view: View) -> None:
        self.view = view
        self.outputs: list[np.ndarray] = []
        self.averages: list[np.ndarray] = []

    def update(self, step: int, x_hat: Tensor, loss: Tensor) -> Verdict:
        self.outputs.append(x_hat.numpy().copy())
        self.averages.append(self.view.average.numpy().copy())
        return Verdict()


@pytest.fixture(scope="module")
def trajectory() -> Recorded:
    rule = Recorded()
    run(make(rule))
    return rule


def view(shape: tuple[int, ...] = (1, 3, 21, 18), memory: int = 10, problem: Problem | None = None) -> View:
    return View(problem or Problem(y=torch.zeros(shape)), torch.zeros(shape), memory, 0)


# -- what is measured --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [2, 10, 25])
@pytest.mark.parametrize("sample", [100, 10**6])
def test_the_windowed_variance_is_that_of_its_definition(trajectory: Recorded, window: int, sample: int):
    rule = WindowedVariance(window=window, sample=sample)
    rule.begin(view())
    places = sampled(trajectory.outputs[0].size, sample, torch.device("cpu"))
    chosen = slice(None) if places is None else places.numpy()
    for step, x_hat in enumerate(trajectory.outputs):
        flat = torch.from_numpy(x_hat).flatten()
        found = rule.variance(step, flat if places is None else flat[places])
        if step + 1 < window:
            assert found is None
            continue
        last = np.stack(trajectory.outputs[step + 1 - window : step + 1]).astype(np.float64)
        direct = last.reshape(window, -1)[:, chosen].var(axis=0).mean()
        assert found is not None
        assert float(found) == pytest.approx(direct, rel=1e-9)


def test_the_windowed_variance_does_not_drift():
    """Ten thousand outputs of which the first thousand vary widely: what is left after them is what is there."""
    generator = torch.Generator().manual_seed(0)
    rule = WindowedVariance(window=7)
    rule.begin(view((1, 1, 4, 4)))
    kept: list[Tensor] = []
    for step in range(10_000):
        values = torch.rand(16, generator=generator) * (1.0 if step < 1000 else 1e-3)
        kept = [*kept[-6:], values]
        found = rule.variance(step, values)
    assert float(found) == pytest.approx(float(torch.stack(kept).double().var(dim=0, correction=0).mean()), rel=1e-3)


def test_the_exponential_variance_is_that_of_its_definition(trajectory: Recorded):
    rule = ExponentialVariance(memory=10)
    rule.begin(view())
    mean, variance = trajectory.outputs[0].astype(np.float64), 0.0
    for step, x_hat in enumerate(trajectory.outputs):
        variance = 0.9 * (variance + 0.1 * np.square(x_hat - mean).mean())
        mean = mean + 0.1 * (x_hat - mean)
        found = rule.variance(step, torch.from_numpy(x_hat).flatten())
        assert (found is None) == (step < 9)
        if found is not None:
            assert float(found) == pytest.approx(variance, rel=1e-4)


@pytest.mark.parametrize(("rule", "first"), [(WindowedVariance(), 60), (ExponentialVariance(), 30)])
def test_a_window_goes_with_what_the_average_remembers(rule: StopRule, first: int):
    rule.begin(view(memory=30))
    output = torch.zeros((1, 3, 21, 18))
    seen = [rule.variance(step, output.flatten()) is not None for step in range(first)]  # type: ignore[attr-defined]
    assert seen == [False] * (first - 1) + [True]


def test_places_looked_at_are_the_same_every_time_and_all_where_they_fit():
    one, other = (sampled(1000, 100, torch.device("cpu")) for _ in range(2))
    assert one is not None
    assert torch.equal(one, other)
    assert len(set(one.tolist())) == 100
    assert sampled(100, 100, torch.device("cpu")) is None


def test_a_minimum_counts_once_it_follows_the_top():
    values = [1.0, 0.5, 3.0, 9.0, 8.0, 4.0, 5.0, 3.5, 6.0]
    least = Least(torch.device("cpu"))
    better = [bool(least.note(step, torch.tensor(value))) for step, value in enumerate(values)]
    assert better == [False, True, False, False, True, True, False, True, False]
    assert (float(least.value), int(least.step), least.waited(8)) == (3.5, 7, 1)


@pytest.mark.parametrize("sigma", [0.02, 0.1, 0.3])
@pytest.mark.parametrize("level", [0.0, 0.03, 0.5, 0.95, 1.0])
def test_what_clipping_leaves_of_the_noise(sigma: float, level: float):
    x = torch.full((2_000_000,), level, dtype=torch.float64)
    n = sigma * torch.randn(x.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = float(((x + n).clamp(0, 1) - x).square().mean())
    found = float(noise.clipped_variance(x[:1], torch.tensor(sigma, dtype=torch.float64)))
    assert found == pytest.approx(expected, rel=5e-3)


TASKS = [Denoise(), Denoise(sigma=50), Denoise(clip=False), DenoisePoisson(), DenoiseImpulse(), DenoiseSpeckle()]


@pytest.mark.parametrize("task", TASKS, ids=repr)
def test_a_task_knows_how_far_its_noise_goes(task: Any):
    x = np.ascontiguousarray(np.broadcast_to(np.linspace(0, 1, 400, dtype=np.float32), (1, 1, 500, 400)))
    problem = task.problem(x, "clean", np.random.default_rng(0))
    assert problem.noise is not None
    expected = problem.noise.variance(torch.from_numpy(x)).mean()
    assert float((problem.y - torch.from_numpy(x)).square().mean()) == pytest.approx(float(expected), rel=0.02)
    assert task.problem(x, "observed", np.random.default_rng(0)).noise is None


def test_the_divergence_is_the_trace():
    """Of a linear map, known exactly; the estimate is unbiased."""
    y = noisy().y
    matrix = torch.randn((3, 3), generator=torch.Generator().manual_seed(2))
    rule = Sure(every=1)
    rule.pose(noisy(), y, 0)
    rule.begin(view(memory=10, problem=noisy()))

    def net(z: Tensor) -> Tensor:
        return torch.einsum("ij,njhw->nihw", matrix, z)

    terms = [rule.extra(step, y, net(y), net) for step in range(400)]
    mean = float(torch.stack([term for term in terms if term is not None]).mean())
    assert mean == pytest.approx(float(2 * 0.2**2 * matrix.trace() / 3), rel=0.1)


def test_pixels_left_out_are_not_seen_by_the_fit():
    problem = noisy()
    rule = HeldOut(share=0.2)
    posed = rule.pose(problem, torch.zeros(1, 1, 1, 1), 5)
    assert posed.weight is not None
    held = (posed.weight == 0).expand_as(problem.y)
    assert int(held.sum()) == 3 * round(0.2 * 21 * 18)
    other = replace(problem, y=torch.where(held, 0.3, problem.y))
    one, two = (run(make(HeldOut(share=0.2), each, steps=20, seed=5)) for each in (problem, other))
    assert np.array_equal(one.pictures["last"], two.pictures["last"])


def test_pixels_left_out_are_known_ones():
    weight = (torch.rand((1, 1, 21, 18), generator=torch.Generator().manual_seed(0)) < 0.5).float()
    problem = replace(noisy(), weight=weight)
    posed = HeldOut(share=0.1).pose(problem, torch.zeros(1, 1, 1, 1), 5)
    assert posed.weight is not None
    assert bool((posed.weight <= weight).all())
    assert int((weight - posed.weight).sum()) == round(0.1 * int(weight.sum()))


# -- how it ends -------------------------------------------------------------------------------------------------------

RULES: dict[str, Callable[[], StopRule]] = {
    "wmv": lambda: WindowedVariance(patience=30, window=10),
    "emv": lambda: ExponentialVariance(patience=30),
    "discrepancy": lambda: Discrepancy(tau=1.5),
    "plateau": lambda: Plateau(window=20, fall=0.3),
}
ACTIVE: dict[str, Callable[[], StopRule]] = {
    "heldout": lambda: HeldOut(patience=10, share=0.2),
    "sure": lambda: Sure(window=5, every=1),
}


@pytest.mark.parametrize("name", [*RULES, *ACTIVE])
def test_a_rule_ends_the_run_says_why_and_keeps_its_step(name: str):
    fitted = run(make({**RULES, **ACTIVE}[name](), steps=3000))
    assert fitted.steps < 3000
    assert fitted.reason.startswith(f"{name}: ")
    step = fitted.steps_of["stopped"]
    assert 1 <= step <= fitted.steps
    again = Recorded()
    if name in RULES:  # the average of just that step, not of the one at which patience ran out
        run(make(again, steps=step))
        assert np.array_equal(fitted.pictures["stopped"], again.averages[step - 1])


@pytest.mark.parametrize("name", ["wmv", "emv"])
def test_patience_is_counted_from_the_least(name: str):
    fitted = run(make(RULES[name](), steps=3000))
    assert 30 <= fitted.steps - fitted.steps_of["stopped"] < 40


def test_several_watch_what_each_would_have_done_alone():
    steps = 400
    watched = run(make(Watch(rules={name: rule() for name, rule in RULES.items()}), steps=steps))
    assert watched.steps == steps
    for name, rule in RULES.items():
        alone = run(make(rule(), steps=steps))
        kind = f"stopped_{name}"
        assert np.array_equal(watched.pictures[kind], alone.pictures["stopped"])
        assert watched.steps_of[kind] == alone.steps_of["stopped"]
        assert watched.findings[kind]["ended"] == alone.steps
        assert watched.findings[kind]["reason"] == alone.reason


def test_a_rule_that_never_ends_nor_keeps_has_the_last_average():
    fitted = run(make(Watch(rules={"plateau": Plateau(window=500)}), steps=20))
    assert np.array_equal(fitted.pictures["stopped_plateau"], fitted.pictures["average"])
    assert fitted.steps_of["stopped_plateau"] == 20
    assert fitted.findings["stopped_plateau"]["ended"] is None


def test_who_cannot_judge_is_passed_over():
    rules = {"discrepancy": Discrepancy(), "wmv": WindowedVariance(window=4)}
    fitted = run(make(Watch(rules=rules), replace(noisy(), noise=None), steps=20))
    assert "knows none" in fitted.findings["discrepancy"]["cannot"]
    assert "stopped_wmv" in fitted.pictures
    assert "stopped_discrepancy" not in fitted.pictures


ALL: dict[str, Callable[[], StopRule]] = {
    **RULES,
    **ACTIVE,
    "watch": lambda: Watch(rules={name: rule() for name, rule in RULES.items()}),
}


@pytest.mark.parametrize("name", ALL)
def test_interrupted_and_resumed_ends_as_uninterrupted(name: str, tmp_path: Path):
    whole = run(make(ALL[name](), steps=120))
    checkpoint = tmp_path / "checkpoint.pt"

    for step in (3, 17):
        with pytest.raises(Interrupted):
            run(make(ALL[name](), steps=120), callbacks=[Interrupting(step)], checkpoint=checkpoint)
    resumed = run(make(ALL[name](), steps=120), checkpoint=checkpoint)
    assert (resumed.steps, resumed.reason, resumed.findings) == (whole.steps, whole.reason, whole.findings)
    assert resumed.steps_of == whole.steps_of
    assert all(np.array_equal(resumed.pictures[kind], whole.pictures[kind]) for kind in whole.pictures)


@pytest.mark.parametrize("name", RULES)
def test_a_passive_rule_changes_nothing_of_the_fit(name: str):
    free = run(make(Recorded(), steps=40))
    watched = run(make(Watch(rules={name: RULES[name]()}), steps=40))
    for kind in ("last", "average", "peak"):
        assert np.array_equal(free.pictures[kind], watched.pictures[kind])


def test_the_discrepancy_is_where_the_average_is_as_far_as_the_noise(trajectory: Recorded):
    problem = noisy()
    fitted = run(make(Discrepancy(tau=1.5)))
    y, assumed = problem.y.numpy(), problem.noise
    assert assumed is not None
    ratios = [
        np.square(average - y).mean() / float(assumed.variance(torch.from_numpy(average)).mean())
        for average in trajectory.averages
    ]
    looked = [step for step in range(9, 120, 10) if ratios[step] <= 1.5]
    assert fitted.steps_of["stopped"] == looked[0] + 1


def test_a_plateau_is_where_the_loss_no_longer_falls():
    def ended(losses: list[float]) -> int | None:
        rule = Plateau(window=20, fall=0.1)
        rule.begin(view())
        for step, loss in enumerate(losses):
            if rule.update(step, torch.zeros(1, 1, 1, 1), torch.tensor(loss)).stop:
                return step + 1
        return None

    assert ended([0.97**step for step in range(400)]) is None
    assert ended([0.9999**step for step in range(400)]) == 30
    bent = ended([max(0.97**step, 0.97**200) for step in range(400)])
    assert bent is not None
    assert 200 < bent <= 240


# -- refusals ----------------------------------------------------------------------------------------------------------


def test_errors_say_what_a_rule_needs():
    blind = replace(noisy(), noise=None)
    y = blind.y
    with pytest.raises(ValueError, match=r"discrepancy needs the noise.*knows none.*stop\.sigma=25"):
        Discrepancy().pose(blind, y, 0)
    assert Discrepancy(sigma=25).pose(blind, y, 0) is blind
    with pytest.raises(ValueError, match=r"SURE needs white Gaussian noise of a known level.*stop\.sigma=25"):
        Sure().pose(blind, y, 0)
    with pytest.raises(ValueError, match="fed with the observation itself; give input=picture"):
        Sure().pose(noisy(), torch.zeros_like(y), 0)
    with pytest.raises(ValueError, match="SURE is for denoising alone"):
        Sure().pose(replace(noisy(), weight=torch.ones((1, 1, 21, 18))), y, 0)
    with pytest.raises(ValueError, match=r"0\.001 of 378 known pixels are 0; some must be left out"):
        HeldOut(share=0.001).pose(noisy(), y, 0)
    with pytest.raises(ValueError, match=r"watch: held changes the run.*stop=held"):
        Watch(rules={"held": HeldOut()})


def test_a_rule_that_cannot_judge_is_refused_before_the_first_step(run: Any, runs: Any):
    with pytest.raises(Refused, match=r"discrepancy needs the noise.*\[conf/stop/discrepancy\.yaml, or stop\."):
        run("task=superres", "stop=discrepancy", "optim.steps=2")
    assert runs() == []


def test_a_record_says_when_every_rule_would_have_ended(run: Any):
    done = run("stop=watch", "optim.steps=60", "stop.rules.wmv.window=5", "stop.rules.wmv.patience=10")
    told = done["stop"]["told"]["stopped_wmv"]
    assert set(told) >= {"ended", "reason"}
    assert done["scores"]["stopped_wmv"]["psnr"] is not None
    assert done["steps_of"]["stopped_wmv"] <= 60


def test_the_network_is_asked_for_the_observation(run: Any):
    with pytest.raises(Refused, match="give input=picture"):
        run("stop=sure", "optim.steps=2")
    done = run("stop=sure", "input=picture", "optim.steps=4")
    assert "estimate" in done["stop"]["told"]


def test_nothing_but_a_module_is_needed_of_a_network():
    """A rule's extra passes go through whatever network there is."""
    problem = noisy()
    net = nn.Conv2d(3, 3, 3, padding=1)
    net_, z = draw.draw(problem, net, GivenPicture(), 0)
    fit = Fit(problem, net_, z[..., :21, :18], optim=Adam(steps=5), stop=Sure(every=1), seed=0)
    assert run(fit).steps == 5
