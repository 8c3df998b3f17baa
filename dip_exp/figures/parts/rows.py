"""Queries of figures on the tables: a statistic over seeds, what is missing, and the footer that reports it."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dip_exp.experiments.tables import Tables

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from pandas import DataFrame


@dataclass(frozen=True)
class Spread:
    """The mean of some numbers, their standard deviation (0 for a single number), and their count."""

    mean: float
    deviation: float
    count: int

    def __str__(self) -> str:
        """26.22 ± 0.08, or only the mean if the standard deviation is 0."""
        if self.count == 0:
            return "–"
        return f"{self.mean:.2f} ± {self.deviation:.2f}" if self.deviation > 0 else f"{self.mean:.2f}"


def spread(values: ArrayLike) -> Spread:
    """Returns the mean and spread of the finite values."""
    numbers = np.asarray(values, dtype=float)
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return Spread(float("nan"), 0.0, 0)
    deviation = float(numbers.std(ddof=1)) if np.ptp(numbers) > 0 else 0.0
    return Spread(float(numbers.mean()), deviation, len(numbers))


def picked(frame: DataFrame, settings: Mapping[str, str]) -> DataFrame:
    """Returns the rows whose job has these sweep settings; none if the sweep lacks one of the settings."""
    for key, value in settings.items():
        column = "seeds" if key == "seed" else f"set.{key}"
        frame = frame[frame[column] == value] if column in frame else frame.iloc[:0]
    return frame


def command(tables: Tables, experiment: str) -> str:
    """Returns the command that computes an experiment's missing runs, for as many seeds as it lists."""
    jobs = tables.listed(experiment)
    each = max((seeds.count("+") + 1 for seeds in jobs.seeds if "+" in seeds), default=1)
    single = jobs[~jobs.seeds.str.contains("+", regex=False)] if len(jobs) else jobs
    seeds = -(-int(single.groupby("job").size().max()) // each) if len(single) else 1
    return f"make sweep FIG={experiment} SCALE={tables.scale}" + (f" SEEDS={seeds}" if seeds > 1 else "")


def makes(frame: DataFrame) -> dict[str, list[str]]:
    """Returns {"fp32 on cpu": pictures of those runs} for some rows, the most frequent first."""
    found: dict[str, list[str]] = {}
    runs = frame.drop_duplicates("run_id") if len(frame) else frame
    for precision, device, image in zip(runs.precision, runs.device, runs.image, strict=True) if len(runs) else ():
        found.setdefault(f"{precision} on {device}", []).append(str(image))
    return {one: list(dict.fromkeys(found[one])) for one in sorted(found, key=lambda one: (-len(found[one]), one))}


def made_on(frame: DataFrame) -> str:
    """Returns the precision and device of some rows. If they differ, lists the pictures of the less frequent ones."""
    found = makes(frame)
    usual, *others = found or ["–"]
    return "; ".join([usual, *(f"{one}: {', '.join(found[one])}" for one in others)])


def small_print(tables: Tables, experiment: str, *more: str) -> str:
    """Returns the footer of every figure: scale, seeds, precision and device, missing runs, and the source table."""
    rows, listed = tables.of(experiment), tables.listed(experiment)
    single = rows[rows.members.isna()]
    seeds = sorted({int(float(seed)) for seed in single.seed})
    parts = [f"scale={tables.scale}", f"seeds {_ranges(seeds)}", _made(tables, single)]
    missing = len(listed) - rows.run_id.nunique()
    if missing:
        parts.append(f"{missing} of {len(listed)} runs missing: {command(tables, experiment)}")
    source = f"results/tables/{tables.scale}/runs.csv"
    return "\n".join([f"{experiment}: {'; '.join(parts)}; {source}", *more])


def _made(tables: Tables, single: DataFrame) -> str:
    """Returns the precision and device of some runs; in the miniature only the device, if all are fp32 on one
    device."""
    plain = tables.scale == "mini" and set(single.precision) == {"fp32"} and single.device.nunique() == 1
    return f"on {single.device.iloc[0]}" if plain else made_on(single)


def footnote(tables: Tables, experiment: str, shown: Sized) -> str:
    """Returns the footer as a table's last note, or the command that fills the table if the table is empty."""
    told = small_print(tables, experiment).replace("\n", " ") if len(shown) else command(tables, experiment)
    return f"({told})"


def _ranges(seeds: list[int]) -> str:
    contiguous = len(seeds) > 1 and seeds == list(range(seeds[0], seeds[-1] + 1))
    return f"{seeds[0]}–{seeds[-1]}" if contiguous else ", ".join(map(str, seeds))
