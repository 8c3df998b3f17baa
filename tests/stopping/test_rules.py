"""Stop rules step by step: what each measures and when it ends, on series made for it."""

from collections.abc import Iterator
from dataclasses import MISSING, fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from hydra.utils import get_class
from torch import Tensor

from dip_exp import config
from dip_exp.stopping.discrepancy import Discrepancy
from dip_exp.stopping.emv import ExponentialVariance
from dip_exp.stopping.fixed import Fixed
from dip_exp.stopping.heldout import HeldOut
from dip_exp.stopping.least import Least
from dip_exp.stopping.patient import Patient
from dip_exp.stopping.plateau import Plateau
from dip_exp.stopping.rule import CHECK_EVERY, CONTINUE, StopRule, Verdict, View
from dip_exp.stopping.sure import Sure
from dip_exp.stopping.variance import sampled
from dip_exp.stopping.watch import Watch
from dip_exp.stopping.wmv import WindowedVariance
from dip_exp.tasks import noise
from dip_exp.tasks.problem import Problem
from tests.options import options, words

CPU = torch.device("cpu")
SHAPE = (1, 1, 2, 2)


def view(problem: Problem | None = None, memory: int = 10, seed: int = 0) -> View:
    problem = problem or Problem(y=torch.zeros(SHAPE))
    return View(problem, torch.zeros_like(problem.y), memory, seed)


def scalar(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


@pytest.mark.parametrize("option", options("stop"))
def test_a_rule_made_in_python_is_that_of_its_yaml(option: str):
    settings = config.plain(config.compose(words("stop", option)))["stop"]
    for field in fields(get_class(settings["_target_"])):
        default = getattr(field.default, "default", field.default)  # pydantic's own, or the value itself
        if default is not MISSING and not isinstance(settings[field.name], dict):
            assert settings[field.name] == default, field.name


# -- the base ----------------------------------------------------------------------------------------------------------


def test_a_rule_that_says_nothing_keeps_nothing_ends_nothing_and_costs_nothing():
    class Silent(StopRule):
        def update(self, step: int, x_hat: Tensor, loss: Tensor) -> Verdict:
            return CONTINUE

    rule, problem = Silent(), Problem(y=torch.zeros(SHAPE))
    assert Verdict() == CONTINUE == Verdict(keep=False, stop=False, reason="", also={})
    assert rule.pose(problem, problem.y, 0) is problem
    assert rule.extra(0, problem.y, problem.y, lambda z: z) is None
    assert (rule.slowdown, rule.findings(), rule.state()) == (1, {}, {})
    assert (rule.active, rule.ends) == (False, True)
    rule.load({})


def test_only_a_rule_that_keeps_something_takes_up_a_state():
    with pytest.raises(ValueError, match=r"Fixed: a checkpoint holds \['seen'\] but this rule keeps nothing"):
        Fixed().load({"seen": 3})


def test_who_says_that_it_never_ends_a_run_are_fixed_and_watch():
    rules = (Fixed, Watch, WindowedVariance, ExponentialVariance, Discrepancy, Plateau, HeldOut, Sure)
    assert [rule for rule in rules if not rule.ends] == [Fixed, Watch]
    assert [rule for rule in rules if rule.active] == [HeldOut, Sure]


def test_fixed_never_ends_a_run():
    rule = Fixed()
    rule.begin(view())
    assert not rule.ends
    assert all(rule.update(step, torch.zeros(SHAPE), scalar(1)) == CONTINUE for step in range(50))


def test_a_minimum_is_below_all_before_it_and_a_top_above():
    least = Least(CPU)
    assert not least.found
    values = [1.0, 1.0, 0.5, 0.5, 2.0, 2.0]
    better = [bool(least.note(step, scalar(value))) for step, value in enumerate(values)]
    assert better == [False, True, True, False, False, True]
    assert (least.waited(9), least.found) == (4, True)


def test_a_top_is_the_start_of_a_new_wait_and_no_minimum():
    least = Least(CPU)
    for step, value in enumerate([3.0, 1.0, 4.0]):
        least.note(step, scalar(value))
    assert (least.waited(2), least.waited(7), least.found) == (0, 5, False)


class Series(Patient):
    """Judges its steps by the values that it is given."""

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.wait_on(CPU)

    def update(self, step: int, x_hat: Tensor, loss: Tensor) -> Verdict:
        return self.judged(step, loss, look=True, what="series: it", digits=2)


@pytest.mark.parametrize("patience", [1, 2, 5])
def test_patience_ends_after_that_many_steps_without_a_new_minimum(patience: int):
    rule = Series(patience)
    values = [3.0, 1.2345, *[2.0] * 9]
    verdicts = [rule.update(step, torch.zeros(SHAPE), scalar(value)) for step, value in enumerate(values)]
    assert [bool(verdict.keep) for verdict in verdicts] == [False, True, *[False] * 9]
    assert [verdict.stop for verdict in verdicts].index(True) == 1 + patience
    assert verdicts[1 + patience].reason == f"series: it was least at step 2 (1.2) and no smaller for {patience} steps"
    assert rule.findings() == {"least": 1.2345}


def test_without_a_minimum_nobody_waits_in_vain():
    """Of a series that is no number after its top, no step can be the best."""
    rule = Series(2)
    for step, value in enumerate([1.0, *[torch.nan] * 9]):
        assert not rule.update(step, torch.zeros(SHAPE), scalar(value)).stop
    assert rule.findings() == {}


def test_it_ends_only_when_it_may_wait_for_the_device():
    rule = Series(1)
    for step, value in enumerate([2.0, 1.0, 1.5, 1.5]):
        verdict = rule.judged(step, scalar(value), look=False, what="", digits=1)
        assert not verdict.stop
        assert bool(verdict.keep) is (step == 1)


RESUMED = {
    "wmv": lambda: WindowedVariance(window=3, patience=12, sample=3),
    "emv": lambda: ExponentialVariance(memory=3, patience=12, sample=3),
    "plateau": lambda: Plateau(window=20, fall=0.5),
    "heldout": lambda: HeldOut(share=0.25, every=1, patience=8),
    "sure": lambda: Sure(window=5),
}


@pytest.mark.parametrize("name", RESUMED)
@pytest.mark.parametrize("interruption", [2, 11, 21, 26])
def test_a_rule_that_takes_up_its_state_judges_as_one_that_kept_it(name: str, interruption: int):
    """The series falls until step 20 and rises then, so that what comes before an interruption is what counts."""

    def begun() -> tuple[Any, View]:
        rule = RESUMED[name]()
        problem = gaussian_problem()
        seen = view(rule.pose(problem, problem.y, 0))
        rule.begin(seen)
        return rule, seen

    def judged(rule: Any, seen: View, step: int) -> tuple[bool, bool, str, dict[str, Any]]:
        size = 0.8**step if step < 20 else 0.8 ** (40 - step)
        x_hat = size * torch.tensor([1.0, -1.0, 0.5, 2.0]).reshape(SHAPE) * (-1) ** step
        seen.average.copy_(x_hat.abs())
        rule._divergence = torch.tensor(20.0 - step)  # of SURE alone
        verdict = rule.update(step, x_hat, scalar(size))
        return bool(verdict.keep), verdict.stop, verdict.reason, rule.findings()

    whole, parts, other = begun(), begun(), begun()
    expected = [judged(*whole, step) for step in range(40)]
    assert any(stop for _, stop, _, _ in expected)
    found = [judged(*parts, step) for step in range(interruption)]
    other[0].load(parts[0].state())
    found += [judged(*other, step) for step in range(interruption, 40)]
    assert found == expected


def test_a_share_is_neither_nothing_nor_everything():
    for share in (0.0, 1.0):
        with pytest.raises(ValueError, match="share"):
            HeldOut(share=share)


# -- the variance of the outputs ---------------------------------------------------------------------------------------


def test_the_places_are_a_fixed_draw_in_ascending_order():
    """Which ones they are belongs to what a run computes."""
    drawn = torch.randperm(1000, generator=torch.Generator().manual_seed(0))[:100]
    places = sampled(1000, 100, CPU)
    assert places is not None
    assert torch.equal(places, torch.sort(drawn).values)


@pytest.mark.parametrize("rule", [WindowedVariance(window=4, sample=3), ExponentialVariance(memory=4, sample=3)])
def test_a_variance_looks_at_its_places_alone_and_ends_at_a_tenth_step(rule: Any):
    rule.patience = 5
    rule.begin(view())
    places = sampled(4, 3, CPU)
    assert places is not None
    kept, ended = [], None
    for step in range(60):
        x_hat = torch.full((4,), torch.nan)
        x_hat[places] = torch.tensor([0.0, 1.0, 2.0]) * (0.5**step if step < 23 else 0.1 * (step % 2))
        verdict = rule.update(step, x_hat.reshape(SHAPE), scalar(0))
        kept += [step] if bool(verdict.keep) else []
        if verdict.stop:
            ended = step + 1
            break
    assert ended is not None
    assert ended % CHECK_EVERY == 0
    assert 5 <= ended - 1 - kept[-1] < 5 + CHECK_EVERY
    number = verdict.reason.partition("(")[2].partition(")")[0]
    assert verdict.reason.startswith(f"{rule.name}: the variance of the outputs was least at step {kept[-1] + 1} (")
    assert number == f"{rule.findings()['least']:.3g}"


# -- the discrepancy ---------------------------------------------------------------------------------------------------


def residual(offset: float, weight: Tensor | None = None) -> View:
    """An average that is off by the same everywhere, under noise of standard deviation 0.5."""
    y = torch.full((1, 2, 2, 2), 0.25)
    seen = view(Problem(y=y, weight=weight, noise=noise.gaussian(0.5, clipped=False)))
    seen.average.fill_(0.25 + offset)
    return seen


def test_the_discrepancy_is_looked_at_every_tenth_step_and_ends_at_its_limit():
    for offset, tau, ends in ((0.5, 1.0, True), (0.5, 0.999, False), (1.0, 4.0, True), (1.0, 3.9, False)):
        rule = Discrepancy(tau=tau)
        rule.begin(residual(offset))
        assert rule.findings() == {}
        verdicts = [rule.update(step, torch.zeros(SHAPE), scalar(0)) for step in range(20)]
        assert [step + 1 for step, verdict in enumerate(verdicts) if verdict.stop] == ([10, 20] if ends else [])
        assert [bool(verdict.keep) for verdict in verdicts] == [verdict.stop for verdict in verdicts]
        assert rule.findings() == {"ratio": (offset / 0.5) ** 2}
        if ends:
            assert f"is {rule.findings()['ratio']:.3f} times as far" in verdicts[9].reason


def test_the_discrepancy_counts_known_values_alone():
    weight = torch.tensor([1.0, 0.0, 0.0, 1.0]).reshape(1, 1, 2, 2)
    seen = residual(0.5, weight)
    seen.average.mul_(torch.where(weight == 0, 100.0, 1.0))  # wild where nothing is known
    rule = Discrepancy()
    rule.begin(seen)
    rule.update(9, seen.average, scalar(0))
    assert rule.findings() == {"ratio": 1}


# -- the plateau -------------------------------------------------------------------------------------------------------


def plateau(window: int, fall: float, losses: list[float]) -> tuple[int, float, float] | None:
    """The definition: the smoothed loss of now, and of `window` steps ago, at every tenth step."""
    smooth, past = 0.0, []
    for step, loss in enumerate(losses, 1):
        smooth += max(2 / window, 1 / step) * (loss - smooth)
        if step % 10 == 0:
            past.append(smooth)
            if len(past) > window // 10 and past[-1] > (1 - fall) * past[-1 - window // 10]:
                return step, past[-1 - window // 10], past[-1]
    return None


def losses_of(kind: str) -> Iterator[float]:
    draw = np.random.default_rng(0)
    for step in range(400):
        yield {
            "flat": 2.0,
            "falling": 0.95**step,
            "slow": 0.998**step,
            "bent": max(0.97**step, 0.97**150),
            "noisy": max(0.98**step, 0.1) * draw.uniform(0.5, 1.5),
        }[kind]


@pytest.mark.parametrize("kind", ["flat", "falling", "slow", "bent", "noisy"])
@pytest.mark.parametrize(("window", "memory", "is_window"), [(20, 10, 20), (47, 10, 47), (None, 15, 30), (3, 10, 10)])
@pytest.mark.parametrize("fall", [0.0, 0.1, 0.5])
def test_a_plateau_is_that_of_its_definition(kind: str, window: int | None, memory: int, is_window: int, fall: float):
    losses = list(losses_of(kind))
    expected = plateau(is_window, fall, losses)
    rule = Plateau(window=window, fall=fall)
    rule.begin(view(memory=memory))
    assert rule.findings() == {"window": is_window}
    found = None
    for step, loss in enumerate(losses):
        verdict = rule.update(step, torch.zeros(SHAPE), torch.tensor(loss, dtype=torch.float64))
        assert verdict.stop or verdict == CONTINUE
        if verdict.stop:
            assert verdict.keep is True
            found = step + 1
            break
    assert found == (None if expected is None else expected[0])
    if expected is not None:
        before, now = expected[1:]
        text = f"plateau: within {is_window} steps the loss went from {before:.3g}"
        assert verdict.reason.startswith(text[:-1])
        assert float(verdict.reason.split(" from ")[1].split(" to ")[0]) == pytest.approx(before, rel=1e-3)
        assert float(verdict.reason.split(" to ")[1]) == pytest.approx(now, rel=1e-3)


def test_a_loss_that_falls_by_just_the_share_is_no_plateau():
    rule = Plateau(window=10, fall=0.0)
    rule.begin(view())
    assert not any(rule.update(step, torch.zeros(SHAPE), scalar(2.0)).stop for step in range(100))


# -- held-out pixels ---------------------------------------------------------------------------------------------------


def ramp(weight: Tensor | None = None) -> Problem:
    y = torch.arange(24.0).reshape(1, 2, 3, 4) / 24
    return Problem(y=y, weight=weight)


def test_some_pixels_must_be_left_out_and_some_fitted():
    for share, count in ((0.05, 1), (0.04, 0), (0.95, 11), (0.96, 12)):  # of 12
        rule = HeldOut(share=share)
        if 0 < count < 12:
            posed = rule.pose(ramp(), torch.zeros(1, 1, 1, 1), 0)
            assert posed.weight is not None
            assert int((posed.weight == 0).sum()) == count
            assert set(posed.weight.unique().tolist()) == {0, 1}
        else:
            with pytest.raises(ValueError, match=f"of 12 known pixels are {count}; some must be left out"):
                rule.pose(ramp(), torch.zeros(1, 1, 1, 1), 0)


def test_a_pixel_is_known_if_one_of_its_channels_is():
    weight = torch.zeros((1, 2, 3, 4))
    weight[0, 0, 0] = 1
    weight[0, 1, 0, :2] = 1
    weight[0, 1, 2] = 1  # 8 pixels, of which 2 in both channels
    posed = HeldOut(share=0.5).pose(ramp(weight), torch.zeros(1, 1, 1, 1), 0)
    assert posed.weight is not None
    left = weight - posed.weight
    assert int((left > 0).any(dim=1).sum()) == 4
    assert bool((posed.weight <= weight).all())
    assert not bool(((left > 0).any(dim=1, keepdim=True) & (posed.weight > 0)).any())


def test_which_pixels_are_left_out_is_the_seeds():
    one, same, other = (HeldOut(share=0.3).pose(ramp(), torch.zeros(1, 1, 1, 1), seed).weight for seed in (3, 3, 4))
    assert one is not None
    assert same is not None
    assert other is not None
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("masked", [False, True])
def test_the_error_is_the_mean_square_at_the_held_out_pixels(masked: bool):
    weight = torch.ones((1, 1, 3, 4))
    if masked:
        weight[..., 0, :] = 0
    problem = replace(ramp(weight if masked else None), forward=lambda x_hat: 2 * x_hat)
    rule = HeldOut(share=0.4, every=1)
    posed = rule.pose(problem, torch.zeros(1, 1, 1, 1), 0)
    assert posed.weight is not None
    held = ((weight - posed.weight) > 0).expand_as(problem.y)
    seen = view(posed)
    rule.begin(seen)
    draw = torch.Generator().manual_seed(0)
    errors = []
    for step, size in enumerate((1.0, 0.5)):
        seen.average.copy_(problem.y / 2 + size * torch.rand(problem.y.shape, generator=draw))
        rule.update(step, seen.average, scalar(0))
        errors.append(float((2 * seen.average - problem.y)[held].square().mean()))
    assert errors[1] < errors[0]
    assert rule.findings() == {"least": pytest.approx(errors[1])}


@pytest.mark.parametrize(("every", "ends"), [(5, [10, 20, 30]), (20, []), (3, [9, 18, 27]), (10, [20, 30])])
def test_held_out_pixels_are_looked_at_now_and_then_and_end_a_run_at_about_every_tenth_step(
    every: int, ends: list[int]
):
    rule = HeldOut(share=0.25, every=every, patience=1)
    seen = view(rule.pose(ramp(), torch.zeros(1, 1, 1, 1), 0))
    rule.begin(seen)
    kept, ended = [], {}
    for step in range(31):
        seen.average.copy_(seen.problem.y + (2.0 if step == 0 else 0.5 if step <= every else 1.0))
        verdict = rule.update(step, seen.average, scalar(0))
        assert step % every == 0 or verdict == CONTINUE
        kept += [step] if bool(verdict.keep) else []
        ended |= {step: verdict.reason} if verdict.stop else {}
    assert kept == [every]
    assert list(ended) == ends
    text = f"heldout: the error at 25% of the pixels, left out, was least at step {every + 1} (0.25) and no smaller"
    assert all(reason.startswith(text) for reason in ended.values())


# -- SURE --------------------------------------------------------------------------------------------------------------


def gaussian_problem(sigma: float = 0.5) -> Problem:
    return Problem(y=torch.full(SHAPE, 0.25), noise=noise.gaussian(sigma, clipped=False))


def sure(every: int = 1, window: int = 50, seed: int = 0) -> Sure:
    rule, problem = Sure(every=every, window=window), gaussian_problem()
    assert rule.pose(problem, problem.y, seed) is problem
    rule.begin(view(problem, seed=seed))
    return rule


def test_sure_is_for_noise_of_a_known_level_on_the_whole_picture():
    problem = gaussian_problem()
    other = replace(problem, noise=noise.Noise(lambda a_x: 0.1 * a_x))
    with pytest.raises(ValueError, match="SURE needs white Gaussian noise"):
        Sure().pose(other, problem.y, 0)
    with pytest.raises(ValueError, match="SURE is for denoising alone"):
        Sure().pose(replace(problem, forward=lambda x_hat: x_hat), problem.y, 0)
    padded = torch.nn.functional.pad(problem.y, (0, 1, 0, 2), value=7.0)
    assert Sure(sigma=10).pose(other, padded, 0) is other


@pytest.mark.parametrize("every", [1, 4])
def test_a_step_with_the_divergence_makes_up_for_those_without(every: int):
    rule = sure(every)
    assert rule.slowdown == 1 + 1 / every
    z = torch.zeros(SHAPE)
    terms = [rule.extra(step, z, z, lambda z: 3 * z) for step in range(600 * every)]
    asked = [step for step, term in enumerate(terms) if term is not None]
    assert asked == list(range(0, 600 * every, every))
    whole = sum(float(term) for term in terms if term is not None) / len(terms)
    assert whole == pytest.approx(2 * 0.5**2 * 3, rel=0.1)  # 2 sigma^2 div f / N, for f(z) = 3 z


def test_the_probe_is_the_seeds_and_the_steps_and_stays_in_the_picture():
    def probe(seed: int, step: int) -> Tensor:
        rule, fed = sure(seed=seed), []
        z = torch.zeros((1, 1, 4, 3))  # padded: the picture is its upper left part
        rule.extra(step, z, torch.zeros(SHAPE), lambda z: fed.append(z) or z[..., :2, :2])
        return fed[0]

    one = probe(1, 3)
    assert torch.equal(one, probe(1, 3))
    assert not torch.equal(one, probe(2, 3))
    assert not torch.equal(one, probe(1, 4))
    assert bool((one[..., :2, :2] != 0).all())
    assert float(one.abs().sum()) == float(one[..., :2, :2].abs().sum())


def test_a_finite_difference_is_near_the_derivative():
    """Of x^2 at 0.3 it is 0.6 plus the step size times the probe: small against it."""
    rule = sure()
    z = torch.full(SHAPE, 0.3)
    terms = [rule.extra(step, z, z.square(), torch.square) for step in range(800)]
    mean = sum(float(term) for term in terms if term is not None) / 800
    assert mean == pytest.approx(2 * 0.5**2 * 0.6, rel=0.1)


@pytest.mark.parametrize("every", [1, 3])
def test_the_estimate_is_the_residual_less_the_noise_and_the_price_of_the_divergence(every: int):
    rule = sure(every)
    y = gaussian_problem().y
    term = rule.extra(every, y, 3 * y, lambda z: 3 * z)
    assert term is not None
    rule.update(every, 3 * y, scalar(0))
    expected = float((2 * y).square().mean()) - 0.5**2 + float(term) / every
    assert rule.findings() == {"estimate": pytest.approx(expected, rel=1e-4)}


def means(estimates: list[float], window: int) -> list[float]:
    """The running mean of the estimates, plain at first and then with a memory of `window`."""
    found = [0.0]
    for look, estimate in enumerate(estimates, 1):
        found.append(found[-1] + max(1 / window, 1 / look) * (estimate - found[-1]))
    return found[1:]


def crossing(estimates: list[float], window: int, every: int = 1) -> int | None:
    """The definition: the tenth-step look at which the mean has fallen to zero, having been above it at an earlier."""
    positive = False
    for look, mean in enumerate(means(estimates, window), 1):
        if look % max(1, 10 // every) == 0:
            if look >= window and mean <= 0 and positive:
                return look
            positive = positive or mean > 0
    return None


def ended(estimates: list[float], window: int, every: int = 1) -> int | None:
    """The look at which the rule ends for outputs 1 away from y, whose divergence makes up these estimates."""
    rule, expected = sure(every, window), means(estimates, window)
    for look, estimate in enumerate(estimates, 1):
        rule._divergence = torch.tensor((estimate - 1 + 0.5**2) / (2 * 0.5**2))
        verdict = rule.update((look - 1) * every, gaussian_problem().y + 1, scalar(0))
        assert verdict.stop or verdict == CONTINUE
        assert rule.findings()["estimate"] == pytest.approx(expected[look - 1], abs=1e-5)
        if verdict.stop:
            assert verdict.keep is True
            assert verdict.reason.endswith(f"fell to zero ({rule.findings()['estimate']:.2g})")
            return look
    return None


ESTIMATES = {
    "falls": [1.0] * 25 + [-1.0] * 60,
    "never": [1.0] * 80,
    "below from the start": [-1.0] * 80,
    "below, above, below": [-1.0] * 20 + [3.0] * 20 + [-2.0] * 60,
    "early": [1.0] * 8 + [-4.0] * 80,
    "once positive": [0.5] * 10 + [-1.0] * 60,
}


@pytest.mark.parametrize("name", ESTIMATES)
@pytest.mark.parametrize(("window", "every"), [(1, 1), (5, 1), (20, 1), (30, 1), (50, 1), (5, 4), (20, 30)])
def test_sure_ends_where_its_smoothed_estimate_falls_to_zero(name: str, window: int, every: int):
    assert ended(ESTIMATES[name], window, every) == crossing(ESTIMATES[name], window, every)


def test_an_estimate_of_just_zero_has_fallen_to_zero():
    assert ended([1.0] * 10 + [0.0] * 10, window=1) == 20
    assert ended([0.0] * 40, window=1) is None  # which was never above it


def test_before_its_first_look_sure_has_no_estimate_and_says_nothing():
    rule = sure(every=2)
    assert rule.findings() == {}
    rule.extra(1, torch.zeros(SHAPE), torch.zeros(SHAPE), lambda z: z)
    assert rule.update(1, torch.ones(SHAPE), scalar(0)) == CONTINUE
    assert rule.findings() == {}


# -- several rules watch -----------------------------------------------------------------------------------------------


class Counting(StopRule):
    """Keeps every step and ends at one."""

    def __init__(self, end: int) -> None:
        self.end, self.steps = end, 0

    def update(self, step: int, x_hat: Tensor, loss: Tensor) -> Verdict:
        self.steps += 1
        return Verdict(keep=True, stop=step == self.end, reason=f"ended at {step}")

    def state(self) -> dict[str, Any]:
        return {"steps": self.steps}

    def load(self, state: dict[str, Any]) -> None:
        self.steps = state["steps"]


def test_who_has_ended_is_not_asked_again_and_the_others_are():
    rules = {"first": Counting(2), "second": Counting(5)}
    watch = Watch(rules=dict(rules))
    watch.begin(view())
    kept = [dict(watch.update(step, torch.zeros(SHAPE), scalar(0)).also) for step in range(8)]
    both, one = {"stopped_first": True, "stopped_second": True}, {"stopped_second": True}
    assert kept == [both] * 3 + [one] * 3 + [{}] * 2
    assert watch.findings() == {
        "stopped_first": {"ended": 3, "reason": "ended at 2"},
        "stopped_second": {"ended": 6, "reason": "ended at 5"},
    }
    assert (rules["first"].steps, rules["second"].steps) == (3, 6)
    again = Watch(rules={"first": Counting(2), "second": Counting(5)})
    again.begin(view())
    again.load(watch.state())
    assert again.findings() == watch.findings()
    assert again.rules["second"].steps == 6  # type: ignore[attr-defined]
