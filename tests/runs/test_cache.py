"""What classical restorers made is kept by the content of their arguments, and is never taken for another's."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from dip_exp.runs import cache
from dip_exp.runs.classical import classical
from dip_exp.tasks import baselines
from dip_exp.tasks.presentation import Presentation
from dip_exp.tasks.problem import Problem
from dip_exp.tasks.task import tensor

Y = np.random.default_rng(0).random((1, 1, 8, 9), dtype=np.float32)


def slow(y: np.ndarray, sigma: float = 1.0) -> np.ndarray:
    """A restorer; its calls are counted."""
    slow.calls += 1  # type: ignore[attr-defined]
    return y * np.float32(sigma)


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow, "calls", 0, raising=False)
    monkeypatch.setattr(cache, "QUICK", 0.0)


def restored(restorer, results: Path) -> np.ndarray:
    posed = Problem(y=tensor(Y), presentation=Presentation(baseline=("slow", restorer)))
    return classical(posed, "none", results)["baseline"].picture


def test_an_observation_is_restored_once_and_another_one_again(tmp_path):
    first = restored(partial(slow, Y, sigma=0.5), tmp_path)
    assert np.array_equal(restored(partial(slow, Y.copy(), sigma=0.5), tmp_path), first)
    assert slow.calls == 1
    restored(partial(slow, Y, sigma=0.25), tmp_path)
    changed = Y.copy()
    changed[0, 0, 3, 4] += 1e-6
    restored(partial(slow, changed, sigma=0.5), tmp_path)
    assert slow.calls == 3


def test_a_name_depends_on_function_arguments_shapes_and_types():
    restorers = [
        partial(slow, Y),
        partial(slow, Y, 1.0),
        partial(slow, Y, 1),
        partial(slow, Y, None),
        partial(slow, Y, "1.0"),
        partial(slow, y=Y),
        partial(slow, Y.reshape(1, 1, 9, 8)),
        partial(slow, Y.astype(np.float64)),
        partial(baselines.median, Y),
    ]
    assert len({cache.key(one) for one in restorers}) == len(restorers)


def test_what_cannot_be_named_is_computed_each_time(tmp_path):
    for restorer in (lambda: slow(Y), partial(slow, Y, sigma=np.sqrt), partial(slow, Y, sigma=object())):
        assert cache.key(restorer) is None
    for _ in range(2):
        restored(lambda: slow(Y), tmp_path)
    assert slow.calls == 2
    assert not (tmp_path / "classical").exists()


def test_a_quick_one_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "QUICK", 60.0)
    restored(partial(slow, Y), tmp_path)
    assert not (tmp_path / "classical").exists()


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 cut off", b"not an archive"])
def test_a_damaged_file_is_computed_again_and_replaced(tmp_path, damage):
    first = restored(partial(slow, Y), tmp_path)
    (kept,) = (tmp_path / "classical").iterdir()
    kept.write_bytes(damage)
    assert np.array_equal(restored(partial(slow, Y), tmp_path), first)
    assert slow.calls == 2
    restored(partial(slow, Y), tmp_path)
    assert slow.calls == 2


def test_two_seeds_of_one_comparison_share_their_restorers(run, tmp_path, monkeypatch):
    asked = []
    record = run("seed=0", "rivals=quick")
    real = cache.read
    monkeypatch.setattr(cache, "read", lambda *given: asked.append(real(*given)) or asked[-1])
    again = run("seed=1", "rivals=quick", "task.sigma=25")
    assert asked
    assert all(found is not None for found in asked)
    for kind in ("baseline", "baseline_tv"):
        assert again["scores"][kind] == record["scores"][kind]
