"""In: the committed tables. Out: figures (PNG, PDF), tables (Markdown, LaTeX), their page and the README's block."""

from functools import cache
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from types import ModuleType

from dip_exp.atomic import write_text
from dip_exp.errors import Refused
from dip_exp.experiments import sweeps
from dip_exp.experiments.tables import Tables
from dip_exp.figures import comparison, outstanding, saved
from dip_exp.figures.parts import rows, style
from dip_exp.figures.parts.checks import Check
from dip_exp.figures.parts.score_table import Table
from dip_exp.runs import report

FIXED_DATE = {"CreationDate": None, "ModDate": None}
"""Metadata omitted from PDFs, so that the same tables give identical files."""

BEGIN = "<!-- paper-against-ours: begin (make figures writes it) -->"
END = "<!-- paper-against-ours: end -->"
"""Markers around the text of `readme_block` in the README."""

SUFFIXES = (".png", ".pdf", ".md", ".tex")

MOST_COMMITS = 4
"""Up to this many commits are listed by name; more are only counted."""


def names() -> list[str]:
    """Returns the names of all figures and tables: the modules in `paper` and `studies`."""
    return sorted(_rooms())


@cache
def _rooms() -> dict[str, str]:
    """Returns {figure: its subpackage of `figures`}."""
    found = {}
    for room in ("paper", "studies"):
        entries = (entry.name for entry in files("dip_exp.figures").joinpath(room).iterdir())
        found |= {name.removesuffix(".py"): room for name in entries if name.endswith(".py") and name[0] != "_"}
    return found


def described(name: str) -> list[str]:
    """Returns sentences about an experiment: its title and source, the paper's numbers, and ours."""
    about = sweeps.about(name) or {}
    return [f"{about['title']}: {about['cite']}", *(f"{who}: {about[who]}" for who in ("paper", "ours") if about[who])]


def table_of(name: str, tables: Tables) -> Table | None:
    """Returns the table of a figure's experiment; None if it has none, or no runs."""
    parts = vars(_module(name))
    return parts["table"](tables) if "table" in parts and len(tables.of(name)) else None


def rebuild(results: Path, chosen: list[str], scales: list[str]) -> None:
    """Draws the chosen figures (by default all) that have runs, for each scale, and prints what is missing.

    A figure without runs has no file; an outdated file is removed. At scale "paper", also updates the block of the
    paper's and our numbers in the README beside the results. Raises Refused for an unknown figure.
    """
    known = names()
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise Refused(f"figures: there is no {unknown[0]!r}; there are {', '.join(known)}")
    for scale in scales:
        committed = Tables(results, scale)
        if len(committed.jobs):
            _rebuild_scale(committed, chosen or known)
            if scale == "paper":
                _write_readme(committed, results.parent / "README.md")


def _rebuild_scale(committed: Tables, chosen: list[str]) -> None:
    results, scale = committed.results, committed.scale
    place = results / "figures" / scale
    report.note(f"{place}:")
    _make_all(committed, chosen, place, verbose=True)
    if any((results / "panels" / scale).glob("*.png")):
        local = results / "figures" / "local" / scale
        _make_all(Tables(results, scale, local=True), chosen, local, verbose=False)
        report.note(f"  with the pictures that may not be committed: {local}")
    write_text(place / "README.md", _page(committed, place))


def _make_all(tables: Tables, chosen: list[str], place: Path, *, verbose: bool) -> None:
    """Writes the files of the chosen figures that have runs. Removes files of figures without runs and of unknown
    figures.

    verbose: print the state and the checks of each figure.
    """
    place.mkdir(parents=True, exist_ok=True)
    for name in chosen:
        made = _make(_module(name), tables, place) if len(tables.of(name)) else []
        for path in place.glob(f"{name}.*"):
            if path.name not in made:
                path.unlink()
        if verbose:
            report.note(f"  {name}: {'; '.join([_state(tables, name), *([', '.join(made)] if made else [])])}")
            for check in _checks(_module(name), tables) if made else ():
                report.note(f"    {'pass' if check.passed else 'FAIL'}  {check.name} ({check.detail})")
    known = {*names(), "README"}
    for path in place.iterdir():
        if path.suffix in SUFFIXES and path.stem not in known:
            path.unlink()


def _make(module: ModuleType, tables: Tables, place: Path) -> list[str]:
    """Writes a module's figure and table, and returns the names of the files."""
    import matplotlib.pyplot as plt

    parts, made = vars(module), []
    tables.reads.clear()
    table = parts["table"](tables) if "table" in parts else None
    if "draw" in parts:
        with style.styled():
            drawn = parts["draw"](tables)
            if isinstance(drawn, Table):  # captions of pictures that may not be shown
                table = table or drawn
            elif drawn is not None:
                saved.save(drawn, place / f"{parts['NAME']}.png", saved.digest(module, tables))
                drawn.savefig(place / f"{parts['NAME']}.pdf", metadata=FIXED_DATE)
                made += [f"{parts['NAME']}.png", f"{parts['NAME']}.pdf"]
                plt.close(drawn)
    if table is not None:
        write_text(place / f"{parts['NAME']}.md", table.markdown())
        write_text(place / f"{parts['NAME']}.tex", table.latex())
        made += [f"{parts['NAME']}.md", f"{parts['NAME']}.tex"]
    return made


def _state(tables: Tables, name: str) -> str:
    listed, done = len(tables.listed(name)), tables.of(name).run_id.nunique()
    return (
        f"{done} runs" if done == listed else f"{listed - done} of {listed} runs missing, {rows.command(tables, name)}"
    )


def _checks(module: ModuleType, tables: Tables) -> list[Check]:
    parts = vars(module)
    return parts["checks"](tables) if "checks" in parts else []


def _page(tables: Tables, place: Path) -> str:
    """Returns the page of a scale's figures and tables: those with runs, and a table of what has not run."""
    head = f"# Figures and tables, scale={tables.scale}"
    origin = f"Made by `make figures` from `results/tables/{tables.scale}`; not edited by hand."
    shown = [name for name in names() if len(tables.of(name))]
    index = ["| experiment | runs | missing | seconds of computing | median s per step | on | threads |"]
    index.append("|---" * 7 + "|")
    for name in shown:
        done = tables.of(name)
        once = done[done.members.isna()].drop_duplicates("run_id")
        missing = len(tables.listed(name)) - done.run_id.nunique()
        times = f"{once.seconds.sum():.0f} | {once.seconds_per_step.median():.3f}"
        where = f"{', '.join(rows.makes(once))} | {', '.join(sorted({str(value) for value in once.threads}))}"
        index.append(f"| [{name}](#{name}) | {done.run_id.nunique()} | {missing} | {times} | {where} |")
    sections = [_section(tables, place, name) for name in shown]
    paper = sweeps.of_the_paper()
    rest = outstanding.section(tables, [*paper, *(name for name in names() if name not in paper)])
    return "\n\n".join([head, origin, "\n".join(index), *sections, *([rest] if rest else [])]) + "\n"


def _section(tables: Tables, place: Path, name: str) -> str:
    """Returns an experiment's section of the page: figure, table, checks, the paper's numbers, and provenance."""
    picture, cells = place / f"{name}.png", place / f"{name}.md"
    about = "\n".join(f"- {line}" for line in described(name))
    parts = [f"## {name}", f"{(_module(name).__doc__ or '').strip()}", about]
    if picture.is_file():
        parts.append(f"![{name}]({name}.png)")
    if cells.is_file():
        parts.append(cells.read_text(encoding="utf-8").strip())
    checks = _checks(_module(name), tables)
    if checks:
        marks = [f"- {'pass' if check.passed else '**fail**'}: {check.name} ({check.detail})" for check in checks]
        parts.append("\n".join(marks))
    beside = [line for line in comparison.lines(tables, [name]) if line.ours] if tables.scale == "paper" else []
    if beside:
        parts.append(comparison.markdown(beside))
    return "\n\n".join([*parts, _origin(tables, name)])


def _origin(tables: Tables, name: str) -> str:
    """Returns the device, threads and commits of an experiment's runs."""
    done = tables.of(name)
    once = done[done.members.isna()].drop_duplicates("run_id")
    threads = sorted({int(number) for number in once.threads.dropna()})
    commits = sorted({str(commit)[:7] for commit in once.commit.dropna()})
    named = f"commit {', '.join(commits)}" if len(commits) <= MOST_COMMITS else f"{len(commits)} commits"
    dirty = int(once.dirty.fillna(value=False).astype(bool).sum())
    changed = f" ({dirty} of {len(once)} from a tree with changes)" if dirty else ""
    said = f"{rows.made_on(once)}; threads {', '.join(map(str, threads))}; {named}{changed}"
    return f"*Made: {len(once)} run{'s' * (len(once) > 1)}; {said}.*"


def readme_block(tables: Tables) -> str:
    """Returns the README's block of the paper's numbers against ours, including the markers."""
    lines = comparison.lines(tables, sweeps.of_the_paper())
    begun = sum(bool(line.ours) for line in lines)
    counted = f"{begun} of {len(lines)} lines have runs of ours."
    return "\n".join([BEGIN, "", counted, "", comparison.markdown(lines), "", END])


def _write_readme(tables: Tables, readme: Path) -> None:
    """Replaces the block between the markers of a README. Does nothing if the file or the markers are missing."""
    text = readme.read_text(encoding="utf-8") if readme.is_file() else ""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if begin and end:
        write_text(readme, before + readme_block(tables) + after)
        report.note(f"{readme}: the paper against ours")


def _module(name: str) -> ModuleType:
    return import_module(f"dip_exp.figures.{_rooms()[name]}.{name}")
