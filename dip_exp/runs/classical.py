"""Runs, times and checks the classical restorers of an observation."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dip_exp.metrics.kinds import BASELINE
from dip_exp.runs import cache, report
from dip_exp.tasks import baselines

if TYPE_CHECKING:
    from dip_exp.tasks.presentation import Restorer
    from dip_exp.tasks.problem import Problem


@dataclass(frozen=True)
class Classical:
    """A classical restorer's picture (1, C, H, W), its running time in seconds, and its display name."""

    picture: np.ndarray
    seconds: float
    name: str

    @property
    def facts(self) -> dict[str, Any]:
        """The facts that a record holds: name and seconds."""
        return {"name": self.name, "seconds": self.seconds}


def classical(problem: "Problem", which: str, results: Path) -> dict[str, Classical]:
    """Returns the results of a problem's classical restorers by output kind: `baseline` and `baseline_<rival>`.

    which: which rivals to run: `none`, `quick` or `all`. results: the folder that keeps slow restorers' results for the
    next run of the same observation. A restorer that fails is reported and skipped, so that a long run is not lost.
    """
    told = problem.presentation
    asked = {} if told.baseline is None else {BASELINE: told.baseline}
    for rival, restorer in told.rivals.items():
        if which == "all" or (which == "quick" and rival not in baselines.SLOW):
            asked[f"{BASELINE}_{rival}"] = (baselines.TITLES.get(rival, rival), restorer)
    made = {}
    for kind, (name, restorer) in asked.items():
        try:
            made[kind] = Classical(*_restored(restorer, problem, results), name)
        except Exception as error:
            report.note(f"{kind}: {name} failed ({type(error).__name__}: {error}); the run goes without it")
    return made


def _restored(restorer: "Restorer", problem: "Problem", results: Path) -> tuple[np.ndarray, float]:
    """Returns a restorer's picture and its seconds, read if an earlier run of the same observation kept them."""
    name = cache.key(restorer)
    kept = None if name is None else cache.read(results, name)
    if kept is not None and kept[0].shape == (1, *problem.shape):
        return kept
    baselines.load_libraries()
    began = time.perf_counter()
    picture = baselines.restored(restorer, problem.shape)
    seconds = time.perf_counter() - began
    if name is not None:
        cache.keep(results, name, picture, seconds)
    return picture, seconds


def main_facts(problem: "Problem", made: dict[str, Classical]) -> dict[str, Any]:
    """Returns the record's entry for the main restorer. It has the name even if the restorer failed."""
    if BASELINE in made:
        return made[BASELINE].facts
    baseline = problem.presentation.baseline
    return {"name": None if baseline is None else baseline[0], "seconds": None}
