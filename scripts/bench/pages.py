"""What pages cost: the seconds and bytes of a run's report, the share of a run that its live page takes, and how soon
the page of a thousand runs is there.

    python scripts/bench/pages.py          about five minutes on an idle machine

Writes results/tables/bench_pages.csv and the table in docs/speed.md. The page of a thousand runs is opened in a
headless Chromium (Debian: chromium, chromium-driver; `pip install -e '.[dev]'`), and left out where there is none.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from dip_exp import config  # noqa: E402
from dip_exp.fit import progress  # noqa: E402
from dip_exp.pages import index  # noqa: E402
from dip_exp.runs import live, page  # noqa: E402
from dip_exp.runs.folder import RunFolder  # noqa: E402
from dip_exp.runs.order import GROUPS  # noqa: E402
from dip_exp.runs.run import run  # noqa: E402
from scripts import chromium  # noqa: E402
from scripts.bench.common import machine, put_block, write_table  # noqa: E402

RESULT = ROOT / "results/tables/bench_pages.csv"
DOCUMENT = ROOT / "docs/speed.md"
BEGIN, END = "<!-- pages: begin (scripts/bench/pages.py writes it) -->", "<!-- pages: end -->"
COLUMNS = ("what", "case", "value", "unit", "machine")

SIZES = (128, 256, 512)
LIVE_SECONDS = 45
ROUNDS = 5
RUNS = 1000

Row = tuple[str, str, float, str]


def denoised(side: int, steps: int, results: Path) -> dict[str, Any]:
    """Returns the record of a narrow network's run on a picture of this side."""
    words = [
        *(
            "task=denoise",
            "image=astronaut",
            f"image.shrink_to={side}",
            "arch=skip_tiny",
            "logger=none",
            "rivals=quick",
        ),
        *("trainer=cpu", "trainer.progress=off", f"optim.steps={steps}", f"results={results}"),
    ]
    choices = {**dict.fromkeys(GROUPS, "?"), "task": "denoise", "image": "astronaut", "arch": "skip_tiny"}
    done = run(config.compose(words), choices, ["python", "run.py", *words])
    assert done is not None
    return done


def reports(results: Path, sizes: tuple[int, ...] = SIZES, steps: int = 1000) -> Iterator[Row]:
    """Yields seconds and megabytes of the report of a run, by the side of its picture. steps: of a small one, which has
    an iterate for 1, 2, 5, 10, ... of them; a large one has a fifth."""
    for side in sizes:
        done = denoised(side, steps if side < 200 else steps // 5, results)
        folder = RunFolder(results, done["run_id"])
        each = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            page.write(folder, done)
            each.append(time.perf_counter() - began)
        yield "report", f"{side}x{side}", round(statistics.median(each), 3), "s"
        yield "report", f"{side}x{side}", round(folder.page.stat().st_size / 1e6, 2), "MB"


def shares(results: Path, sizes: tuple[int, ...] = SIZES, seconds: float = LIVE_SECONDS) -> Iterator[Row]:
    """Yields the share of a run's time in which it writes its live page, for runs of some `seconds` seconds."""
    for side in sizes:
        pace = denoised(side, 20, results)["seconds_per_step"]
        spent, tell = [0.0], live.Live.__call__

        def timed(self: live.Live, now: progress.Now, spent: list[float] = spent, tell: Any = tell) -> None:
            began = time.perf_counter()
            tell(self, now)
            spent[0] += time.perf_counter() - began

        with mock.patch.object(live.Live, "__call__", timed):
            done = denoised(side, max(21, round(seconds / pace)), results)
        yield (
            "live page",
            f"{side}x{side}, a run of {done['seconds']:.0f} s",
            round(100 * spent[0] / done["seconds"], 2),
            "%",
        )


def many(folder: Path, count: int = RUNS) -> Iterator[Row]:
    """Yields how soon the page of many runs shows its table, and how soon a choice is followed, in milliseconds."""
    browser = chromium.started()
    if browser is None:
        print("no Chromium here: the page of many runs is left out", file=sys.stderr)
        return
    from selenium.webdriver.support.ui import WebDriverWait

    place = _page_of(folder, count)
    try:
        loaded, followed = [], []
        for _ in range(ROUNDS):
            browser.get("about:blank")
            browser.get(place.as_uri())
            WebDriverWait(browser, 60, 0.01).until(lambda one: one.execute_script(SHOWN) is not None)
            loaded.append(browser.execute_script(SHOWN))
            followed.append(browser.execute_script(FOLLOWED))
    finally:
        browser.quit()
    yield "page of many runs", f"{count} runs, until the table is there", round(statistics.median(loaded), 1), "ms"
    yield "page of many runs", f"{count} runs, until a filter is followed", round(statistics.median(followed), 1), "ms"


SHOWN = "return document.querySelector('#table tbody tr') ? (window.shown ??= performance.now()) : null"
FOLLOWED = (
    "const select = document.querySelector('#filter-task'), began = performance.now(); select.value = 'superres';"
    "select.dispatchEvent(new Event('change')); document.body.offsetHeight; return performance.now() - began"
)


def _page_of(folder: Path, count: int) -> Path:
    """Writes a page of `count` runs with curves and thumbnails, and returns its path."""
    from PIL import Image

    Image.new("RGB", (96, 96), "gray").save(folder / "thumb.webp")
    facts = {"arch": "skip", "input": "noise", "optim": "adam", "lr": 0.01, "stop": "fixed", "precision": "fp32"}
    rows = [
        {
            "id": f"{number:012x}", "scale": "mini", "experiments": [f"experiment {number % 20}"],
            "task": ("denoise", "superres", "inpaint", "jpeg")[number % 4], **facts,
            "picture": f"picture {number % 30}", "width": 128, "height": 128,
            "seed": str(number % 3), "degrade_seed": 0, "steps": 1000, "seconds": 60.5,
            "device": "cpu", "weights": 152199, "commit": "0" * 40, "result": "stopped", "psnr": 20 + number % 13 / 7,
            "ssim": 0.5, "classical": 22.5, "best": 25.5, "scores": {f"kind {n}": [20.5, 0.5] for n in range(9)},
            "pictures": {"stopped": "thumb.webp"}, "thumb": "thumb.webp", "page": None,
        }
        for number in range(count)
    ]  # fmt: skip
    (folder / index.RUNS).write_text(index.runs_script(rows))
    (folder / index.CURVES).write_text(index.curves_script({}))
    place = folder / "index.html"
    place.write_text(index.html(index.IndexPage("Runs", "", count, None, [])), encoding="utf-8")
    return place


def summary(rows: list[dict[str, Any]]) -> str:
    """Returns the page's table."""
    lines = ["| what | | |", "|---|---|---|"]
    lines += [f"| {row['what']} | {row['case']} | {row['value']} {row['unit']} |" for row in rows]
    of = dict.fromkeys(row["machine"] for row in rows)
    return "\n".join([*lines, "", f"*Measured on {'; '.join(of)}; medians of {ROUNDS}.*"])


def main() -> None:
    config.register()
    with tempfile.TemporaryDirectory() as text:
        results = Path(text)
        found = [*reports(results), *shares(results), *many(results)]
    rows: list[dict[str, Any]] = [dict(zip(COLUMNS, (*row, machine()), strict=True)) for row in found]
    write_table(RESULT, COLUMNS, rows)
    put_block(DOCUMENT, BEGIN, END, summary(rows))


if __name__ == "__main__":
    main()
