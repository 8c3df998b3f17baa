"""The page of a run while it goes on. It reads a small script beside it again and again: no server is needed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL.Image import Image

from dip_exp.pages.document import rendered
from dip_exp.pages.one_run import Number, thinned
from dip_exp.pages.pictures import Wanted, embedded


@dataclass(frozen=True, eq=False)
class LivePage:
    """What does not change while the run goes on. given: pictures by their labels, such as the observation. size:
    (width, height) of the restored picture. current, news, report: names of files beside the page: the picture so far,
    the script, and the page that the finished run will have. end: how the run will end, in words."""

    title: str
    subtitle: str
    given: Mapping[str, Image]
    size: tuple[int, int]
    current: str
    news: str
    report: str
    end: str
    command: str


def html(page: LivePage) -> str:
    """Returns the page."""
    pictures = embedded({label: Wanted(image, exact=True) for label, image in page.given.items()}, effort=0)
    data = {"size": list(page.size), "current": page.current, "news": page.news, "report": page.report}
    return rendered(
        "live.html", ["viewer.js", "plot.js", "live.js"], closed=False, page=page, pictures=pictures, data=data
    )


@dataclass(frozen=True)
class News:
    """How far a run has come. columns: of the curve, with `step`. pace: seconds per step lately, or None. kept: what
    the stop rule has chosen so far, {name: step}. written: the time, in seconds since 1970. every: seconds after which
    the next is to be expected."""

    done: int
    steps: int
    pace: float | None
    columns: Mapping[str, Sequence[Number]]
    kept: Mapping[str, int]
    written: float
    every: float


def script(news: News) -> str:
    """Returns the script that tells the page."""
    told = {
        "done": news.done,
        "steps": news.steps,
        "pace": news.pace,
        "curve": thinned(news.columns),
        "kept": dict(news.kept),
        "written": news.written,
        "every": news.every,
    }
    return f"dip_exp_news({json.dumps(told, allow_nan=False)});\n"
