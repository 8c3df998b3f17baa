"""The output kinds: every picture that a run can write, what it means, and how it may be used.

A kind is a name ("stopped"), the same in records, in tables, and in file names (stopped.png).
"""

from collections.abc import Iterable
from dataclasses import dataclass

OBSERVATION = "observation"
BASELINE = "baseline"
LAST = "last"
AVERAGE = "average"
STOPPED = "stopped"
PASTED = "pasted"
PEAK = "peak"
PEAK_AVERAGE = "peak_average"
POSTERIOR = "posterior"
POSTERIOR_STD = "posterior_std"
STD = "std"


@dataclass(frozen=True)
class Kind:
    """meaning: in a few words. oracle: chosen with the truth, so never a result, and always labelled. is_map: a map of
    numbers, not an estimate of the picture, so never scored. given: independent of the seed."""

    meaning: str
    oracle: bool = False
    is_map: bool = False
    given: bool = False


KINDS = {
    OBSERVATION: Kind("what was given", given=True),
    "guide": Kind("the picture that guides the fit", given=True),
    "truth": Kind("the clean picture", given=True),
    "missing": Kind("where pixels were missing", is_map=True, given=True),
    BASELINE: Kind("classical", given=True),
    LAST: Kind("last iterate"),
    AVERAGE: Kind("running average, last step"),
    STOPPED: Kind("average at the step the stop rule chose"),
    PASTED: Kind("stopped, known pixels pasted back"),
    POSTERIOR: Kind("mean of the samples after burn-in"),
    POSTERIOR_STD: Kind("standard deviation of those samples", is_map=True),
    STD: Kind("standard deviation over the runs", is_map=True),
    PEAK: Kind("oracle: best iterate by the truth", oracle=True),
    PEAK_AVERAGE: Kind("oracle: best average by the truth", oracle=True),
}

DERIVED = Kind("made of the stopped picture")
"""All other kinds; each is defined by a task."""

ORACLES = tuple(name for name, kind in KINDS.items() if kind.oracle)
MAPS = tuple(name for name, kind in KINDS.items() if kind.is_map)


def kind(name: str) -> Kind:
    """Returns the properties of a kind: one of `KINDS`, a rival's picture (baseline_<name>), the choice of a passive
    stop rule (stopped_<rule>), or a kind defined by a task."""
    first = name.partition("_")[0]
    return KINDS.get(name) or (KINDS[first] if first in (BASELINE, STOPPED) else DERIVED)


def of_the_seed(names: Iterable[str]) -> list[str]:
    """Returns the kinds among `names` that depend on the seed, in the same order. Oracles and maps are left out."""
    return [name for name in names if not (kind(name).given or kind(name).oracle or kind(name).is_map)]
