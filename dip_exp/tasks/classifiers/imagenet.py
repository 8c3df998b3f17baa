"""The WordNet names of the 1000 classes of ILSVRC-2012, in the order of every classifier's last layer."""

import difflib
from functools import cache
from importlib.resources import files


@cache
def names() -> tuple[str, ...]:
    """Returns the classes' names in order; synonyms are separated by commas."""
    return tuple(files("dip_exp.tasks.classifiers").joinpath("imagenet.txt").read_text(encoding="utf-8").splitlines())


def number(name: str) -> int:
    """Returns the number of the class that has `name` as a synonym, ignoring case, or else of the only class with a
    synonym that contains it. Raises ValueError, with suggestions, if no class or more than one matches."""
    wanted = name.strip().casefold()
    synonyms = [[part.strip().casefold() for part in entry.split(",")] for entry in names()]
    exact = [index for index, parts in enumerate(synonyms) if wanted in parts]
    within = [index for index, parts in enumerate(synonyms) if any(wanted in part for part in parts)]
    found = exact or within
    if len(found) == 1:
        return found[0]
    if found:
        listed = "; ".join(f"{index}: {names()[index]}" for index in found[:8])
        raise ValueError(f"unit: {name!r} is {len(found)} classes: {listed}; give the number  [task.unit]")
    near = difflib.get_close_matches(wanted, [part for parts in synonyms for part in parts], n=3, cutoff=0.5)
    guess = f"; near: {', '.join(near)}" if near else ""
    raise ValueError(f"unit: there is no class {name!r} among the 1000{guess}  [task.unit]")
