"""Classical restorers of the same observation: run, timed, checked."""

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

"""The output kind of a problem's main classical restorer, and the beginning of those of the others."""


@dataclass(frozen=True)
class Classical:
    """A classical restorer's picture (1, C, H, W), its name in words, and the seconds it took."""

    picture: np.ndarray
    name: str
    seconds: float

    @property
    def facts(self) -> dict[str, Any]:
        """What a record keeps of it."""
        return {"name": self.name, "seconds": self.seconds}


def classical(problem: "Problem", which: str) -> dict[str, Classical]:
    """Returns what a problem's classical restorers make of it, by output kind: `baseline` and `baseline_<rival>`.

    which: `none` of the rivals, the `quick` ones, or `all`. One that fails is told of and left out: a run of hours is
    not lost to it.
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
                warnings.simplefilter("ignore", RuntimeWarning)  # flat pictures: means of nothing, divisions by none
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
    """Returns what a record keeps of the main restorer: its name also where it failed."""
    if BASELINE in made:
        return made[BASELINE].facts
    return {"name": None if problem.baseline is None else problem.baseline[0], "seconds": None}
