"""In: a fit that goes on. Out: current.png and live.html in its folder, which show how far it has come. No torch."""

import shlex
import time
from typing import TYPE_CHECKING

from dip_exp.atomic import write_bytes, write_text
from dip_exp.metrics import kinds
from dip_exp.pages import live
from dip_exp.pages.one_run import Number
from dip_exp.pages.pictures import drawn, quick_png
from dip_exp.runs.folder import CURRENT, NEWS, PAGE, RunFolder

if TYPE_CHECKING:
    from dip_exp.fit.progress import Now
    from dip_exp.runs.order import Order
    from dip_exp.tasks.problem import Problem

COLUMNS = ("step", "loss", "psnr", "psnr_average")


class Live:
    """What a fit calls now and then, to show how far it has come.

    sooner: whether a stop rule may end it before its last step.
    """

    def __init__(self, order: "Order", problem: "Problem", *, sooner: bool) -> None:
        self._folder: RunFolder = order.folder
        self._page = _page(order, problem, sooner=sooner)
        self._columns: dict[str, list[Number]] = {name: [] for name in COLUMNS}
        self._last: float | None = None

    def __call__(self, now: "Now") -> None:
        """Writes the current picture, the news, and at the first time the page. Raises OSError."""
        write_bytes(self._folder.current, quick_png(drawn(now.x)))
        for row in now.rows:
            for name in COLUMNS:
                self._columns[name].append(row[name])
        at = time.time()
        every = 0.0 if self._last is None else at - self._last
        kept = {kind.removeprefix(f"{kinds.STOPPED}_"): step for kind, step in now.kept.items()}
        news = live.News(now.done, now.steps, now.pace, self._columns, kept, at, every)
        write_text(self._folder.news, live.script(news))
        if self._last is None:
            write_text(self._folder.live, live.html(self._page))
        self._last = at


def _page(order: "Order", problem: "Problem", *, sooner: bool) -> live.LivePage:
    _, height, width = problem.shape
    given = {kinds.OBSERVATION: problem.observation, "the clean picture": problem.x}
    choices = order.choices
    rule = f", stop rule {choices['stop']}" if "stop" in choices else ""
    end = "Its stop rule may end it sooner." if sooner else "It takes all its steps."
    return live.LivePage(
        title=f"{choices['task']}: {order.picture.name}",
        subtitle=f"{choices['arch']}, {choices['optim']}{rule}, seed {order.config['seed']}",
        given={name: drawn(x.float().cpu().numpy()) for name, x in given.items() if x is not None},
        size=(width, height),
        current=CURRENT,
        news=NEWS,
        report=PAGE,
        end=end,
        command=shlex.join(order.command),
    )
