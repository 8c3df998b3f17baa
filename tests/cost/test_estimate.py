"""The estimate: counted work times rates that are measured once, kept in a file that can do no harm, and corrected."""

import json
import math
import os
from itertools import count
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from dip_exp import config
from dip_exp.archs.skip import Skip
from dip_exp.config.build import build
from dip_exp.cost import estimate, rates, work
from dip_exp.cost.rates import Kept, Measured, Rates, Where
from dip_exp.cost.work import Work
from dip_exp.experiments import sweeps
from dip_exp.fit.callbacks import PACE_STEPS, UNTIMED_STEPS, Pace
from dip_exp.optims.adam import Adam
from dip_exp.optims.lbfgs import LBFGS
from dip_exp.runs import report
from dip_exp.runs.folder import RunFolder
from dip_exp.runs.order import identify
from dip_exp.runs.order import place as place_order
from dip_exp.runs.price import free_of, priced
from dip_exp.runs.run import prepare
from dip_exp.tasks.problem import Problem
from tests.conftest import SMOKE, jobs_of

CPU = estimate.Setting(torch.device("cpu"))
NARROW, WIDE = (Skip(down=[w] * 3, up=[w] * 3, skip=[4] * 3) for w in (8, 16))
RATES = Rates(1e-11, 1e-9, 1e-5)
HERE = Where("a processor", 2, "2.13", "fp32")


def problem(side: int, **more) -> Problem:
    return Problem(y=torch.zeros(1, 3, side, side), **more)


def work_of(side: int, arch: Skip = NARROW, **more) -> Work:
    return estimate.counted(arch, (1, 32, side, side), problem(side, **more), Adam())[0]


@pytest.fixture
def nothing_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No rates in this process, and a cache folder of the test's own."""
    monkeypatch.setattr(rates, "_HELD", {})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return HERE.file


# -- work --------------------------------------------------------------------------------------------------------------


def test_work_grows_with_pixels():
    small, large = work_of(64), work_of(128)
    assert large.multiplications == 4 * small.multiplications
    assert large.elements == pytest.approx(4 * small.elements, rel=0.05)  # the weights are as many
    assert large.operations == small.operations


def test_a_convolutions_multiplications_are_those_of_its_formula():
    net = nn.Conv2d(32, 8, 3, padding=1, bias=False)
    forth = 2 * 9 * 32 * 8 * 64 * 64
    assert work.of_pass(net.to("meta"), (1, 32, 64, 64)).multiplications == 2 * forth  # z has no gradient
    assert work.of_pass(net, (1, 32, 64, 64), "both").multiplications == 3 * forth


def test_an_operator_that_is_a_network_is_counted_too():
    operator = nn.Conv2d(3, 16, 3, bias=False).requires_grad_(False)
    y = torch.zeros(1, 16, 62, 62)
    with_it = estimate.counted(NARROW, (1, 32, 64, 64), Problem(y=y, shape=(3, 64, 64), forward=operator), Adam())[0]
    assert with_it.multiplications - work_of(64).multiplications == 2 * 2 * 9 * 3 * 16 * 62 * 62


def test_an_operator_that_wants_values_is_tried_on_a_grey_picture():
    seen: list[float] = []

    def forward(x_hat: Tensor) -> Tensor:
        seen.append(float(x_hat.detach().mean()))
        return x_hat * seen[-1]

    assert work_of(64, forward=forward).elements > work_of(64).elements
    assert seen == [0.5]


def test_a_step_of_several_passes_is_several_steps():
    shape, posed = (1, 32, 64, 64), problem(64)
    one, several = (estimate.counted(NARROW, shape, posed, optim)[0] for optim in (Adam(), LBFGS(inner_steps=4)))
    assert several.multiplications == 5 * one.multiplications


# -- rates -------------------------------------------------------------------------------------------------------------


def test_rates_are_found_again_from_times():
    works = [Work(1e7, 1e6, 150), Work(2e9, 5e7, 240), Work(1.6e10, 2.6e7, 11), Work(2.9e10, 2e8, 240)]
    found = rates.fitted([(each, RATES.seconds(each)) for each in works])
    assert found.seconds(Work(1e10, 1e8, 200)) == pytest.approx(RATES.seconds(Work(1e10, 1e8, 200)), rel=1e-3)


def test_what_cannot_be_told_apart_is_never_free():
    found = rates.fitted([(Work(1e9, 1e7, 100), 0.1), (Work(2e9, 2e7, 200), 0.2)])
    assert min(found.multiplication, found.element, found.operation) > 0


def test_a_place_is_measured_once(nothing_known: Path, monkeypatch: pytest.MonkeyPatch):
    calls: list[int] = []

    def measure() -> Measured:
        calls.append(1)
        return Measured(RATES, 1.0)

    assert [rates.known(HERE, measure) for _ in range(3)] == [RATES] * 3
    monkeypatch.setattr(rates, "_HELD", {})  # another process
    assert rates.known(HERE, measure) == RATES
    assert len(calls) == 1
    assert rates.known(Where("a processor", 2, "2.13", "bf16"), measure) == RATES
    assert len(calls) == 2


def test_every_precision_and_number_of_threads_has_its_file():
    places = [Where("p", threads, "2", precision) for threads in (1, 2) for precision in ("fp32", "bf16")]
    assert len({place.file for place in places}) == 4


BAD: list[str] = [
    "",
    "{",
    "[]",
    "null",
    '{"where": {}}',
    json.dumps({"where": rates.asdict(HERE), "rates": {"multiplication": -1, "element": 1, "operation": 1}}),
    json.dumps({"where": rates.asdict(HERE), **rates.asdict(Kept(Rates(math.inf, 1.0, 1.0), 1.0, 1.0))}),
    json.dumps({"where": rates.asdict(Where("other", 2, "2", "fp32")), **rates.asdict(Kept(RATES, 1.0, 1.0))}),
]


@pytest.mark.parametrize("text", BAD)
def test_a_file_that_makes_no_sense_is_replaced(nothing_known: Path, text: str):
    nothing_known.parent.mkdir(parents=True)
    nothing_known.write_text(text)
    assert rates.known(HERE, lambda: Measured(RATES, 1.0)) == RATES
    assert json.loads(nothing_known.read_text())["rates"]["element"] == RATES.element
    assert [path.name for path in nothing_known.parent.iterdir()] == [nothing_known.name]


def test_a_folder_that_cannot_be_written_keeps_nothing_and_harms_nobody(
    nothing_known: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert rates.known(HERE, lambda: Measured(RATES, 1.0)) == RATES
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_read_only_folder_too(nothing_known: Path):
    nothing_known.parent.mkdir(parents=True)
    nothing_known.parent.chmod(0o500)
    assert rates.known(HERE, lambda: Measured(RATES, 1.0)) == RATES
    assert not nothing_known.exists()


def test_a_busy_machines_rates_are_measured_again_later_and_the_quicker_ones_stay(
    nothing_known: Path, monkeypatch: pytest.MonkeyPatch
):
    slow, quick = Rates(3e-11, 3e-9, 3e-5), Rates(2e-11, 2e-9, 2e-5)
    now = [1e9]
    monkeypatch.setattr(rates.time, "time", lambda: now[0])
    assert rates.known(HERE, lambda: Measured(quick, 0.5)) == quick
    assert rates.known(HERE, lambda: Measured(RATES, 1.0)) == quick  # not yet
    now[0] += rates.TRY_AGAIN_SECONDS
    assert rates.known(HERE, lambda: Measured(slow, 0.4)) == quick
    now[0] += rates.TRY_AGAIN_SECONDS
    assert rates.known(HERE, lambda: Measured(slow, 1.0)) == slow  # a quiet moment's are what they are
    now[0] += 10 * rates.TRY_AGAIN_SECONDS
    assert rates.known(HERE, lambda: Measured(RATES, 1.0)) == slow


def test_rates_that_a_run_proves_wrong_are_measured_again_but_once_for_each_work(nothing_known: Path):
    first, second = Work(1e9, 1e7, 100), Work(1e8, 1e7, 100)
    assert not rates.doubt(HERE, first, 9.0)  # nothing is known
    rates.known(HERE, lambda: Measured(RATES, 1.0))
    assert not any(rates.doubt(HERE, first, ratio) for ratio in (0.51, 1.0, 1.99))
    assert rates.doubt(HERE, first, 2.1)
    better = Rates(2e-11, 2e-9, 2e-5)
    assert rates.known(HERE, lambda: Measured(better, 1.0)) == better
    assert not rates.doubt(HERE, first, 2.1)
    assert rates.doubt(HERE, second, 0.4)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp64"])
def test_measuring_draws_from_no_global_generator(precision: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rates, "SAMPLES", tuple((rates._hourglass(width, 2), 32) for width in (4, 8)))
    state = torch.get_rng_state()
    found = rates.measured(torch.device("cpu"), precision)
    assert torch.equal(torch.get_rng_state(), state)
    assert found.rates.seconds(Work(1e9, 1e7, 100)) > 0
    assert 0 < found.share <= 1


# -- the estimate ------------------------------------------------------------------------------------------------------


def test_the_estimate_hangs_on_work_and_rates_alone(monkeypatch: pytest.MonkeyPatch):
    """Nothing is timed: a busy machine changes nothing of it."""
    monkeypatch.setattr(rates, "known", lambda where, measure: RATES)
    for clock in ("perf_counter", "thread_time", "process_time"):
        monkeypatch.setattr(rates.time, clock, lambda: pytest.fail("a clock was read"))
    price = estimate.estimate(WIDE, (1, 32, 64, 64), problem(64), Adam(), CPU)
    assert price.seconds == RATES.seconds(work_of(64, WIDE))
    assert price.threads == torch.get_num_threads()


@pytest.mark.parametrize(
    "words",
    [
        ["task=superres", "arch=unet"],
        ["task=inpaint", "arch=deep_decoder"],
        ["task=jpeg", "input=picture"],
        ["task=flash"],
        ["task=denoise", "image.box=[10,20,50,41]", "image.grey=true"],
    ],
    ids=" ".join,
)
def test_settings_alone_cost_what_the_parts_of_the_run_do(words: list[str], tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rates, "known", lambda where, measure: RATES)
    words = [*SMOKE, "image.shrink_to=64", f"results={tmp_path}", *words]
    cfg = config.layered(words)
    named = identify(cfg, {})
    order = place_order(cfg, named, RunFolder(tmp_path, "x"), [])
    shape = build(named.config, "image", {}).shape()
    assert shape == order.picture.x.shape[1:]
    assert priced(named.config, {}, shape) == prepare(order).price.seconds


@pytest.mark.parametrize("name", ["fig9_inversion", "ijcv17_units", "ijcv16_vgg19"])
def test_a_classifier_is_followed_without_its_weights(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rates, "known", lambda where, measure: RATES)
    job = jobs_of(name, "paper")[0]
    shape = build(job.named.config, "image", {}).shape() if "path" not in job.named.config["image"] else None
    assert priced(job.named.config, {}, shape or (3, 224, 224)) > 0


def test_units_of_one_layer_cost_the_same():
    jobs = sweeps.jobs("classes1000", "paper", 1, ("task.unit=0,999",))
    free = [free_of(job.named.config) for job in jobs]
    assert free[0] == free[1]
    assert "unit" not in free[0]
    assert free[0]["layer"] == jobs[0].named.config["task"]["layer"]


# -- the run's own pace ------------------------------------------------------------------------------------------------


class Heard:
    def __init__(self) -> None:
        self.said: list[tuple[float, float]] = []
        self.doubts: list[float] = []
        self.pace = Pace(1.0, lambda seconds, share: self.said.append((seconds, share)), self.doubts.append)


@pytest.mark.parametrize(
    ("pace", "share", "said", "doubted"),
    [
        (1.2, 1.0, False, True),
        (1.2, 0.5, False, False),
        (1.6, 0.5, True, False),
        (0.6, 1.0, True, True),
        (3.0, 1.0, True, True),
    ],
)
def test_the_pace_is_told_of_where_it_differs(pace: float, share: float, said: bool, doubted: bool):
    heard = Heard()
    heard.pace.judge(pace, share, 100, 23)
    assert heard.said == ([(100 * pace, share)] if said else [])
    assert heard.doubts == ([pace] if doubted else [])


def test_a_run_that_is_all_but_over_is_not_told_of():
    heard = Heard()
    heard.pace.judge(3.0, 1.0, 100, 98)
    assert heard.said == []


def test_a_fit_is_judged_once(run, monkeypatch: pytest.MonkeyPatch):
    judged: list[tuple[float, float, int, int]] = []
    monkeypatch.setattr(Pace, "judge", lambda self, *what: judged.append(what))
    done = run("optim.steps=30")
    ((pace, share, steps, number),) = judged
    assert pace > 0
    assert 0 < share <= 1
    assert (steps, number) == (30, UNTIMED_STEPS + PACE_STEPS)
    assert done["cpu_seconds"] > 0


def test_the_correction_says_why(capsys: pytest.CaptureFixture):
    report.pace(3000, 0.55, sooner=False)
    report.pace(3000, 1.0, sooner=True)
    heard = capsys.readouterr()
    assert heard.out == ""
    assert heard.err.splitlines() == [
        "measured: about 50 min in all (the machine is busy: this process gets 55% of its cores)",
        "measured: at most 50 min in all",
    ]


def test_no_test_writes_to_the_cache_at_home():
    assert not rates.here(torch.device("cpu"), 1, "fp32").file.is_relative_to(Path.home() / ".cache")
    assert rates.here(torch.device("cpu"), 1, "fp32").file.is_absolute()


def test_rates_are_of_the_threads_own_time_whatever_else_runs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rates.time, "thread_time", count(0, 1e-3).__next__)
    monkeypatch.setattr(rates.time, "perf_counter", count().__next__)
    each = rates._seconds(nn.Conv2d(32, 3, 1), 8, torch.device("cpu"), "fp32")
    assert [own for own, _ in each] == pytest.approx([1e-3] * len(each))
