"""The page of a run that goes on: it follows the news, and ends at the report; whatever is said stays text."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from dip_exp.pages import live
from dip_exp.pages.live import LivePage, News
from tests.pages.conftest import Browser

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("browser")]

BAD = "</script><script>window.got = 1</script><img src=x onerror='window.got = 2'>"


def tell(folder: Path, done: int, written: float, kept: dict[str, int] | None = None, last: float = 0.01) -> None:
    """Writes what a run writes now and then. last: its last loss."""
    columns = {
        "step": list(range(1, done + 1)),
        "loss": [*(1 / step for step in range(1, done)), last],
        "psnr": [None] * done,
        "psnr_average": [20.0] * done,
    }
    Image.new("RGB", (60, 40), (done % 256, 0, 0)).save(folder / "current.png")
    news = News(done, 1000, 0.5, columns, kept or {}, written, 5.0)
    (folder / "live.js").write_text(live.script(news))


@pytest.fixture
def made(tmp_path: Path) -> Callable[[str], Path]:
    def make(title: str) -> Path:
        page = LivePage(
            title, "skip", {"observation": Image.new("RGB", (60, 40), "green")}, (60, 40), "current.png", "live.js",
            "report.html", "Its stop rule may end it sooner.", title,
        )  # fmt: skip
        place = tmp_path / "live.html"
        place.write_text(live.html(page), encoding="utf-8")
        return place

    return make


def test_it_follows_the_news_and_ends_at_the_report(browser: Browser, made: Callable[[str], Path], tmp_path: Path):
    place = made("denoise: a")
    tell(tmp_path, 100, 1e9)
    browser.open(place)
    browser.wait(
        "document.querySelector('#state').textContent.startsWith('step 100 of 1,000, about 8 min left; loss 0.01')"
    )
    assert browser.texts("#state")[0].endswith("PSNR of the average 20.00 dB")
    assert browser.texts(".stage .name") == ["observation", "so far, step 100"]
    assert browser.js("return document.title") == "10% denoise: a"
    tell(tmp_path, 400, 4e9, {"stopped": 250})
    browser.wait("document.querySelector('#state').textContent.startsWith('step 400')")
    assert browser.texts("#rule") == ["Its stop rule may end it sooner. Chosen so far: stopped: step 250."]
    browser.wait("document.querySelector('.stage .half img').naturalWidth === 60")
    assert browser.texts(".stage .name.b") == ["so far, step 400"]
    assert browser.js("return document.querySelector('#progress').value") == 400
    (tmp_path / "report.html").write_text("<!doctype html><link rel=icon href=data:,><title>the report</title>")
    (tmp_path / "live.js").unlink()
    browser.wait("document.title === 'the report'")
    assert all("live.js" in one for one in browser.complaints())  # the browser tells that it is gone


def test_a_loss_that_is_no_number_and_a_ticked_box_stop_nothing(
    browser: Browser, made: Callable[[str], Path], tmp_path: Path
):
    place = made("a")
    tell(tmp_path, 10, 3e9)
    browser.open(place)
    browser.wait("document.querySelector('#state').textContent.startsWith('step 10 ')")
    browser.find("#curve input[type=checkbox]").click()
    tell(tmp_path, 20, 4e9, last=float("nan"))
    browser.wait("document.querySelector('#state').textContent.startsWith('step 20 ')")
    assert "loss –" in browser.texts("#state")[0]
    assert browser.find("#curve svg[role=slider]").get_attribute("aria-valuemax") == "20"
    assert not browser.find("#curve input[type=checkbox]").is_selected(), "what the reader chose stays"


def test_a_reader_of_the_curve_keeps_his_place_while_it_grows(
    browser: Browser, made: Callable[[str], Path], tmp_path: Path
):
    place = made("a")
    tell(tmp_path, 2000, 3e9)
    browser.open(place)
    browser.wait("document.querySelector('#state').textContent.startsWith('step 2,000 ')")
    browser.press("#curve svg[role=slider]", "\ue010", *["\ue012"] * 7)  # to the end, and seven back
    read = int(browser.find("#curve svg[role=slider]").get_attribute("aria-valuenow"))
    tell(tmp_path, 2300, 4e9)
    browser.wait("document.querySelector('#state').textContent.startsWith('step 2,300 ')")
    assert browser.js("return document.activeElement.getAttribute('role')") == "slider"
    browser.driver.switch_to.active_element.send_keys("\ue014")
    now = int(browser.find("#curve svg[role=slider]").get_attribute("aria-valuenow"))
    assert read < now < read + 20


def test_a_run_whose_steps_are_done_says_so_until_it_is_silent(
    browser: Browser, made: Callable[[str], Path], tmp_path: Path
):
    place = made("a")
    tell(tmp_path, 1000, time.time())
    browser.open(place)
    browser.wait("document.querySelector('#told').textContent === 'all steps are done; the results are being written'")
    tell(tmp_path, 1000, 1e9)
    browser.wait("document.querySelector('#told').textContent.startsWith('no news for')")


def test_news_that_cannot_be_read_once_do_not_end_it(browser: Browser, made: Callable[[str], Path], tmp_path: Path):
    place = made("a")
    tell(tmp_path, 10, 3e9)
    browser.open(place)
    browser.wait("document.querySelector('#state').textContent.startsWith('step 10 ')")
    from selenium.webdriver.support.ui import WebDriverWait

    (tmp_path / "live.js").rename(tmp_path / "away.js")
    WebDriverWait(browser.driver, 10, 0.05).until(lambda _: any("live.js" in one for one in browser.complaints()))
    tell(tmp_path, 20, 4e9)
    browser.wait("document.querySelector('#state').textContent.startsWith('step 20 ')")
    browser.complaints()


def test_a_run_that_is_silent_for_long_is_told_of(browser: Browser, made: Callable[[str], Path], tmp_path: Path):
    place = made("a")
    tell(tmp_path, 100, 1e9)
    browser.open(place)
    browser.wait("document.querySelector('#told').textContent.startsWith('no news for')")


def test_strings_stay_text(browser: Browser, made: Callable[[str], Path], tmp_path: Path):
    place = made(BAD)
    tell(tmp_path, 10, 4e9, {BAD: 5})
    browser.open(place)
    browser.wait("document.querySelector('#rule').textContent.includes('step 5')")
    assert browser.texts("h1") == [BAD]
    assert browser.js("return window.got ?? null") is None


def test_the_news_are_one_call_with_plain_json(tmp_path: Path):
    tell(tmp_path, 3, 1.5, {"emv": 2})
    text = (tmp_path / "live.js").read_text()
    told = json.loads(text.removeprefix("dip_exp_news(").removesuffix(");\n"))
    assert told["curve"]["step"] == [1, 2, 3]
    assert told["kept"] == {"emv": 2}
