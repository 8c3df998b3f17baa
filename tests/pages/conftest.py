"""A headless Chromium, and pages to look at in it."""

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dip_exp.pages.one_run import Box, Facts, Iterate, Mark, RunPage, Side, error_map
from dip_exp.pages.pictures import drawn
from scripts import chromium as chromium_module

RNG = np.random.default_rng(5)
WIDTHS = (390, 800, 1280)
"""Of a phone, a tablet and a desk, in pixels."""


class Browser:
    """A Chromium that opens files. Whatever it complains of in its console fails the test."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, path: Path, width: int = 1280, fragment: str = "", scheme: str = "light") -> None:
        """Opens a file in a window of this width, under a colour scheme."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        self.driver.get("about:blank")
        self.driver.get(path.resolve().as_uri() + fragment)

    def js(self, code: str, *values: object) -> Any:
        """Returns what a script returns."""
        return self.driver.execute_script(code, *values)

    def find(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def texts(self, selector: str) -> list[str]:
        return self.js("return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)", selector)

    def count(self, selector: str) -> int:
        return self.js("return document.querySelectorAll(arguments[0]).length", selector)

    def press(self, selector: str, *keys: str) -> None:
        """Focuses an element and types."""
        self.js("document.querySelector(arguments[0]).focus()", selector)
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)

    def drag(self, selector: str, dx: int, dy: int = 0) -> None:
        """Drags the middle of an element."""
        from selenium.webdriver import ActionChains

        ActionChains(self.driver, duration=20).click_and_hold(self.find(selector)).move_by_offset(
            dx, dy
        ).release().perform()

    def wait(self, condition: str, *values: object) -> None:
        """Waits until a script's expression holds."""
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, 20, 0.05).until(lambda driver: driver.execute_script(f"return {condition}", *values))

    def screenshot(self, path: Path) -> None:
        """Saves the whole page as PNG."""
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
        path.write_bytes(base64.b64decode(shot["data"]))

    def complaints(self) -> list[str]:
        return [f"{one['level']}: {one['message']}" for one in self.driver.get_log("browser")]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    made = chromium_module.started()
    if made is None:
        pytest.skip("there is no Chromium and chromedriver here (Debian: chromium, chromium-driver)")
    yield Browser(made)
    made.quit()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """The browser of the session; its console must stay empty."""
    chromium.complaints()
    yield chromium
    assert chromium.complaints() == []
    chromium.js("try { localStorage.clear() } catch {}")


def picture(height: int = 40, width: int = 60, channels: int = 3) -> np.ndarray:
    return RNG.random((1, channels, height, width)).astype(np.float32)


STEPS = 300


@pytest.fixture
def a_page() -> Callable[..., RunPage]:
    """Makes the page of a run, with everything that a page can have; whatever is given replaces it."""

    def make(**given: Any) -> RunPage:
        truth, result = picture(), picture()
        curve = {
            "step": list(range(1, STEPS + 1)),
            "loss": [1 / step for step in range(1, STEPS + 1)],
            "psnr": [10 + np.log(step) for step in range(1, STEPS + 1)],
            "psnr_average": [9 + np.log(step) for step in range(1, STEPS)] + [None],
        }
        sides = [
            Side("stopped", "restored", "24.10 dB", drawn(result), "stopped.png", exact=True),
            Side("truth", "the clean picture", "", drawn(truth), exact=True),
            Side("observation", "observation", "20.00 dB", drawn(picture(20, 30)), "observation.png", exact=True),
            Side("baseline", "non-local means", "25.00 dB", drawn(picture()), "baseline.png", exact=True),
            error_map(result, truth, "restored"),
        ]
        whole: dict[str, Any] = {
            "title": "denoise: a",
            "subtitle": "skip, adam, seed 0",
            "sides": sides,
            "pair": ("observation", "stopped"),
            "iterates": [Iterate(step, drawn(picture()), f"{step}.00 dB") for step in (1, 10, 100, 300)],
            "columns": curve,
            "marks": [
                Mark(200, "result: step 200", "result"),
                Mark(40, "emv chose step 40", "rule"),
                Mark(41, "oracle: step 41", "oracle"),
            ],
            "boxes": [Box(0, 0, 40, 40), Box(20, 0, 40, 40)],
            "heads": ["output kind", "PSNR dB", "meaning"],
            "scores": [["stopped", "24.10", "average at the step that the stop rule chose"]],
            "remarks": ["the fit diverged"],
            "facts": [Facts("This run", [("seed", "0")], [("another run", "../b/report.html")])],
            "command": "python run.py task=denoise 'image.path=a b.png'",
            "config": "task:\n  sigma: 25\n",
        }
        return RunPage(**{**whole, **given})

    return make
