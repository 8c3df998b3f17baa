"""Tables of scores: one row per picture, one column per method, with the paper's, the authors' and our numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dip_exp.experiments.tables import Tables
from dip_exp.figures.parts import rows

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class Table:
    """A table as printed: all cells are text. notes: footnotes, in order. words: number of leading columns that hold
    words and are left-aligned."""

    title: str
    cells: DataFrame
    notes: tuple[str, ...]
    words: int = 2

    def markdown(self) -> str:
        """Returns the table in Markdown."""
        align = (*["left"] * self.words, *["right"] * (self.cells.shape[1] - self.words))
        body = self.cells.to_markdown(index=False, colalign=align, disable_numparse=True)
        return (
            "\n\n".join([f"### {self.title}", *(text.replace("*", "\\*") for text in (body or "", *self.notes))]) + "\n"
        )

    def latex(self) -> str:
        """Returns the table in LaTeX, for the booktabs package."""
        columns = "l" * self.words + "r" * (self.cells.shape[1] - self.words)
        body = self.cells.map(_tex).rename(columns=_tex).to_latex(index=False, column_format=columns)
        notes = "\n".join(rf"\par\footnotesize {_tex(note)}" for note in self.notes)
        return f"\\begin{{table}}\n\\centering\n\\caption{{{_tex(self.title)}}}\n{body}{notes}\n\\end{{table}}\n"


_LETTERS = "ᵃᵇᶜᵈᵉᶠᵍʰ"

_TEX = {
    "&": r"\&",
    "%": r"\%",
    "_": r"\_",
    "#": r"\#",
    "±": r"$\pm$",
    "†": r"\dag{}",
    "σ": r"$\sigma$",
    "×": r"$\times$",
    "–": "--",
    **{mark: f"$^{letter}$" for mark, letter in zip(_LETTERS, "abcdefgh", strict=True)},
}


def _tex(text: str) -> str:
    return "".join(_TEX.get(letter, letter) for letter in str(text))


@dataclass(frozen=True)
class Block:
    """Jobs that belong together in a table.

    label: the block's label. published: the table in `results/reference` to compare with. picks: sweep settings that
    select the jobs. ours: {heading: output kind}. theirs: {heading: method of the published table}. measure: the two
    columns whose difference is shown, as (heading of ours, heading of theirs).
    """

    label: str
    published: str
    picks: Mapping[str, str]
    ours: Mapping[str, str]
    theirs: Mapping[str, str]
    measure: tuple[str, str] | None = None
    image_set: str = ""


def score_table(tables: Tables, experiment: str, title: str, blocks: list[Block], notes: tuple[str, ...]) -> Table:
    """Returns a table of PSNR in dB for the blocks' pictures that have run.

    Each block ends with the mean over these pictures and the mean that the paper prints over all. Runs whose precision
    or device differs from the most frequent one are marked.
    """
    import pandas as pd

    found, listed = tables.of(experiment), tables.listed(experiment)
    marks = marks_of(found)
    lines: list[dict[str, str]] = []
    for block in blocks:
        lines += _block(tables, found, listed, block, marks)
    usual = next(iter(rows.makes(found)), "")
    told = tuple(f"{mark} {make}, or a mean over some of it; unmarked: {usual}." for make, mark in marks.items())
    return Table(title, pd.DataFrame(lines).fillna("–"), (*notes, *told, rows.footnote(tables, experiment, found)))


def marks_of(found: DataFrame) -> dict[str, str]:
    """Returns {"bf16 on cpu": its mark} for every precision and device except the most frequent."""
    _, *others = rows.makes(found) or [""]
    return dict(zip(others, _LETTERS, strict=False))


def _letters(of_cell: DataFrame, marks: Mapping[str, str]) -> str:
    """Returns the marks of a cell's runs, in order; empty for cells that no network computed."""
    made = rows.makes(of_cell[~of_cell.kind.str.startswith(("baseline", "observation"))] if len(of_cell) else of_cell)
    return "".join(mark for one, mark in marks.items() if one in made)


def _block(
    tables: Tables, found: DataFrame, listed: DataFrame, block: Block, marks: Mapping[str, str]
) -> list[dict[str, str]]:
    pictures = list(dict.fromkeys(_of_block(listed, block)["set.image"]))
    done = _of_block(found, block)
    theirs = _published(tables, block)
    lines, numbers = [], []
    for image in pictures:
        name = image.rpartition("/")[2]
        cells = {head: _of_cell(done, image, kind) for head, kind in block.ours.items()}
        own = {head: rows.spread(cell.psnr) for head, cell in cells.items()}
        other = {head: theirs.get((name, method)) for head, method in block.theirs.items()}
        line = {"": block.label, "picture": name}
        line |= {head: f"{value}{_letters(cells[head], marks)}" for head, value in own.items()}
        line |= {head: "–" if value is None else f"{value:.2f}" for head, value in other.items()}
        means = {head: value.mean for head, value in own.items()} | {k: v for k, v in other.items() if v is not None}
        if any(value.count for value in own.values()):
            lines.append(line | _difference(means, block))
            numbers.append(means)
    if numbers:
        cells = {head: done[done.kind == kind] for head, kind in block.ours.items()}
        lines.append(_mean_line(numbers, len(pictures), block, {h: _letters(c, marks) for h, c in cells.items()}))
    if numbers and block.theirs:
        lines += _printed(tables, block)
    return lines


def _of_cell(done: DataFrame, image: str, kind: str) -> DataFrame:
    return done[(done["set.image"] == image) & (done.kind == kind)]


def _of_block(frame: DataFrame, block: Block) -> DataFrame:
    chosen = rows.picked(frame, block.picks)
    return (
        chosen[chosen["set.image"].str.startswith(block.image_set)]
        if len(chosen)
        else chosen.reindex(columns=[*chosen.columns, *({"set.image"} - set(chosen.columns))])
    )


def _published(tables: Tables, block: Block) -> dict[tuple[str, str], float]:
    if not block.theirs:
        return {}
    table = tables.reference("published")
    table = table[table.task == block.published]
    table = table[table.method.isin(block.theirs.values())]
    rated = zip(table.image, table.method, table.value, strict=True)
    return {(image, method): float(value) for image, method, value in rated}


def _difference(means: Mapping[str, float], block: Block) -> dict[str, str]:
    if block.measure is None:
        return {}
    ours, theirs = (means.get(head, float("nan")) for head in block.measure)
    gap = ours - theirs
    return {"difference": f"{gap:+.2f}" if np.isfinite(gap) else "–"}


def _mean_line(
    numbers: list[dict[str, float]], pictures: int, block: Block, letters: Mapping[str, str]
) -> dict[str, str]:
    heads = [*block.ours, *block.theirs]
    stat = {head: rows.spread([line.get(head, float("nan")) for line in numbers]) for head in heads}
    # A column that lacks some of the pictures gets no mean, because it would cover other pictures than its neighbours.
    means = {head: one.mean if one.count == len(numbers) else float("nan") for head, one in stat.items()}
    label = "mean" if len(numbers) == pictures else f"mean of these {len(numbers)} of {pictures}"
    cells = {
        head: f"{value:.2f}{letters.get(head, '')}" if np.isfinite(value) else "–" for head, value in means.items()
    }
    return {"": block.label, "picture": label, **cells} | _difference(means, block)


def _printed(tables: Tables, block: Block) -> list[dict[str, str]]:
    """Returns the paper's printed means over all pictures, under the matching headings."""
    paper = tables.reference("paper")
    paper = paper[(paper.table == block.published) & (paper.picture.isin(["mean", "avg"]))]
    kinds = {"last": "last", "average": "average", "mean of two runs": "mean"}
    cells: dict[str, str] = {}
    paper = paper[paper.printed]
    for of, method, value in zip(paper.kind, paper.method, paper.value, strict=True):
        heads = [head for head, theirs in block.theirs.items() if theirs == method]
        if method.startswith("deep_prior"):  # a printed number of the prior belongs to its output kind
            heads = [head for head, kind in block.ours.items() if kinds.get(of) == kind]
        cells |= dict.fromkeys(heads, f"{value:.2f}")
    return [{"": block.label, "picture": "the paper's own, all pictures", **cells}] if cells else []
