"""The paper's numbers beside ours, over the same pictures; tables that tell precisions and devices apart."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dip_exp.experiments import sweeps
from dip_exp.experiments.tables import Tables
from dip_exp.figures import comparison, gallery, outstanding
from dip_exp.figures.paper import fig3_jpeg, tab_denoise, tab_superres
from dip_exp.figures.parts import rows, score_table
from dip_exp.figures.parts.score_table import Table
from tests.conftest import ROOT

REFERENCE = ROOT / "results" / "reference"
FP32 = {"precision": "fp32", "device": "cpu"}
BF16 = {"precision": "bf16", "device": "cpu"}


@pytest.fixture
def made_up(tmp_path: Path):
    """Returns tables at paper scale: the committed job list, and rows as (experiment, job, seed, {kind: dB}, more)."""

    def make(*runs: tuple[str, str, str, dict[str, float], dict[str, Any]], curves: Any = None) -> Tables:
        place = tmp_path / "tables" / "paper"
        place.mkdir(parents=True)
        shutil.copytree(REFERENCE, tmp_path / "reference")
        jobs = pd.read_csv(ROOT / "results/tables/paper/jobs.csv", dtype=str)
        jobs.to_csv(place / "jobs.csv", index=False)
        lines = []
        for experiment, job, seed, psnr, more in runs:
            chosen = (jobs.experiment == experiment) & (jobs.job == job) & (jobs.seed == seed)
            (run_id,) = jobs[chosen].run_id
            image = job.rpartition("image=")[2].split()[0]
            facts = {"run_id": run_id, "seed": seed, "image": image, "steps": 2400, **more}
            facts |= {"members": "a b"} if "+" in seed else {}
            lines += [{**facts, "kind": kind, "psnr": value} for kind, value in psnr.items()]
        pd.DataFrame(lines).to_csv(place / "runs.csv", index=False)
        if curves is not None:
            curves.to_csv(place / "curves.csv", index=False)
        return Tables(tmp_path, "paper")

    return make


def superres(picture: str, last: float, **more: Any) -> tuple[str, str, str, dict[str, float], dict[str, Any]]:
    kinds = {"last": last, "stopped": last + 1, "baseline": 20.0}
    return "tab_superres", f"task=superres image={picture}", "0", kinds, {**FP32, **more}


def denoised(seed: str, **psnr: float) -> tuple[str, str, str, dict[str, float], dict[str, Any]]:
    return "tab_denoise", "task=denoise image=denoising9/F16", seed, psnr, FP32


# -- numbers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sweeps.of_the_paper())
def test_every_declared_number_is_in_the_reference_and_picks_jobs(name: str):
    """A misspelt table, method, curve or setting would say "not run yet" for ever."""
    tables = Tables(ROOT / "results", "paper")
    for number in comparison.numbers(name):
        listed = comparison._of_number(tables.listed(name), number)
        assert len(listed), number.what
        if number.curve:
            published = comparison._published_curve(tables, number)
            assert number.steps
            assert set(number.steps) <= published.keys(), number.what
            continue
        names = [comparison._name(image) for image in dict.fromkeys(listed["set.image"])]
        printed = comparison._printed(tables, number, names[0] if len(names) == 1 else "mean")
        assert printed is not None or comparison._per_picture(tables, number, names), number.what
        assert comparison._protocol(tables, number) in {"RGB", "Y", "grey"}


def test_every_mean_that_the_paper_prints_of_its_prior_has_a_line():
    paper = Tables(ROOT / "results", "paper").reference("paper")
    means = paper[(paper.picture == "mean") & paper.method.str.startswith("deep_prior")]
    means = means[~means.source.str.contains("not printed")]
    declared = {(n.table, n.method, n.printed) for name in sweeps.of_the_paper() for n in comparison.numbers(name)}
    assert set(zip(means.table, means.method, means.kind, strict=True)) <= declared


def test_a_part_of_a_table_is_held_against_the_same_pictures_alone(made_up: Any):
    tables = made_up(superres("set5/bird", 32.80), superres("set5/head", 30.04))
    (line,) = [one for one in comparison.lines(tables, ["tab_superres"]) if one.ours]
    assert (line.what, line.protocol, line.printed) == ("Super-resolution ×4, Set5", "Y: last", "29.90")
    assert line.pictures == "29.90; of these 2: 31.42"  # the authors' bird 31.80 and head 31.04
    assert line.ours == "31.42 (2 of 5 pictures, seed 0; fp32 on cpu)"
    assert line.difference in ("+0.00", "-0.00")
    assert line.command == "make sweep FIG=tab_superres SCALE=paper"


def test_each_output_kind_is_held_against_its_own_number(made_up: Any):
    tables = made_up(denoised("0", last=28.0, average=30.0), denoised("0+1", mean=33.0))
    last, average, mean, other = comparison.lines(tables, ["tab_denoise"])
    assert [line.printed for line in (last, average, mean)] == ["29.22", "30.43", "31.00"]
    assert [line.ours[:5] for line in (last, average, mean)] == ["28.00", "30.00", "33.00"]
    assert (last.pictures, last.difference) == (
        "–",
        "–",
    )  # the authors' pictures are of another kind; one of nine has run
    assert mean.pictures.endswith("; of these 1: 33.69")
    assert mean.difference == "-0.69"
    assert not other.ours


def test_an_iterate_is_held_against_the_authors_iterate_of_the_same_step(made_up: Any):
    run = ("fig3_jpeg", "image=authors/denoising/snail optim.steps=2400", "0", {"stopped": np.nan}, FP32)
    jobs = pd.read_csv(ROOT / "results/tables/paper/jobs.csv", dtype=str)
    (run_id,) = jobs[(jobs.experiment == "fig3_jpeg") & jobs.job.str.endswith("=2400")].run_id
    curve = pd.DataFrame(
        [{"run_id": run_id, "step": step, "loss": 10 ** -(db / 10)} for step, db in ((100, 14.0), (500, 20.0))]
    )
    tables = made_up(run, curves=curve)
    (line,) = comparison.lines(tables, ["fig3_jpeg", "trajectories"])[:1]
    assert line.ours.startswith("14.00 / 20.00 / – / – / – (seed 0; ")
    assert line.pictures.startswith("13.75 / 21.21 / ")
    assert line.difference.startswith("+0.25 / -1.21 / – / ")
    captions = fig3_jpeg.draw(tables)
    assert isinstance(captions, Table)  # the snail may not be committed: numbers, and no row of grey boxes
    assert captions.cells.to_dict("records")[0] == {"": "100 steps", "ours, dB": "14.00", "authors', dB": "13.75"}


def test_a_number_that_two_experiments_declare_stands_once_where_it_has_runs(made_up: Any):
    names = ["fig3_jpeg", "trajectories"]
    tables = made_up(("trajectories", "variant=trajectory/snail", "0", {"stopped": np.nan}, FP32 | {"image": "snail"}))
    found = [line for line in comparison.lines(tables, names) if "snail" in line.what]
    assert len(found) == 1
    assert found[0].ours


def test_a_line_without_runs_names_its_command(made_up: Any):
    tables = made_up(superres("set5/bird", 32.0))
    assert "| not run yet: `make sweep FIG=tab1_pixels SCALE=paper` | – |" in gallery.readme_block(tables)


def test_a_readme_without_markers_is_left_alone(made_up: Any, tmp_path: Path):
    tables, readme = made_up(superres("set5/bird", 32.0)), tmp_path / "README.md"
    gallery._write_readme(tables, readme)
    assert not readme.exists()
    readme.write_text("mine")
    gallery._write_readme(tables, readme)
    assert readme.read_text() == "mine"
    readme.write_text(f"a{gallery.BEGIN}old{gallery.END}b")
    gallery._write_readme(tables, readme)
    text = readme.read_text()
    assert text == f"a{gallery.readme_block(tables)}b"
    assert "old" not in text


# -- precision and device ----------------------------------------------------------------------------------------------


def test_a_table_marks_the_runs_of_another_precision_and_the_means_over_them(made_up: Any):
    tables = made_up(superres("set5/baby", 31.0), superres("set5/bird", 32.0), superres("set5/head", 30.0, **BF16))
    table = tab_superres.table(tables)
    cells = {row["picture"]: row for row in table.cells.to_dict("records")}
    for kind in ("deep prior, last", "deep prior, average"):
        assert "ᵃ" in cells["head"][kind]
        assert "ᵃ" in cells["mean of these 3 of 5"][kind]
        assert not any("ᵃ" in cells[name][kind] for name in ("baby", "bird"))
    assert not any("ᵃ" in row["bicubic"] for row in cells.values())  # no network made it
    assert any(note.startswith("ᵃ bf16 on cpu") and note.endswith("unmarked: fp32 on cpu.") for note in table.notes)
    assert "fp32 on cpu; bf16 on cpu: set5/head" in table.notes[-1]
    assert "$^a$" in table.latex()


def test_a_table_of_one_precision_has_no_mark_and_names_it(made_up: Any):
    tables = made_up(superres("set5/baby", 31.0, **BF16), superres("set5/bird", 32.0, **BF16))
    table = tab_superres.table(tables)
    assert not any(mark in table.markdown() for mark in score_table._LETTERS)
    assert "; bf16 on cpu; " in table.notes[-1]


def test_a_mean_over_seeds_of_two_devices_is_marked(made_up: Any):
    first, second = denoised("0", last=30.0), denoised("1", last=31.0)
    tables = made_up(first, (*second[:4], {"precision": "fp32", "device": "cuda"}))
    (row, mean, *_) = tab_denoise.table(tables).cells.to_dict("records")
    assert row["last"] == "30.50 ± 0.71ᵃ"
    assert mean["last"] == "30.50ᵃ"


def test_what_made_rows_names_the_rarer_ones_pictures():
    frame = pd.DataFrame([{"run_id": str(n), "image": f"set5/{n}", **(BF16 if n == 2 else FP32)} for n in range(4)] * 2)
    assert rows.made_on(frame) == "fp32 on cpu; bf16 on cpu: set5/2"
    assert rows.made_on(frame.iloc[:0]) == "–"


# -- tables of what has run --------------------------------------------------------------------------------------------


def test_the_papers_numbers_stand_under_their_own_kind(made_up: Any):
    tables = made_up(denoised("0", last=28.0, average=30.0, observation=20.0, baseline=30.0))
    lines = tab_denoise.table(tables).cells.to_dict("records")
    (printed,) = [line for line in lines if line["picture"].startswith("the paper's own")]
    assert (printed["last"], printed["average"], printed["mean of two"]) == ("29.22", "30.43", "31.00")
    assert {line[""] for line in lines} == {"σ 25"}  # nothing of sigma 50 has run
    assert [line["picture"] for line in lines[:-1]] == ["F16", "mean of these 1 of 9"]


def test_a_number_on_the_project_page_alone_is_not_the_papers(made_up: Any):
    job = "task=superres_x8 image=set5/baby"
    tables = made_up(("tab_superres", job, "0", {"last": 28.0}, FP32))
    assert "25.79" not in tab_superres.table(tables).markdown()
    assert "25.88" in tab_superres.table(tables).markdown()


def test_hours_are_extrapolated_by_pixels_from_runs_of_the_same_settings(made_up: Any):
    size = {"width": 256, "height": 256}
    tables = made_up(superres("set5/butterfly", 26.0, seconds=3600.0, **size))
    assert outstanding.hours(tables, "tab1_pixels") == "–"
    zebra = 586 * 391 / 256**2  # by the manifest of the sets
    assert float(outstanding.hours(tables, "fig5_superres")) == pytest.approx(zebra, abs=0.06)
    assert outstanding.hours(tables, "tab_superres").endswith(" for 18 of them")  # nothing by 8 has run
    assert len(outstanding.missing(tables, "tab_denoise")) == 36  # means of runs are made, not run
