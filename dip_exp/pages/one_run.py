"""The page of one run: before and after, the iterates on their curve, scores, and how it was made."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from PIL.Image import Image

from dip_exp.pages.document import rendered
from dip_exp.pages.pictures import Embedded, Wanted, drawn, embedded, spaced
from dip_exp.shapes import Float32

POINTS = 900
"""Points of a curve that a page holds at most."""

Number = float | int | None


@dataclass(frozen=True, eq=False)
class Side:
    """A picture of a run. label: in a few words. note: its score, or what white is. file:
    its address beside the page. exact: to be looked at pixel by pixel. is_map: no picture, but a map of numbers. size:
    the (width, height) of the whole picture, if `image` is reduced."""

    name: str
    label: str
    note: str
    image: Image
    file: str = ""
    exact: bool = False
    is_map: bool = False
    size: tuple[int, int] | None = None


@dataclass(frozen=True, eq=False)
class Iterate:
    """The output x_hat of a step, counted from 1."""

    step: int
    image: Image
    note: str = ""


@dataclass(frozen=True)
class Mark:
    """A step on the curve, counted from 1. sort: `result`, `rule` (one that only watched) or `oracle`."""

    step: int
    label: str
    sort: str


@dataclass(frozen=True)
class Box:
    """A tile in pixels of the picture."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class Facts:
    """A table of names and values, and of links by what they are of."""

    title: str
    rows: Sequence[tuple[str, str]] = ()
    links: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, eq=False)
class RunPage:
    """What the page of a run shows. pair: the names of the two sides that are compared at first. columns: of the curve,
    by name, of equal length, None where there is no number; `step` is one of them. heads, scores: the final table.
    command: computes the run again. config: its whole configuration as text."""

    title: str
    subtitle: str
    sides: Sequence[Side]
    pair: tuple[str, str]
    iterates: Sequence[Iterate] = ()
    columns: Mapping[str, Sequence[Number]] = field(default_factory=dict)
    marks: Sequence[Mark] = ()
    boxes: Sequence[Box] = ()
    heads: Sequence[str] = ()
    scores: Sequence[Sequence[str]] = ()
    remarks: Sequence[str] = ()
    facts: Sequence[Facts] = ()
    command: str = ""
    config: str = ""


def html(page: RunPage) -> str:
    """Returns the page as one file that loads nothing."""
    pictures = _embedded(page)
    return rendered(
        "one_run.html",
        ["viewer.js", "plot.js", "one_run.js"],
        closed=True,
        page=page,
        pictures=pictures,
        iterates={one.step: pictures[iterate_name(one.step)] for one in page.iterates},
        data=data_of(page, pictures),
        lossy=any(not one.exact for name, one in pictures.items() if name in {side.name for side in page.sides}),
    )


def _embedded(page: RunPage) -> dict[str, Embedded]:
    wanted = {side.name: Wanted(side.image, side.exact, side.size) for side in page.sides}
    wanted |= {iterate_name(one.step): Wanted(one.image) for one in page.iterates}
    return embedded(wanted)


def iterate_name(step: int) -> str:
    """Returns the name under which an iterate is embedded."""
    return f"step {step}"


def data_of(page: RunPage, pictures: Mapping[str, Embedded]) -> dict[str, object]:
    """Returns what the page's script reads."""
    first = pictures[page.pair[1]]
    return {
        "pair": list(page.pair),
        "size": [first.width, first.height],
        "iterates": [one.step for one in page.iterates],
        "curve": thinned(page.columns, [mark.step for mark in page.marks]),
        "marks": [{"step": one.step, "label": one.label, "sort": one.sort} for one in page.marks],
        "boxes": [[one.left, one.top, one.width, one.height] for one in page.boxes],
    }


def thinned(
    columns: Mapping[str, Sequence[Number]], wanted: Sequence[int] = (), most: int = POINTS
) -> dict[str, list[Number]]:
    """Returns the columns of a curve with at most `most` rows, and those of the steps `wanted`."""
    steps = columns.get("step", ())
    kept = set(wanted)
    places = sorted({*spaced(len(steps), most), *(place for place, step in enumerate(steps) if step in kept)})
    return {name: [_short(values[place]) for place in places] for name, values in columns.items()}


def _short(value: Number) -> Number:
    """Returns a number with five digits, and None for one that is not finite."""
    if value is None or not np.isfinite(value):
        return None
    return value if isinstance(value, int) else float(f"{value:.5g}")


def error_map(x: Float32[np.ndarray, "1 C H W"], truth: Float32[np.ndarray, "1 C H W"], name: str) -> Side:
    """Returns the absolute error of a picture, all channels taken together; white is its 99th percentile."""
    error = np.abs(x - truth).mean(axis=1, keepdims=True)
    white = float(np.percentile(error, 99)) or 1.0
    shown = drawn((error / white).clip(0, 1).astype(np.float32))
    return Side(f"error of {name}", f"error of {name}", f"white: {white:.3g} and more", shown, is_map=True)


def in_words(sides: Sequence[Side]) -> Iterator[Side]:
    """Returns the sides with labels that differ: where two are equal, the kind's name is added."""
    labels = [side.label for side in sides]
    for side in sides:
        yield side if labels.count(side.label) == 1 else replace(side, label=f"{side.label} ({side.name})")
