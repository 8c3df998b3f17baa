"""What the tests share: a way to compose and run a configuration, small enough for a second.

One thread everywhere: two processes that both spin on all cores slow each other down a hundredfold.
"""

# ruff: noqa: E402  the two settings come before whatever they are for
import os

from tests import checked

os.environ["OMP_NUM_THREADS"] = "1"
checked.install()  # before any module of the project is imported

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import settings

from dip_exp import config
from dip_exp.experiments import sweeps
from dip_exp.runs.order import GROUPS
from dip_exp.runs.run import run as run_one

config.register()

settings.register_profile("thorough", max_examples=10000, deadline=None)

ROOT = Path(__file__).resolve().parent.parent
SMOKE = ("experiment=smoke", "trainer=cpu", "trainer.progress=off", "logger=none", "threads=1")
Runner = Callable[..., dict[str, Any]]

A_RECORD = {"run_id": "0123456789ab", "config": {}, "scores": {}, "stop": {}}
"""What makes a file the record of a finished run."""


ON_ONE_WORKER = ("rebuilt", "paper")
"""Module fixtures that take long to make: the tests of each run on one worker, and it is made once."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Groups tests by the fixtures of `ON_ONE_WORKER`."""
    for item in items:
        for name in ON_ONE_WORKER:
            if name in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.xdist_group(name))


def jobs_of(name: str, scale: str) -> list[sweeps.Job]:
    """Returns an experiment's jobs; of the thousand that differ by one number, the first and the last."""
    return sweeps.jobs(name, scale, 1, ("task.unit=0,999",) if (name, scale) == ("classes1000", "paper") else ())


def module_at(path: Path) -> ModuleType:
    """Returns the module in a file that is in no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The user's cache folder, for this process and those that it starts: not the one at home."""
    folder = tmp_path_factory.getbasetemp().parent / "cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture
def run(tmp_path: Path) -> Runner:
    """Runs a tiny experiment in this process, with its results under tmp_path, and returns its record."""

    def runner(*overrides: str) -> dict[str, Any]:
        words = [*SMOKE, f"results={tmp_path / 'results'}", *overrides]
        cfg = config.layered(words)
        chosen = dict(word.split("=", 1) for word in ("task=denoise", "arch=skip_tiny", "image=astronaut", *words))
        choices = {group: chosen.get(group, "?") for group in GROUPS}
        return run_one(cfg, choices, ["python", "run.py", *words])

    return runner


@pytest.fixture
def runs(tmp_path: Path) -> Callable[[], list[Path]]:
    """Lists the run folders under tmp_path."""
    return lambda: sorted((tmp_path / "results" / "runs").glob("[!.]*"))
