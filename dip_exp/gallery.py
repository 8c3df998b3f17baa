"""In: the committed tables. Out: figures as PNG and PDF, tables as Markdown and LaTeX, and a page over them."""

from importlib import import_module
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import Any

from dip_exp import record, report
from dip_exp.errors import Refused
from dip_exp.figures import rows, style
from dip_exp.tables import Tables

FIXED_DATE = {"CreationDate": None, "ModDate": None}
"""Left out of the PDFs, so that the same tables give the same files."""


def names() -> list[str]:
    """Returns every figure and table: the modules of `figures` whose NAME is their own."""
    entries = sorted(entry.name for entry in files("dip_exp").joinpath("figures").iterdir())
    stems = [name.removesuffix(".py") for name in entries if name.endswith(".py")]
    return [stem for stem in stems if vars(_module(stem)).get("NAME") == stem]


def rebuild(results: Path, chosen: list[str], scales: list[str]) -> None:
    """Draws the chosen figures (all where none is named) of each scale that has tables; says what is missing.

    Raises Refused for a figure there is not.
    """
    known = names()
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise Refused(f"figures: there is no {unknown[0]!r}; there are {', '.join(known)}")
    for scale in scales:
        committed = Tables(results, scale)
        if len(committed.jobs):
            _rebuild_scale(committed, chosen or known)


def _rebuild_scale(committed: Tables, chosen: list[str]) -> None:
    results, scale = committed.results, committed.scale
    place = results / "figures" / scale
    report.note(f"{place}:")
    for name in chosen:
        made = _make(_module(name), committed, place)
        report.note(f"  {name}: {_state(committed, name)}; {', '.join(made)}")
        for check in _checks(_module(name), committed):
            report.note(f"    {'pass' if check.passed else 'FAIL'}  {check.name} ({check.detail})")
    if any((results / "panels" / scale).glob("*.png")):
        local = results / "figures" / "local" / scale
        for name in chosen:
            _make(_module(name), Tables(results, scale, local=True), local)
        report.note(f"  with the pictures that may not be committed: {local}")
    record.write_text(place / "README.md", _page(committed, place))


def _make(module: ModuleType, tables: Tables, place: Path) -> list[str]:
    """Writes what a module draws and tabulates; returns the files' names."""
    import matplotlib.pyplot as plt

    place.mkdir(parents=True, exist_ok=True)
    parts, made = vars(module), []
    if "draw" in parts:
        with style.styled():
            figure = parts["draw"](tables)
            figure.savefig(place / f"{parts['NAME']}.png", metadata={"Software": None})
            made.append(f"{parts['NAME']}.png")
            if len(tables.of(parts["NAME"])):  # a placeholder needs no print quality
                figure.savefig(place / f"{parts['NAME']}.pdf", metadata=FIXED_DATE)
                made.append(f"{parts['NAME']}.pdf")
            plt.close(figure)
    if "table" in parts:
        table = parts["table"](tables)
        record.write_text(place / f"{parts['NAME']}.md", table.markdown())
        record.write_text(place / f"{parts['NAME']}.tex", table.latex())
        made += [f"{parts['NAME']}.md", f"{parts['NAME']}.tex"]
    return made


def _state(tables: Tables, name: str) -> str:
    listed, done = len(tables.listed(name)), tables.of(name).run_id.nunique()
    return (
        f"{done} runs" if done == listed else f"{listed - done} of {listed} runs missing, {rows.command(tables, name)}"
    )


def _checks(module: ModuleType, tables: Tables) -> list[Any]:
    parts = vars(module)
    return parts["checks"](tables) if "checks" in parts else []


def _page(tables: Tables, place: Path) -> str:
    """Returns the page over all figures and tables of a scale."""
    head = f"# Figures and tables, scale={tables.scale}"
    origin = f"Made by `make figures` from `results/tables/{tables.scale}`; not edited by hand."
    table = [
        "| experiment | runs | missing | seconds of computing | median s per step | on | threads |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in names():
        listed, done = tables.listed(name), tables.of(name)
        once = done[done.members.isna()].drop_duplicates("run_id")
        facts = ["–"] * 4
        if len(once):
            devices, threads = (", ".join(sorted({str(v) for v in once[c]})) for c in ("device", "threads"))
            facts = [f"{once.seconds.sum():.0f}", f"{once.seconds_per_step.median():.3f}", devices, threads]
        missing = len(listed) - done.run_id.nunique()
        table.append(f"| [{name}](#{name}) | {done.run_id.nunique()} | {missing} | {' | '.join(facts)} |")
    sections = []
    for name in names():
        picture, cells = place / f"{name}.png", place / f"{name}.md"
        parts = [f"## {name}", f"{(_module(name).__doc__ or '').strip()}"]
        if picture.is_file():
            parts.append(f"![{name}]({name}.png)")
        if cells.is_file():
            parts.append(cells.read_text(encoding="utf-8").strip())
        checks = _checks(_module(name), tables)
        marks = [f"- {'pass' if check.passed else '**fail**'}: {check.name} ({check.detail})" for check in checks]
        sections.append("\n\n".join([*parts, *(["\n".join(marks)] if marks else [])]))
    return "\n\n".join([head, origin, "\n".join(table), *sections]) + "\n"


def _module(name: str) -> ModuleType:
    return import_module(f"dip_exp.figures.{name}")
