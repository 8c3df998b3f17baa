"""The page of a run, in a browser: slider, zoom, iterates, curve, keys, widths, schemes; and nothing gets in or out."""

import html
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from dip_exp.pages import one_run
from dip_exp.pages.one_run import Facts, RunPage, Side
from dip_exp.pages.pictures import drawn
from tests.pages.conftest import STEPS, WIDTHS, Browser, picture

Make = Callable[..., RunPage]
in_a_browser = [pytest.mark.long, pytest.mark.xdist_group("browser")]

TRANSFORMS = (
    "return [...new Set([...document.querySelectorAll('.stage img, .view img')].map((one) => one.style.transform))]"
)
CORNER = "const r = document.querySelector('.stage').getBoundingClientRect(); return [r.left + 40, r.top + 40]"
CIRCLES = (
    "return [...document.querySelectorAll('.plot .mark circle')].map((one) => [Number(one.getAttribute('cx')), "
    "one.getAttribute('cy')])"
)
AT_TEN = (
    "return Number([...document.querySelectorAll('.plot text')].find((one) => one.textContent === '10' && "
    "one.getAttribute('text-anchor') === 'middle').getAttribute('x'))"
)
PLAY = "[...document.querySelectorAll('button')].find((one) => one.textContent === 'play')"
UNNAMED = (
    "return [...document.querySelectorAll('button, select, input, [role=slider], summary')].filter((one) => "
    "!(one.getAttribute('aria-label') || one.textContent.trim() || one.labels?.length)).map((one) => one.outerHTML)"
)
UNREACHED = (
    "return [...document.querySelectorAll('button, select, input, [role=slider]')].filter((one) => "
    "one.tabIndex < 0).length"
)
LOADED = (
    "return performance.getEntriesByType('resource').map((one) => one.name).filter((one) => !one.startsWith('data:'))"
)

KEYS = {"left": "\ue012", "up": "\ue013", "right": "\ue014", "down": "\ue015", "home": "\ue011", "end": "\ue010"}


@pytest.fixture
def path(a_page: Make, tmp_path: Path) -> Path:
    return written(a_page(), tmp_path)


def written(page: RunPage, folder: Path) -> Path:
    place = folder / "report.html"
    place.write_text(one_run.html(page), encoding="utf-8")
    return place


def test_the_page_is_one_file_that_names_nothing_elsewhere(path: Path):
    text = html.unescape(path.read_text())
    assert "default-src 'none'" in text
    assert "'unsafe" not in text
    addresses = re.findall(r"""(?:src|href)=["']?([^"' >]+)""", text)
    assert {one for one in addresses if not one.startswith(("data:", "#"))} == {
        *("stopped.png", "observation.png", "baseline.png", "../b/report.html")
    }


def test_every_picture_has_a_text_in_its_place(path: Path):
    pictures = re.findall(r"<img [^>]*>", path.read_text())
    assert len(pictures) == 5 + 4
    assert all(re.search(r'alt="[^"]{3,}"', one) for one in pictures)


def test_labels_that_are_alike_are_told_apart():
    image = drawn(picture())
    sides = list(
        one_run.in_words([Side("a", "made", "", image), Side("b", "made", "", image), Side("c", "c", "", image)])
    )
    assert [side.label for side in sides] == ["made (a)", "made (b)", "c"]


class TestInABrowser:
    pytestmark = in_a_browser

    def test_the_divider_is_dragged_and_moved_by_keys(self, browser: Browser, path: Path):
        browser.open(path)
        half = "return document.querySelector('.half').style.clipPath"
        assert browser.js(half) == "inset(0px 0px 0px 50%)"
        width = browser.js("return document.querySelector('.stage').clientWidth")
        browser.drag(".divider", -width // 4)
        assert browser.find(".divider").get_attribute("aria-valuenow") in ("24", "25", "26")
        browser.press(".divider", KEYS["right"], KEYS["right"])
        assert 0.28 <= browser.js("return parseFloat(document.querySelector('.divider').style.left) / 100") <= 0.3
        browser.press(".divider", KEYS["home"])
        assert browser.js(half) == "inset(0px 0px 0px 0%)"
        browser.press(".divider", KEYS["end"])
        assert browser.js(half) == "inset(0px 0px 0px 100%)"

    def test_any_two_pictures_are_compared(self, browser: Browser, path: Path):
        browser.open(path)
        assert browser.texts(".stage .name") == ["observation, 20.00 dB", "restored, 24.10 dB"]
        browser.press("select[aria-label='left picture']", "n")  # by its first letter
        assert browser.texts(".stage .name.a") == ["non-local means, 25.00 dB"]
        browser.find("[data-name='truth'] .bar button:last-child").click()
        assert browser.texts(".stage .name.b") == ["the clean picture"]
        browser.find("button[title^='exchange']").click()
        assert browser.texts(".stage .name") == ["the clean picture", "non-local means, 25.00 dB"]
        shown = "return [...document.querySelectorAll('.stage img')].map((one) => one.naturalWidth)"
        assert browser.js(shown) == [60, 60]

    def test_all_pictures_zoom_and_move_together_down_to_pixels(self, browser: Browser, path: Path):
        browser.open(path)
        browser.press(".stage", "+", "+", KEYS["right"], KEYS["down"])
        (moved,) = browser.js(TRANSFORMS)
        assert "scale(2.25)" in moved
        from selenium.webdriver import ActionChains
        from selenium.webdriver.common.actions.action_builder import ActionBuilder

        x, y = (int(one) for one in browser.js(CORNER))
        hand = ActionBuilder(browser.driver)
        hand.pointer_action.move_to_location(x, y).pointer_down().move_to_location(x - 30, y - 20).pointer_up()
        hand.perform()
        (dragged,) = browser.js(TRANSFORMS)
        assert dragged != moved
        ActionChains(browser.driver).double_click(browser.find(".picture .view")).perform()
        (back,) = browser.js(TRANSFORMS)
        assert back == "translate(0%, 0%) scale(1)"
        for _ in range(12):
            browser.find("button[title='zoom in']").click()
        (far,) = browser.js(TRANSFORMS)
        assert "scale(64)" in far
        assert browser.js("return getComputedStyle(document.querySelector('.stage img')).imageRendering") == "pixelated"
        browser.press(".stage", "0")
        assert browser.js(TRANSFORMS) == ["translate(0%, 0%) scale(1)"]

    def test_a_finger_scrolls_the_page_until_the_picture_is_enlarged(self, browser: Browser, path: Path):
        browser.open(path, 390)
        touch = "return [...document.querySelectorAll('.stage, .view')].map((one) => getComputedStyle(one).touchAction)"
        assert set(browser.js(touch)) == {"pan-y"}
        browser.press(".view", "+")
        assert set(browser.js(touch)) == {"none"}

    def test_one_to_one_is_offered_for_large_pictures_alone(self, browser: Browser, a_page: Make, tmp_path: Path):
        browser.open(written(a_page(), tmp_path))
        assert not browser.find("button[title^='one pixel']").is_displayed()
        large = Side("stopped", "restored", "", drawn(picture(900, 1024)), size=(4096, 3600))
        browser.open(written(a_page(sides=[large], pair=("stopped", "stopped"), boxes=[]), tmp_path))
        browser.find("button[title^='one pixel']").click()
        width = browser.js("return document.querySelector('.stage').clientWidth")
        (moved,) = browser.js(TRANSFORMS)
        assert float(moved.partition("scale(")[2].rstrip(")")) == pytest.approx(4096 / width, rel=1e-3)

    def test_the_numbers_beside_a_curve_differ(self, browser: Browser, a_page: Make, tmp_path: Path):
        steps = list(range(1, 101))
        flat = {
            "step": steps,
            "psnr": [20 + step / 1e4 for step in steps],
            "loss": [0.5 + step / 1e6 for step in steps],
        }
        browser.open(written(a_page(columns=flat, marks=[], iterates=[]), tmp_path))
        said = browser.js(
            "return [...document.querySelectorAll('.plot text[text-anchor=end]')].map((one) => one.textContent)"
        )
        assert len(said) >= 6
        assert len(set(said)) == len(said)

    def test_the_wheel_scrolls_the_page_unless_the_picture_has_focus(self, browser: Browser, path: Path):
        browser.open(path)
        wheel = (
            "const stage = document.querySelector('.stage'); const event = new WheelEvent('wheel', "
            "{deltaY: -100, bubbles: true, cancelable: true, clientX: 300, clientY: 300}); stage.dispatchEvent(event); "
            "return [event.defaultPrevented, stage.querySelector('img').style.transform.includes('scale(1)')]"
        )
        assert browser.js(wheel) == [False, True]
        browser.js("document.querySelector('.stage').focus()")
        assert browser.js(wheel) == [True, False]

    def test_the_iterates_move_a_marker_on_the_curve(self, browser: Browser, path: Path):
        browser.open(path)
        here = "return Number(document.querySelector('.plot .here').getAttribute('x1'))"
        at_the_end = browser.js(here)
        browser.press("#iterate", KEYS["left"], KEYS["left"])
        assert browser.js("return document.querySelector('#iterate').value") == "1"
        assert browser.texts(".stage .name.b") == ["iterate, step 10, 10.00 dB"]
        assert browser.texts("#strip figure.chosen figcaption") == ["10"]
        assert browser.js(here) == pytest.approx(browser.js(AT_TEN))
        assert browser.js(here) < at_the_end
        browser.find("#strip figure:first-child button").click()
        assert "step 1," in browser.texts(".stage .name.b")[0]
        browser.js(f"{PLAY}.click()")
        browser.wait(f"document.querySelector('#iterate').value === '3' && {PLAY} !== undefined")

    def test_the_curve_is_read_by_mouse_and_keys_on_both_scales(self, browser: Browser, path: Path):
        from selenium.webdriver import ActionChains

        browser.open(path)
        assert browser.count(".plot .mark") == 3
        assert browser.texts(".marks li") == ["result: step 200", "emv chose step 40", "oracle: step 41"]
        rows = browser.js(CIRCLES)
        near = [(a, b) for a in rows for b in rows if a != b and a[1] == b[1] and abs(a[0] - b[0]) < 18]
        assert not near, "the numbers of two marks lie over each other"
        ActionChains(browser.driver).move_to_element(browser.find(".plot svg")).perform()
        told = browser.texts("#curve output")[0]
        assert re.fullmatch(r"step \d+: output x_hat [\d.]+, running average [\d.]+, loss [\d.e-]+", told)
        browser.press(".plot svg", KEYS["home"], KEYS["right"])
        assert browser.texts("#curve output")[0].startswith(
            "step 2: output x_hat 10.69, running average 9.69, loss 0.5"
        )
        browser.press(".plot svg", KEYS["end"])
        assert browser.texts("#curve output")[0] == f"step {STEPS}: output x_hat 15.70, loss 0.00333"
        line = "return document.querySelector('.plot path.line').getAttribute('d')"
        before = browser.js(line)
        browser.find("#curve input[type=checkbox]").click()
        assert browser.js(line) != before
        assert browser.texts("#curve output")[0].startswith(f"step {STEPS}:")

    def test_tiles_are_laid_over_on_demand(self, browser: Browser, path: Path, a_page: Make, tmp_path: Path):
        browser.open(path)
        assert not browser.find(".seams").is_displayed()
        browser.find("#tiles").click()
        assert browser.find(".seams").is_displayed()
        assert browser.count(".seams rect.light") == 2
        browser.press(".stage", "+")
        assert browser.js("return document.querySelector('.seams').style.transform") == browser.js(
            "return document.querySelector('.stage img').style.transform"
        )
        browser.open(written(a_page(boxes=[]), tmp_path))
        assert browser.count("#tiles") == 0

    def test_the_command_is_copied(self, browser: Browser, path: Path):
        browser.open(path)
        browser.find("button.copy").click()
        browser.wait("document.querySelector('button.copy').textContent !== 'copy'")
        assert browser.texts("button.copy")[0] == "copied"

    @pytest.mark.parametrize("width", WIDTHS)
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_it_fits_every_width_in_both_schemes(
        self, browser: Browser, path: Path, width: int, scheme: str, tmp_path: Path
    ):
        browser.open(path, width, scheme=scheme)
        assert browser.js("return document.documentElement.scrollWidth") <= width
        dark = browser.js("return getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
        assert dark == (scheme == "dark")
        browser.find("#theme").click()
        assert (browser.js("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)") == dark
        browser.screenshot(tmp_path / "shot.png")
        assert (tmp_path / "shot.png").stat().st_size > 10_000

    def test_every_control_has_a_name_and_is_reached_by_keys(self, browser: Browser, path: Path):
        browser.open(path)
        assert browser.js(UNNAMED) == []
        assert browser.js(UNREACHED) == 0

    def test_it_loads_nothing(self, browser: Browser, path: Path):
        browser.open(path)
        assert browser.js(LOADED) == []

    def test_strings_stay_text(self, browser: Browser, a_page: Make, tmp_path: Path):
        bad = "</script><script>window.got = 1</script><img src=x onerror='window.got = 2'>\"'&{{ 7 * 7 }}"
        side = Side("stopped", bad, bad, drawn(picture()), "a b.png")
        page = a_page(
            title=bad, subtitle=bad, sides=[side], pair=("stopped", "stopped"), remarks=[bad], command=bad, config=bad,
            heads=[bad], scores=[[bad, bad]], facts=[Facts(bad, [(bad, bad)], [(bad, "b.html")])],
            marks=[one_run.Mark(3, bad, "rule")],
        )  # fmt: skip
        browser.open(written(page, tmp_path))
        assert browser.js("return window.got ?? null") is None
        assert browser.texts("h1") == [bad]
        assert browser.js("return document.title") == bad
        assert browser.texts(".marks li") == [bad]
        assert browser.texts("pre") == [bad, bad]
        assert browser.texts(".remark") == [bad]

    def test_a_script_that_got_in_would_not_run(self, chromium: Browser, path: Path):
        """The guard behind the escaping: the page's policy names its own script by its digest."""
        path.write_text(
            path.read_text().replace("<main", "<script>window.got = 1</script><b onclick='window.got = 2'>b</b><main")
        )
        chromium.open(path)
        chromium.js("document.querySelector('b').click()")
        assert chromium.js("return window.got ?? null") is None
        assert any("Content Security Policy" in one for one in chromium.complaints())
