"""Laws of SGLD: Adam and noise, the same each time, and samples whose mean and spread are those of the iterates."""

import numpy as np
import pytest
import torch
from torch import Tensor

from dip_exp.fit.posterior import Posterior
from dip_exp.metrics.kinds import POSTERIOR as KIND
from dip_exp.metrics.kinds import POSTERIOR_STD as SPREAD
from dip_exp.optims.sgld import SGLD
from dip_exp.stopping.emv import ExponentialVariance
from dip_exp.stopping.watch import Watch
from tests.conftest import Runner
from tests.fit.test_module import At, make, run, same


def sgld(steps: int = 12, **settings) -> SGLD:
    return SGLD(steps=steps, **{"burn_in": 0.25, "sample_every": 2, **settings})


def test_mean_and_spread_are_those_of_the_samples():
    seeded = torch.Generator().manual_seed(0)
    pictures = [torch.rand(1, 3, 4, 5, dtype=torch.float64, generator=seeded) for _ in range(20)]
    posterior = Posterior(first=5, every=3)
    for step, picture in enumerate(pictures):
        posterior.add(step, picture)
    chosen = torch.stack(pictures[5::3])
    found = posterior.pictures()
    assert (posterior.count, posterior.last) == (5, 17)
    torch.testing.assert_close(found[KIND], chosen.mean(dim=0))
    torch.testing.assert_close(found[SPREAD], chosen.std(dim=0))


def test_a_small_spread_of_large_values_keeps_its_digits():
    """Where the mean of squares less the square of the mean would have lost all of them."""
    posterior = Posterior(first=0, every=1)
    seeded = torch.Generator().manual_seed(0)
    pictures = [1000 + 1e-2 * torch.randn(1, 1, 8, 8, dtype=torch.float64, generator=seeded) for _ in range(50)]
    for step, picture in enumerate(pictures):
        posterior.add(step, picture.float())
    rounded = torch.stack([picture.float().double() for picture in pictures])
    torch.testing.assert_close(posterior.pictures()[SPREAD].double(), rounded.std(dim=0), rtol=0.02, atol=0)


def test_of_no_sample_there_is_nothing_and_of_one_no_spread():
    posterior = Posterior(first=2, every=5)
    for step in (0, 1):
        posterior.add(step, torch.ones(1, 1, 2, 2))
    assert posterior.pictures() == {}
    assert (posterior.count, posterior.last) == (0, -1)
    posterior.add(2, torch.ones(1, 1, 2, 2))
    assert set(posterior.pictures()) == {KIND}
    posterior.add(7, torch.zeros(1, 1, 2, 2))
    assert set(posterior.pictures()) == {KIND, SPREAD}  # of two samples there is a spread


@pytest.mark.parametrize("done", [0, 1, 3])
def test_a_checkpoint_goes_on_as_if_nothing_had_happened(done: int):
    """Also one from before the first sample; and what it holds stays as it was."""
    seeded = torch.Generator().manual_seed(0)
    pictures = [torch.rand(1, 3, 4, 5, generator=seeded) for _ in range(4)]
    whole, one, other = (Posterior(first=0, every=1) for _ in range(3))
    for step, picture in enumerate(pictures):
        whole.add(step, picture)
        if step < done:
            one.add(step, picture)
    state = one.state()
    other.load(state, torch.device("cpu"))
    before = None if state["mean"] is None else state["mean"].clone()
    for step in range(done, 4):
        other.add(step, pictures[step])
    assert (other.count, other.last) == (4, 3)
    assert all(torch.equal(picture, other.pictures()[kind]) for kind, picture in whole.pictures().items())
    assert before is None or torch.equal(before, state["mean"])


def test_the_samples_of_a_fit_are_its_iterates():
    seen: list[Tensor] = []
    watch = [At(step, lambda fit: seen.append(fit.x_hat.clone())) for step in (4, 6, 8, 10, 12)]  # burn-in: 3 of 12
    fitted = run(make(optim=sgld()), *watch)
    chosen = torch.stack(seen)
    np.testing.assert_allclose(fitted.pictures[KIND], chosen.mean(dim=0), atol=1e-6)
    np.testing.assert_allclose(fitted.pictures[SPREAD], chosen.std(dim=0), atol=1e-6)
    assert (fitted.samples, fitted.steps_of[KIND]) == (5, 12)


def test_a_rule_that_may_end_the_run_before_the_samples_is_refused():
    make(optim=sgld(), stop=Watch(rules={}))
    with pytest.raises(ValueError, match=r"optim: SGLD draws its samples in the last part .* stop=fixed or stop=watch"):
        make(optim=sgld(), stop=ExponentialVariance())


def test_without_noise_and_decay_it_is_adam_bit_for_bit():
    ours, adam = run(make(optim=sgld(noise=0.0, weight_decay=0.0))), run(make())
    assert {kind for kind in ours.pictures if kind not in adam.pictures} == {KIND, SPREAD}
    for kind, picture in adam.pictures.items():
        assert np.array_equal(picture, ours.pictures[kind]), kind


def test_it_is_the_same_each_time_and_its_noise_is_the_seeds():
    one, again, other = (run(make(optim=sgld(), seed=seed)) for seed in (3, 3, 4))
    assert same(one, again)
    assert not np.array_equal(one.pictures[KIND], other.pictures[KIND])


def test_after_a_step_every_kernel_has_moved_by_noise_of_its_size_and_nothing_else_has():
    fit = make(optim=sgld(noise=3.0, lr=0.02))
    fit.noise = torch.Generator()
    before = [p.detach().clone() for p in fit.net.parameters()]
    moved = []
    for step in range(2):
        fit._diffuse(step)
        now = [p.detach().clone() for p in fit.net.parameters()]
        moved.append(torch.cat([(new - old).flatten() for old, new in zip(before, now, strict=True) if old.ndim == 4]))
        assert all(torch.equal(a, b) for a, b in zip(before, now, strict=True) if a.ndim != 4)
        before = now
    for noise in moved:
        assert float(noise.std()) == pytest.approx(0.06, rel=0.05)
        assert abs(float(noise.mean())) < 0.01
    assert abs(float(torch.corrcoef(torch.stack(moved))[0, 1])) < 0.15


def test_a_run_keeps_its_posterior_and_scores_no_map(run: Runner, tmp_path):
    done = run("optim=sgld", "optim.sample_every=1")
    folder = tmp_path / "results" / "runs" / done["run_id"]
    assert KIND in done["scores"]
    assert SPREAD not in done["scores"]
    assert done["spread"]["of"] == 7  # of 10 steps, 3 are burn-in
    assert done["calibration"]["kind"] == KIND
    with np.load(folder / "outputs.npz") as arrays:
        std, mean, truth = arrays[SPREAD], arrays[KIND], arrays["truth"]
    assert done["spread"]["rms"] == pytest.approx(float(np.sqrt(np.mean(std.astype(float) ** 2))), rel=1e-5)
    error = float(np.sqrt(np.mean((mean.astype(float) - truth) ** 2)))
    assert done["calibration"]["ratio"] == pytest.approx(error / done["spread"]["rms"], rel=1e-4)
    assert (folder / f"{SPREAD}.png").is_file()


def test_a_run_of_another_optimizer_says_nothing_of_a_spread(run: Runner):
    assert not {"spread", "calibration"} & set(run())
