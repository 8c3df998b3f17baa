"""Runs, times and checks the classical restorers of an observation."""

import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dip_exp.metrics.kinds import BASELINE
from dip_exp.runs import report
from dip_exp.tasks import baselines

if TYPE_CHECKING:
    from dip_exp.tasks.problem import Problem


@dataclass(frozen=True)
class Classical:
    """A classical restorer's picture (1, C, H, W), its display name, and its running time in seconds."""

    picture: np.ndarray
    name: str
    seconds: float

    @property
    def facts(self) -> dict[str, Any]:
        """The facts that a record holds: name and seconds."""
        return {"name": self.name, "seconds": self.seconds}


def classical(problem: "Problem", which: str) -> dict[str, Classical]:
    """Returns the results of a problem's classical restorers by output kind: `baseline` and `baseline_<rival>`.

    which: which rivals to run: `none`, `quick` or `all`. A restorer that fails is reported and skipped, so that a long
    run is not lost.
    """
    asked = {} if problem.baseline is None else {BASELINE: problem.baseline}
    for rival, restorer in problem.rivals.items():
        if which == "all" or (which == "quick" and rival not in baselines.SLOW):
            asked[f"{BASELINE}_{rival}"] = (baselines.TITLES.get(rival, rival), restorer)
    if asked:
        baselines.load_libraries()
    made = {}
    for kind, (name, restorer) in asked.items():
        began = time.perf_counter()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # flat pictures cause empty means and divisions by zero
                picture = restorer()
            seconds = time.perf_counter() - began
            _check(picture, problem)
        except Exception as error:
            report.note(f"{kind}: {name} failed ({type(error).__name__}: {error}); the run goes without it")
        else:
            made[kind] = Classical(picture, name, seconds)
    return made


def _check(picture: np.ndarray, problem: "Problem") -> None:
    if picture.shape != (1, *problem.shape):
        raise ValueError(f"it gave a picture {picture.shape}; {(1, *problem.shape)} is needed")
    if not np.isfinite(picture).all():
        raise ValueError("it gave values that are not finite")


def main_facts(problem: "Problem", made: dict[str, Classical]) -> dict[str, Any]:
    """Returns the record's entry for the main restorer. It has the name even if the restorer failed."""
    if BASELINE in made:
        return made[BASELINE].facts
    return {"name": None if problem.baseline is None else problem.baseline[0], "seconds": None}
