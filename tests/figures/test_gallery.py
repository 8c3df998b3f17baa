"""Every figure and table, from the committed tables and from none: drawn without torch, the same each time."""

import filecmp
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dip_exp.config.build import build
from dip_exp.experiments import sweeps
from dip_exp.experiments.tables import Tables
from dip_exp.figures import gallery, outstanding
from dip_exp.figures.paper import fig2_curves, ijcv3_descent
from dip_exp.figures.parts import grids, rows, strip, style
from dip_exp.figures.parts.score_table import Table
from dip_exp.figures.studies import priors, restorers
from dip_exp.images import may_be_committed
from tests.conftest import ROOT

RESULTS = ROOT / "results"
SCALES = [scale for scale in ("paper", "mini") if (RESULTS / "tables" / scale).is_dir()]


def figures(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    code = (
        "import runpy, sys; sys.argv[0] = 'figures.py'\n"
        f"try: runpy.run_path({str(ROOT / 'scripts/figures.py')!r}, run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    sys.exit(end.code or 7 * any(m in sys.modules for m in ('torch', 'lightning', 'wandb')))"
    )
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *words], cwd=cwd, capture_output=True, text=True, check=False
    )


def test_every_experiment_has_a_figure_and_every_figure_an_experiment():
    assert gallery.names() == sweeps.names()


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The committed tables' figures, rebuilt in a folder of their own."""
    folder = tmp_path_factory.mktemp("figures")
    for part in ("tables", "reference"):
        shutil.copytree(RESULTS / part, folder / "results" / part)
    text = (ROOT / "README.md").read_text()
    begin, end = text.index(gallery.BEGIN) + len(gallery.BEGIN), text.index(gallery.END)
    (folder / "README.md").write_text(text[:begin] + "\n" + text[end:])  # the block emptied: it has to be written anew
    for scale in SCALES:  # files of before, of a figure without runs and of none there is
        (folder / "results/figures" / scale).mkdir(parents=True)
        for name in ("fig99.png", "fig6_region.tex"):
            (folder / "results/figures" / scale / name).write_text("old")
    done = figures(cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "results"


@pytest.mark.long
@pytest.mark.parametrize("scale", SCALES)
def test_everything_is_rebuilt_from_what_is_committed(rebuilt: Path, scale: str):
    """The files are exactly those of experiments with runs, and the page shows those and no others."""
    place, known = rebuilt / "figures" / scale, set()
    page = (place / "README.md").read_text()
    for name in gallery.names():
        kinds = {path.suffix for path in place.glob(f"{name}.*")}
        if len(Tables(rebuilt, scale).of(name)):
            assert kinds in ({".png", ".pdf"}, {".md", ".tex"}, {".png", ".pdf", ".md", ".tex"}), name
            known.add(name)
        else:
            assert not kinds, name
        assert (f"\n## {name}\n" in page) == (name in known)
        assert (f"\n| {name} | " in page) == (len(outstanding.missing(Tables(rebuilt, scale), name)) > 0)
    assert {path.stem for path in place.iterdir()} == known | {"README"}
    for path in (rebuilt / "figures" / scale).glob("*.png"):
        with Image.open(path) as picture:
            assert np.asarray(picture.convert("L")).std() > 1  # something is drawn


@pytest.mark.long
@pytest.mark.parametrize("scale", SCALES)
def test_the_committed_figures_are_those_of_the_committed_tables(rebuilt: Path, scale: str):
    """Text to the letter; pictures by name, for fonts and libraries differ between machines."""
    committed, new = RESULTS / "figures" / scale, rebuilt / "figures" / scale
    kept, made = ({path.name for path in folder.iterdir() if path.suffix != ".pdf"} for folder in (committed, new))
    assert kept == made, "make figures; PDFs are made and not committed"
    for path in committed.iterdir():
        if path.suffix in (".md", ".tex"):
            assert path.read_text() == (new / path.name).read_text(), path


@pytest.mark.long
def test_the_readme_is_what_the_committed_tables_say(rebuilt: Path):
    assert (rebuilt.parent / "README.md").read_text() == (ROOT / "README.md").read_text(), "make figures"


@pytest.mark.long
def test_each_section_says_what_made_it(rebuilt: Path):
    for scale in SCALES:
        tables, page = Tables(rebuilt, scale), (rebuilt / "figures" / scale / "README.md").read_text()
        for section in page.split("\n## ")[1:]:
            name = section.split("\n")[0]
            if name == "Not run yet":
                continue
            (made,) = [line for line in section.splitlines() if line.startswith("*Made: ")]
            runs = tables.of(name)
            assert set(runs.device) <= {word.strip(";,") for word in made.split()}
            assert all(precision in made for precision in set(runs.precision))
            commits = {str(commit)[:7] for commit in runs[runs.members.isna()].commit}
            assert all(commit in made for commit in commits) or f"{len(commits)} commits" in made


@pytest.mark.long
def test_drawing_twice_gives_the_same_files(rebuilt: Path):
    scale = SCALES[-1]
    names = [path.name for path in (rebuilt / "figures" / scale).glob("fig[47]*")]
    before = rebuilt.parent / "before"
    shutil.copytree(rebuilt / "figures" / scale, before)
    assert figures("fig4_denoise", "fig7_text", "--scale", scale, cwd=rebuilt.parent).returncode == 0
    assert filecmp.cmpfiles(before, rebuilt / "figures" / scale, names, shallow=False)[0] == names


@pytest.mark.parametrize("scale", SCALES)
def test_no_picture_without_a_free_licence_is_committed(scale: str):
    runs = Tables(RESULTS, scale).runs
    free = set(runs[[may_be_committed(name) for name in runs.image]].run_id)
    for path in (RESULTS / "tables" / scale / "panels").glob("*.png"):
        assert path.name.split("-")[0] in free


def test_without_runs_nothing_is_drawn_and_the_page_names_each_command(tmp_path: Path):
    for scale in ("paper", "mini"):
        shutil.copytree(RESULTS / "reference", tmp_path / scale / "results" / "reference")
        tables = tmp_path / scale / "results" / "tables" / scale
        tables.mkdir(parents=True)
        (tables / "jobs.csv").write_text("experiment,run_id,seed,job\nfig2_curves,0123456789ab,0,task.target=natural\n")
        done = figures(cwd=tmp_path / scale)
        assert done.returncode == 0, done.stderr
        assert f"1 of 1 runs missing, make sweep FIG=fig2_curves SCALE={scale}" in done.stdout
        (page,) = (tmp_path / scale / "results" / "figures" / scale).iterdir()
        row = f"| fig2_curves | Learning curves | 1 of 1 | – | `make sweep FIG=fig2_curves SCALE={scale}` |"
        assert row in page.read_text()


def test_an_unknown_figure_is_refused(tmp_path: Path):
    done = figures("fig99", cwd=tmp_path)
    assert done.returncode == 2
    assert "there is no 'fig99'; there are calibration" in done.stderr


# -- parts -------------------------------------------------------------------------------------------------------------


def test_a_spread_is_mean_and_deviation_of_what_is_there():
    several = rows.spread([1.0, 2.0, 3.0, float("nan"), None])
    assert (several.mean, several.deviation, several.count) == (2.0, 1.0, 3)
    assert str(several) == "2.00 ± 1.00"
    assert str(rows.spread([4.0])) == "4.00"
    assert str(rows.spread([])) == "–"


def test_the_palette_is_told_apart_in_grey_too():
    """Luminance of the learning curves' colours differs, for readers and printers without colour."""
    weights = np.array([0.299, 0.587, 0.114])
    colours = [colour for _, _, colour in fig2_curves.TARGETS.values()]
    luma = sorted(float(weights @ [int(colour[i : i + 2], 16) for i in (1, 3, 5)]) for colour in colours)
    assert min(np.diff(luma)) > 10


def test_the_magnified_part_is_where_the_picture_varies():
    picture = np.full((60, 90, 3), 0.5)
    picture[30:50, 60:80] = np.random.default_rng(0).random((20, 20, 1))
    top, left, side = strip._busiest(strip._detail(picture))
    assert side == 20
    assert abs(top - 30) <= 3
    assert abs(left - 60) <= 3


def test_a_panel_that_may_not_be_shown_is_a_placeholder():
    panels = [strip.Panel("truth", " ", None, "not here"), strip.Panel("result", "30.00 dB", None, "nor this")]
    with style.styled():
        figure = strip.strip(panels, title="t", footer="f")
    texts = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert texts >= {"not here", "nor this"}


def test_latex_and_markdown_carry_the_same_cells():
    import pandas as pd

    table = Table("T", pd.DataFrame([{"": "50 %", "picture": "a_b", "x": "1.00 ± 0.10"}]), ("* note", "† other"))
    assert "1.00 ± 0.10" in table.markdown()
    assert "\\* note" in table.markdown()
    for text in (r"50 \%", r"a\_b", r"1.00 $\pm$ 0.10", r"\dag{} other", r"\toprule"):
        assert text in table.latex()


def curves_tables(tmp_path: Path, losses: dict[str, list[float]], steps: list[int]) -> Tables:
    import pandas as pd

    place = tmp_path / "tables" / "paper"
    place.mkdir(parents=True)
    ids = {target: f"{number:012}" for number, target in enumerate(losses)}
    jobs = [
        {"experiment": fig2_curves.NAME, "run_id": ids[target], "seed": 0, "job": f"task.target={target}"}
        for target in losses
    ]
    pd.DataFrame(jobs).to_csv(place / "jobs.csv", index=False)
    pd.DataFrame([{"run_id": i, "kind": "last", "seed": 0, "device": "cpu"} for i in ids.values()]).to_csv(
        place / "runs.csv", index=False
    )
    curve = [{"run_id": ids[t], "step": s, "loss": v} for t, c in losses.items() for s, v in zip(steps, c, strict=True)]
    pd.DataFrame(curve).to_csv(place / "curves.csv", index=False)
    return Tables(tmp_path, "paper")


def test_the_papers_own_curves_pass_the_checks_and_swapped_ones_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    published = Tables(RESULTS, "paper").reference("fig2_curves")
    losses = {
        ours: list(published[published.target == theirs].mse) for ours, (theirs, *_) in fig2_curves.TARGETS.items()
    }
    steps = sorted(set(published.iteration))
    monkeypatch.setitem(fig2_curves.VARIANCE, "paper", 0.0683)  # the paper's picture, not ours
    good = fig2_curves.checks(curves_tables(tmp_path / "good", losses, steps))
    assert [check.passed for check in good] == [True] * 6, good
    losses["natural"], losses["uniform"] = losses["uniform"], losses["natural"]
    bad = fig2_curves.checks(curves_tables(tmp_path / "bad", losses, steps))
    assert not any(check.passed for check in bad[:2])


def test_the_plateau_is_the_variance_of_the_picture_drawn_from():
    job = sweeps.jobs("fig2_curves", "mini")[0]
    x = build(job.named.config, "image", {}).read().x
    assert fig2_curves.VARIANCE["mini"] == pytest.approx(float(x.var(axis=(2, 3)).mean()), abs=5e-4)


def test_priors_are_compared_picture_by_picture(tmp_path: Path):
    """Pictures differ by more than methods do; one without its pair counts in the mean and in no difference."""
    import pandas as pd

    place = tmp_path / "tables" / "mini"
    place.mkdir(parents=True)
    psnr = {("dip", "a"): 20.0, ("dip", "b"): 30.0, ("projector", "a"): 20.5, ("projector", "b"): 31.5}
    psnr[("projector", "c")] = 10.0
    jobs, runs = [], []
    for number, ((method, image), value) in enumerate(psnr.items()):
        run_id = f"{number:012}"
        label = f"task=denoise image={image} variant=priors/{method}"
        jobs.append({"experiment": priors.NAME, "run_id": run_id, "seed": 0, "job": label})
        facts = {"run_id": run_id, "steps": 10, "seconds": 4, "peak_memory_bytes": 6e8, "seed": 0, "device": "cpu"}
        facts["weights"] = 1000 + number if method == "projector" else None
        runs += [{**facts, "kind": "average", "psnr": value}, {**facts, "kind": "peak_average", "psnr": value + 1}]
    pd.DataFrame(jobs).to_csv(place / "jobs.csv", index=False)
    pd.DataFrame(runs).to_csv(place / "runs.csv", index=False)
    dip, projector = priors.table(Tables(tmp_path, "mini")).cells.to_dict("records")
    assert dip == {
        "task": "denoising, σ 25",
        "method": "deep image prior",
        "runs": "2",
        "average, last step": "25.00 ± 7.07",
        "above dip": "–",
        "peak (oracle)": "26.00 ± 7.07",
        "steps": "10",
        "seconds": "4",
        "MB": "600",
        "weights": "–",
    }
    assert projector["runs"] == "3"
    assert projector["above dip"] == "+1.00 ± 0.71"
    assert projector["weights"] == "1,004"


def test_the_network_is_held_against_the_restorer_that_is_best_on_all_pictures(tmp_path: Path):
    """Not against each picture's own best, which nobody could have chosen. Inpainting counts the missing pixels."""
    import pandas as pd

    place = tmp_path / "tables" / "mini"
    place.mkdir(parents=True)
    psnr = {"a": (30.0, 20.0, 28.0), "b": (30.0, 36.0, 29.0)}  # the network, then two restorers
    jobs, runs = [], []
    for number, (image, seed) in enumerate([("a", 0), ("a", 1), ("b", 0)]):
        run_id = f"{number:012}"
        job = f"task=inpaint image={image} variant=stopping/watch"
        jobs.append({"experiment": restorers.NAME, "run_id": run_id, "seed": seed, "job": job})
        network, one, other = psnr[image]
        scores = {"stopped_emv": network + seed, "peak_average": network + 1, "baseline": one, "baseline_linear": other}
        names = {"baseline": "biharmonic", "baseline_linear": "linear interpolation"}
        facts = {"run_id": run_id, "seed": seed, "device": "cpu", "psnr": 99.0}
        runs += [
            {**facts, "kind": kind, "psnr_missing": value, "baseline": names.get(kind)}
            for kind, value in scores.items()
        ]
    pd.DataFrame(jobs).to_csv(place / "jobs.csv", index=False)
    pd.DataFrame(runs).to_csv(place / "runs.csv", index=False)
    (line,) = restorers.table(Tables(tmp_path, "mini")).cells.to_dict("records")
    assert line["classical restorers"] == "linear interpolation 28.50, biharmonic 28.00"
    assert line["network"] == "30.25"  # the mean of 30.5, over two seeds, and 30
    assert line["above the best"] == "+1.75 ± 1.06"
    assert line["wins"] == "2 of 2"


def test_a_path_in_the_plane_keeps_the_distances_of_the_space_of_pictures():
    import pandas as pd

    rng = np.random.default_rng(0)
    x, y = rng.random((2, 300))
    iterates = [rng.random(300), x, y, (x + y) / 2]
    mse = lambda a, b: float(np.mean((a - b) ** 2))  # noqa: E731
    curve = pd.DataFrame(
        {
            "psnr": [-10 * np.log10(max(mse(one, x), 1e-30)) for one in iterates],
            "data": [mse(one, y) for one in iterates],
            "loss": 9.0,
        }
    )
    along, off, _ = ijcv3_descent.path(curve, -10 * np.log10(mse(x, y)))
    assert along[1:] == pytest.approx([0, 1, 0.5], abs=1e-6)
    assert off[1:] == pytest.approx([0, 0, 0], abs=1e-3)
    to_truth, to_y = np.hypot(along[0], off[0]), np.hypot(along[0] - 1, off[0])
    unit = np.sqrt(mse(x, y))
    assert to_truth * unit == pytest.approx(np.sqrt(mse(iterates[0], x)), rel=1e-5)
    assert to_y * unit == pytest.approx(np.sqrt(mse(iterates[0], y)), rel=1e-5)
    older = ijcv3_descent.path(curve.assign(loss=curve.data, data=np.nan), -10 * np.log10(mse(x, y)))
    assert older[0] == pytest.approx(along)  # a run from before the column, without an extra term


def test_a_grid_leaves_places_empty_and_names_what_has_not_run():
    tables = Tables(RESULTS, "mini")
    name = "fig8_depth"
    cells = [grids.Cell("there", {"variant": "library/depth6"}), None, grids.Cell("not\\ there", {"variant": "none"})]
    with style.styled():
        figure = grids.grid(tables, name, "t", cells, 3)
    assert not isinstance(figure, Table)
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert "not run yet" in texts
    assert {"there", "not there"} <= set(texts)


def test_a_figure_with_some_of_its_runs_is_drawn(tmp_path: Path):
    """One of the trajectories has run, the others not yet."""
    import pandas as pd

    place = tmp_path / "results" / "tables" / "mini"
    place.mkdir(parents=True)
    source = RESULTS / "tables" / "mini"
    jobs = pd.read_csv(source / "jobs.csv", dtype=str)
    jobs.to_csv(place / "jobs.csv", index=False)
    one = jobs[jobs.experiment == "trajectories"].run_id.iloc[0]
    for name in ("runs.csv", "curves.csv"):
        table = pd.read_csv(source / name, dtype={"run_id": str})
        table[table.run_id == one].to_csv(place / name, index=False)
    assert len(Tables(tmp_path / "results", "mini").of("trajectories"))
    done = figures("trajectories", "--scale", "mini", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_small_print_is_broken_and_nothing_of_it_lost():
    text = "mean: " + "; ".join(f"column {n}: 1.00 ± 0.10" for n in range(20)) + "\nsecond line"
    broken = style.wrapped(text)
    assert max(map(len, broken.splitlines())) <= style.CHARACTERS
    assert broken.split() == text.split()
