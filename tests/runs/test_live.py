"""What a run shows while it goes on: it costs no pixel, tells every step, and is gone when the run is finished."""

import json
from pathlib import Path

import numpy as np
import pytest

from dip_exp.fit import progress
from dip_exp.runs import live
from tests.conftest import Runner

WORDS = ("task=denoise", "optim.steps=20", "rivals=none", "stop=emv")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Lets a run tell as often as it can; lists what it writes, (name, text)."""
    monkeypatch.setattr(progress, "PICTURE_SECONDS", 0.0)
    monkeypatch.setattr(progress, "PICTURE_SHARE", 1e9)
    written: list[tuple[str, str]] = []
    write = live.write_text

    def noting(path: Path, text: str) -> None:
        write(path, text)
        written.append((path.name, text))
        assert (path.parent / "current.png").is_file()

    monkeypatch.setattr(live, "write_text", noting)
    return written


def test_a_run_tells_every_step_and_changes_no_pixel(
    run: Runner, told: list[tuple[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    done = run(*WORDS)
    folder = tmp_path / "results/runs" / done["run_id"]
    assert [name for name, _ in told].count("live.html") == 1
    assert "denoise: astronaut" in dict(told)["live.html"]
    news = [
        json.loads(text.removeprefix("dip_exp_news(").removesuffix(");\n")) for name, text in told if name == "live.js"
    ]
    assert [one["done"] for one in news] == list(range(1, 21))
    assert news[-1]["curve"]["step"] == list(range(1, 21))
    assert news[-1]["steps"] == 20
    assert not list(folder.glob("live.*")), "they are gone with the run"
    assert not (folder / "current.png").exists()
    assert (folder / "report.html").is_file()
    with np.load(folder / "outputs.npz") as arrays:
        watched = dict(arrays)
    monkeypatch.setattr(progress, "PICTURE_SECONDS", 1e9)
    run(*WORDS, "force=true")
    with np.load(folder / "outputs.npz") as arrays:
        assert all((arrays[kind] == watched[kind]).all() for kind in watched)
        assert set(arrays) == set(watched)


def test_without_a_long_run_nothing_is_written(
    run: Runner, told: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(progress, "PICTURE_SECONDS", 60.0)
    run(*WORDS)
    assert told == []
