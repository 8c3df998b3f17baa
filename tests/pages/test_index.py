"""The page of many runs: filter, sort, compare, address; a thousand runs; whatever is said stays text."""

import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dip_exp.pages import index
from dip_exp.pages.index import Grid, IndexPage, Shown
from tests.pages.conftest import WIDTHS, Browser

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("browser")]

BAD = "</script><script>window.got = 1</script><img src=x onerror='window.got = 2'>"


def row(number: int, **given: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "id": f"{number:012x}", "scale": ("paper", "mini")[number % 2], "experiments": ["fig4", "tab"][: number % 3],
        "task": ("denoise", "superres", "inpaint")[number % 3], "arch": "skip", "input": "noise", "optim": "adam",
        "lr": 0.01, "stop": "fixed", "picture": f"picture{number % 5}", "seed": str(number % 7), "width": 60,
        "height": 40,
        "degrade_seed": 0, "precision": "fp32", "steps": 100 + number, "seconds": 2.5, "device": "cpu", "weights": 12,
        "commit": "abc", "result": "stopped", "psnr": None if number == 3 else 20 + number % 11, "ssim": 0.5,
        "classical": 21.0, "best": 30.0, "scores": {"stopped": [20 + number % 11, 0.5], "baseline": [21.0, None]},
        "pictures": {}, "thumb": None, "thumb_of": "", "page": None,
    }  # fmt: skip
    return whole | given


def written(folder: Path, rows: list[dict[str, Any]], said: str = "about") -> Path:
    curves = {one["id"]: {"step": [1, 2, 5], "loss": [1, 0.5, 0.1], "psnr_average": [1, 2, 3]} for one in rows}
    grid = Grid(said, ["", "dB"], [[said, "20.00"]], [said], words=1)
    page = IndexPage("Runs", said, len(rows), grid, [Shown("fig4", "mini", [said], "a.png", grid)])
    (folder / "runs.js").write_text(index.runs_script(rows))
    (folder / "curves.js").write_text(index.curves_script(curves))
    (folder / "index.html").write_text(index.html(page), encoding="utf-8")
    Image.new("RGB", (60, 40), "red").save(folder / "a.png")
    return folder / "index.html"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    seen = {
        "pictures": {"stopped": "a.png", "truth": "a.png"},
        "thumb": "a.png",
        "thumb_of": "stopped",
        "page": "../runs/x/report.html",
    }
    return written(tmp_path, [row(n, **(seen if n < 4 else {})) for n in range(1000)])


def choose(browser: Browser, name: str, value: str) -> None:
    browser.js(
        "const s = document.querySelector(arguments[0]); s.value = arguments[1]; s.dispatchEvent(new Event('change'))",
        f"#filter-{name}", value,
    )  # fmt: skip


def column(browser: Browser, place: int) -> list[str]:
    return browser.texts(f"#table tbody td:nth-child({place})")


SAID = "return document.querySelector('#counted').textContent"


def test_runs_are_filtered_by_choices_words_and_pictures(browser: Browser, path: Path):
    browser.open(path)
    browser.wait("document.querySelectorAll('#table tbody tr').length > 0")
    assert browser.js(SAID) == "1,000 of 1,000 runs, the first 200 are shown"
    choose(browser, "task", "superres")
    assert set(column(browser, 3)) == {"superres"}
    choose(browser, "seed", "3")
    assert browser.js(SAID) == "48 of 1,000 runs"
    choose(browser, "experiment", "fig4")
    assert browser.js(SAID) == "48 of 1,000 runs"
    choose(browser, "experiment", "tab")
    assert browser.js(SAID) == "0 of 1,000 runs"
    browser.js("[...document.querySelectorAll('button')].find((one) => one.textContent === 'reset').click()")
    browser.press("input[type=search]", "picture3 mini")
    assert browser.js(SAID) == "100 of 1,000 runs"
    browser.js("[...document.querySelectorAll('button')].find((one) => one.textContent === 'reset').click()")
    browser.find("#filters input[type=checkbox]").click()
    assert browser.js(SAID) == "4 of 1,000 runs"
    assert browser.count("#table tbody img[alt=stopped]") == 4
    assert browser.count("#table tbody a[href='../runs/x/report.html']") == 4


def test_runs_are_sorted_both_ways_and_what_is_unknown_comes_last(browser: Browser, path: Path):
    browser.open(path)
    browser.wait("document.querySelectorAll('#table tbody tr').length > 0")
    heading = "#table thead th:nth-child(10) button"
    assert browser.texts(heading) == ["result dB"]
    browser.press(heading, "\ue007")
    assert column(browser, 10)[0] == "30.00"
    assert browser.find("#table thead th:nth-child(10)").get_attribute("aria-sort") == "descending"
    browser.find(heading).click()
    assert column(browser, 10)[0] == "20.00"
    browser.find("#more").click()
    assert browser.count("#table tbody tr") == 1000
    assert column(browser, 10)[-1] == "–"
    browser.find(heading).click()
    assert column(browser, 10)[-1] == "–"


def test_runs_are_compared_and_the_address_names_them(browser: Browser, path: Path):
    browser.open(path)
    browser.wait("document.querySelectorAll('#table tbody tr').length > 0")
    assert not browser.find("#tray").is_displayed()
    for place in (1, 2, 6):
        browser.find(f"#table tbody tr:nth-child({place}) input").click()
    browser.wait("document.querySelectorAll('#curves path.line').length === 6")
    browser.find("#tray").click()
    assert browser.count(".compared figure") == 3
    assert browser.count(".compared img") == 2
    assert "no picture of stopped is here" in browser.texts(".compared p")
    differ = browser.texts("#compare tbody th")
    assert {"task", "seed", "steps"} <= set(differ)
    assert not {"arch", "device"} & set(differ)
    browser.press(".compared .view", "+", "+")
    moved = "return [...new Set([...document.querySelectorAll('.compared img')].map((one) => one.style.transform))]"
    (one,) = browser.js(moved)
    assert "scale(2.25)" in one
    address = browser.js("return location.hash")
    assert address.count("%2C") == 2
    browser.open(path, fragment=address)
    browser.wait("document.querySelectorAll('.compared figure').length === 3")
    assert (
        browser.js("return [...document.querySelectorAll('#table tbody input')].filter((one) => one.checked).length")
        == 3
    )
    browser.js("[...document.querySelectorAll('button')].find((one) => one.textContent === 'clear').click()")
    assert browser.count(".compared figure") == 0


def test_at_most_twelve_are_compared_each_with_a_line_of_its_own(browser: Browser, path: Path):
    browser.open(path)
    browser.wait("document.querySelectorAll('#table tbody tr').length > 0")
    for place in range(1, 14):
        browser.js("document.querySelectorAll('#table tbody input')[arguments[0]].click()", place)
    assert browser.count(".compared figure") == 12
    assert browser.texts("#limit") == ["at most 12 runs are compared"]
    browser.wait("document.querySelectorAll('#curves path.line').length === 24")
    drawn = browser.js("return [...document.querySelectorAll('#curves path.line')].map((one) => one.className.baseVal)")
    assert len(set(drawn)) == 12
    assert all(re.fullmatch(r"line c[0-7] d[0-3]", one) for one in drawn)
    browser.js("document.querySelectorAll('#table tbody input')[1].click()")
    assert browser.texts("#limit") == [""]
    assert browser.count(".compared figure") == 11


def test_links_within_the_page_keep_what_the_address_says(browser: Browser, path: Path):
    browser.open(path)
    browser.wait("document.querySelectorAll('#table tbody tr').length > 0")
    choose(browser, "task", "superres")
    before = browser.js("return location.hash")
    for link in ("nav a[href='#compared']", "a.skip"):
        browser.js("document.querySelector(arguments[0]).click()", link)
        assert browser.js("return location.hash") == before
        target = browser.js("return document.querySelector(arguments[0]).hash", link)
        assert "#" + browser.js("return document.activeElement.id") == target


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_every_width_in_both_schemes(browser: Browser, path: Path, width: int, scheme: str):
    browser.open(path, width, scheme=scheme)
    browser.wait("document.querySelectorAll('#table tbody tr').length > 0")
    browser.find("#table tbody input").click()
    browser.wait("document.querySelectorAll('#curves path.line').length > 0")
    assert browser.js("return document.documentElement.scrollWidth") <= width


def test_strings_stay_text(browser: Browser, tmp_path: Path):
    rows = [row(n, picture=BAD, task=BAD, arch=BAD, experiments=[BAD], scores={BAD: [1.0, None]}) for n in range(3)]
    browser.open(written(tmp_path, rows, said=BAD))
    browser.wait("document.querySelectorAll('#table tbody tr').length > 0")
    for place in (1, 2):
        browser.find(f"#table tbody tr:nth-child({place}) input").click()
    browser.wait("document.querySelectorAll('#curves path.line').length > 0")
    assert column(browser, 3)[0] == BAD
    assert browser.js("return window.got ?? null") is None
