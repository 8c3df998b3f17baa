"""The page of many runs: from what is committed alone, and with what was computed here."""

import json
import os
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest

from dip_exp import images
from dip_exp.experiments.tables import Tables
from dip_exp.figures import gallery, overview
from dip_exp.runs.folder import RunFolder
from dip_exp.runs.mean import run_mean
from dip_exp.runs.mosaic import run_tiles
from tests.conftest import ROOT, Runner
from tests.runs.test_page import derived


def rows_of(place: Path) -> list[dict[str, Any]]:
    text = (place.parent / "runs.js").read_text().removeprefix("dip_exp_runs(").removesuffix(");\n")
    found = json.loads(text)
    return [dict(zip(found["columns"], row, strict=True)) for row in found["rows"]]


def curves_of(place: Path) -> dict[str, Any]:
    return json.loads((place.parent / "curves.js").read_text().removeprefix("dip_exp_curves(").removesuffix(");\n"))


def is_there(place: Path, address: str) -> bool:
    return (place.parent / unquote(address)).is_file()


@pytest.mark.long
def test_from_the_committed_tables_alone(tmp_path: Path):
    for part in ("tables", "reference", "figures"):
        shutil.copytree(ROOT / "results" / part, tmp_path / "results" / part, ignore=shutil.ignore_patterns("local"))
    place = overview.build(tmp_path / "results")
    rows, text = rows_of(place), place.read_text()
    each = [Tables(tmp_path / "results", scale) for scale in overview.SCALES]
    assert {row["id"] for row in rows} == {str(run) for one in each for run in one.runs.run_id}
    assert set(curves_of(place)) == {str(run) for one in each for run in one.curves.run_id}
    for one in each:
        for name in gallery.names():
            assert (f'id="{one.scale}-{name}"' in text) == bool(len(one.of(name)))
    addresses = [address for row in rows for address in [*row["pictures"].values(), row["thumb"]] if address]
    assert addresses
    assert all(is_there(place, address) for address in addresses)
    assert all(row["page"] is None for row in rows)
    known = {str(run): one for one in each for run in one.runs.run_id.unique()}
    for row in rows[::50]:
        table = known[row["id"]].runs
        own = table[table.run_id == row["id"]]
        psnr = own[own.kind == row["result"]].psnr.iloc[0]
        assert (row["psnr"] is None and np.isnan(psnr)) or row["psnr"] == pytest.approx(psnr, rel=1e-5)
        assert row["task"] == own.task.iloc[0]


def test_what_was_computed_here_is_shown_too(run: Runner, tmp_path: Path, capsys: pytest.CaptureFixture):
    done = run("task=denoise", "optim.steps=5", "rivals=none")
    results = tmp_path / "results"
    (results / "runs/0123456789ab").mkdir()
    (results / "runs/0123456789ab/record.json").write_text("{")
    place = overview.build(results)
    said = capsys.readouterr().out
    assert "left out: " in said
    assert "record.json is damaged" in said
    (row,) = rows_of(place)
    assert row["id"] == done["run_id"]
    assert row["psnr"] == pytest.approx(done["scores"][done["result"]]["psnr"], rel=1e-4)
    assert set(row["pictures"]) >= {"observation", done["result"]}
    assert all(is_there(place, address) for address in [*row["pictures"].values(), row["thumb"], row["page"]])
    assert curves_of(place)[row["id"]]["step"] == [1, 2, 3, 4, 5]


def test_the_result_is_that_of_the_record_or_what_the_tables_can_tell(run: Runner, tmp_path: Path):
    done = run("task=inpaint", "optim.steps=5", "rivals=none")
    (row,) = rows_of(overview.build(tmp_path / "results"))
    assert row["result"] == row["thumb_of"] == done["result"] == "pasted"
    assert row["psnr"] == pytest.approx(done["scores"]["pasted"]["psnr"], rel=1e-4)
    tables = Tables(ROOT / "results", "mini")
    pasted = {str(run) for run in tables.runs[tables.runs.kind == "pasted"].run_id}
    assert pasted
    rows = overview._rows(tables.runs[tables.runs.run_id.isin(pasted)], "mini", {})
    assert {row["result"] for row in rows} == {"pasted"}


def test_means_and_tiled_pictures_are_shown_with_their_results(tmp_path: Path):
    images.write(tmp_path / "a.png", np.random.default_rng(0).random((1, 3, 40, 40)).astype(np.float32))
    mean = derived(run_mean, tmp_path, "task=denoise", "optim.steps=3", "runs=2", "rivals=none")
    tiled = derived(
        run_tiles, tmp_path, "image=file", f"image.path={tmp_path / 'a.png'}", "image.shrink_to=null", "tiles=32",
        "optim.steps=2", "rivals=none",
    )  # fmt: skip
    place = overview.build(tmp_path / "results")
    rows = {row["id"]: row for row in rows_of(place)}
    for done in (mean, tiled):
        row = rows[done["run_id"]]
        assert row["thumb_of"] == row["result"] == done["result"]
        assert is_there(place, row["thumb"])
        assert is_there(place, row["pictures"][done["result"]])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("stopped.png", b"none"),
        ("history.csv", b"step,loss\na,b\n"),
        ("history.csv", bytes(200_000)),
        ("record.json", None),
        ("record.json", b'{"run_id": "RUN", "config": {}, "scores": {}, "stop": {}}'),
    ],
)
def test_what_is_damaged_is_left_out_and_the_rest_is_shown(
    name: str, content: bytes | None, run: Runner, tmp_path: Path, capsys: pytest.CaptureFixture
):
    words = ("task=denoise", "optim.steps=5", "rivals=none")
    good, bad = run(*words), run(*words, "seed=1")
    path = tmp_path / "results/runs" / bad["run_id"] / name
    if content is None:  # a record that has come into another folder
        record = json.loads(path.read_text())
        path.write_text(json.dumps({**record, "run_id": "../../../escaped"}))
    else:
        path.write_bytes(content.replace(b"RUN", bad["run_id"].encode()))
    place = overview.build(tmp_path / "results")
    assert "left out: " in capsys.readouterr().out
    rows = {row["id"]: row for row in rows_of(place)}
    assert rows[good["run_id"]]["thumb"] is not None
    assert good["run_id"] in curves_of(place)
    assert rows.keys() <= {good["run_id"], bad["run_id"]}
    assert name != "stopped.png" or rows[bad["run_id"]]["thumb"] is None
    assert name != "history.csv" or bad["run_id"] not in curves_of(place)


def test_a_page_is_made_for_a_run_that_has_none(run: Runner, tmp_path: Path):
    done = run("task=denoise", "optim.steps=5", "rivals=none")
    report = tmp_path / "results/runs" / done["run_id"] / "report.html"
    report.unlink()
    (row,) = rows_of(overview.build(tmp_path / "results"))
    assert row["page"] is None
    (row,) = rows_of(overview.build(tmp_path / "results", pages=True))
    assert report.is_file()
    assert row["page"] is not None


def test_a_thumbnail_is_made_anew_when_its_picture_is(run: Runner, tmp_path: Path):
    done = run("task=denoise", "optim.steps=5", "rivals=none")
    place = overview.build(tmp_path / "results")
    (thumb,) = place.parent.glob("thumbs/*")
    assert thumb.stem == f"{done['run_id']}-stopped"
    os.utime(thumb, (1e9, 1e9))
    overview.build(tmp_path / "results")
    assert thumb.stat().st_mtime > 1e9
    before = thumb.stat().st_mtime_ns
    overview.build(tmp_path / "results")
    assert thumb.stat().st_mtime_ns == before


def test_a_page_that_is_made_takes_nothing_from_its_run(run: Runner, tmp_path: Path):
    done = run("task=denoise", "optim.steps=5", "rivals=none")
    folder = RunFolder(tmp_path / "results", done["run_id"])
    folder.page.unlink()
    folder.checkpoint.write_bytes(b"of a process that was killed before it was made the run's state")
    overview.build(tmp_path / "results", pages=True)
    assert folder.page.is_file()
    assert folder.checkpoint.is_file()
