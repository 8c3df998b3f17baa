"""A PNG changes with its data and the code that draws it, and with nothing else."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

from dip_exp.experiments.tables import Tables
from dip_exp.figures import gallery, saved
from tests.conftest import ROOT


@pytest.fixture
def results(tmp_path: Path) -> Path:
    (tmp_path / "tables").mkdir()
    shutil.copytree(ROOT / "results/tables/mini", tmp_path / "tables/mini", ignore=shutil.ignore_patterns("panels"))
    shutil.copytree(ROOT / "results/reference", tmp_path / "reference")
    return tmp_path


def digest(results: Path, name: str = "fig2_curves") -> str:
    tables = Tables(results, "mini")
    for run_id in tables.of(name).run_id.unique():
        tables.curve(run_id)
    return saved.digest(gallery._module(name), tables)


def test_a_digest_follows_the_rows_that_were_read(results: Path):
    before = digest(results)
    assert digest(results) == before
    assert digest(results, "fig3_jpeg") != before
    curves = results / "tables/mini/curves.csv"
    own = Tables(results, "mini").of("fig2_curves").run_id.iloc[0]
    lines = curves.read_text().splitlines(keepends=True)
    other = [line for line in lines if not line.startswith(own)]
    curves.write_text("".join(other))
    assert digest(results) != before


def test_rows_of_other_experiments_change_no_figure(results: Path):
    before = digest(results)
    mine = set(Tables(results, "mini").of("fig2_curves").run_id)
    runs = results / "tables/mini/runs.csv"
    head, *lines = runs.read_text().splitlines(keepends=True)
    runs.write_text("".join([head, *(line for line in lines if line.split(",")[0] in mine)]))
    assert digest(results) == before


def test_comments_and_docstrings_are_no_code():
    told = '"""One."""\ndef f():\n    """Two."""\n    return 1  # three\n'
    assert saved._code(told) == saved._code("def f():\n    return 1\n") != saved._code("def f():\n    return 2\n")
    assert saved._code("x = 1\n") != saved._code("x = 2\n")


def test_types_are_no_code():
    typed = """
from __future__ import annotations
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from pandas import DataFrame
@dataclass
class Of:
    rows: DataFrame
def f(rows: DataFrame) -> float:
    return 1.0
"""
    other = "@dataclass\nclass Of:\n    rows: Any\ndef f(rows):\n    return 1.0\n"
    assert saved._code(typed) == saved._code(other) != saved._code(other.replace("rows: Any", "row: Any"))


def test_the_file_of_the_same_data_is_left_as_it_is(tmp_path: Path):
    import matplotlib.pyplot as plt

    path = tmp_path / "figure.png"
    for number, of in enumerate(("a", "a", "b")):
        drawn, axes = plt.subplots()
        axes.plot([0, number])
        bytes_before = path.read_bytes() if path.is_file() else b""
        saved.save(drawn, path, of)
        plt.close(drawn)
        assert (path.read_bytes() == bytes_before) is (number == 1)
    with Image.open(path) as picture:
        assert picture.info[saved.DRAWN_FROM] == "b"
