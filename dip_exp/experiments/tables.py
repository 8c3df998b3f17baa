"""In: `results/tables/<scale>`. Out: the rows, curves and panels of one experiment, which are all that figures read.

runs.csv:   one row per run and output kind (`RUN_COLUMNS`). baseline, baseline_seconds: those of the task's main
            classical restorer, or, in a row of kind `baseline_<rival>`, those of the rival. ended: the step at which a
            stop rule ended the run, or, for a rule that only watched, would have ended it. weights: the number of
            optimised parameters.
curves.csv: one row per run and kept step (`CURVE_COLUMNS`); steps count from 1.
calibration.csv: one row per bin of each map of standard deviations (of a run or mean). Bins have equal counts, the
            smallest deviations first (`CALIBRATION_COLUMNS`; numbers of the whole map are repeated in every row).
jobs.csv:   one row per experiment and run: the job of the experiment's sweep.
panels/:    `<run_id>-<kind>.png`, for packaged pictures only; panels of the paper's pictures are in the git-ignored
            `results/panels/<scale>`.

No torch.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dip_exp.images import read
from dip_exp.runs.folder import sound

if TYPE_CHECKING:
    from pandas import DataFrame

RUN_COLUMNS = (
    *("run_id", "kind", "psnr", "ssim", "psnr_missing", "step", "ended"),
    *("task", "arch", "input", "optim", "stop", "image", "picture", "width", "height", "channels", "role"),
    *("seed", "degrade_seed", "precision", "lr", "steps", "stop_reason", "rollbacks", "protocol", "baseline"),
    *("seconds", "seconds_per_step", "peak_memory_bytes", "baseline_seconds", "device", "threads"),
    *("torch", "dip_exp", "commit", "dirty", "members", "weights"),
)
CURVE_COLUMNS = ("run_id", "step", "loss", "psnr", "psnr_average", "data")
CALIBRATION_COLUMNS = ("run_id", "kind", "bin", "std", "error", "ratio", "rank_correlation", "ause")
JOB_COLUMNS = ("experiment", "run_id", "seed", "job")


def folder(results: Path, scale: str) -> Path:
    """Returns the folder of a scale's committed tables."""
    return results / "tables" / scale


@dataclass(frozen=True)
class Tables:
    """The tables of one scale.

    local: also look for panels of pictures that are never committed, in `results/panels/<scale>`.
    """

    results: Path
    scale: str
    local: bool = False
    reads: dict[str, Callable[[], bytes]] = field(default_factory=dict, compare=False)
    """What was read of the tables since this was last emptied, by name, as a function that returns it: the data that a
    figure was drawn from."""

    @cached_property
    def runs(self) -> DataFrame:
        """All collected runs, by `RUN_COLUMNS`; empty if none was collected."""
        return self._read("runs.csv", RUN_COLUMNS)

    @cached_property
    def curves(self) -> DataFrame:
        """All kept steps, by `CURVE_COLUMNS`."""
        return self._read("curves.csv", CURVE_COLUMNS)

    @cached_property
    def calibration(self) -> DataFrame:
        """The calibration of all maps of standard deviations, by `CALIBRATION_COLUMNS`."""
        return self._read("calibration.csv", CALIBRATION_COLUMNS)

    @cached_property
    def jobs(self) -> DataFrame:
        """The jobs of every experiment, finished or not, by `JOB_COLUMNS`."""
        return self._read("jobs.csv", JOB_COLUMNS)

    @cached_property
    def _listed(self) -> dict[str, DataFrame]:
        """What `listed` returned, by experiment: figures ask for it hundreds of times."""
        return {}

    @cached_property
    def _of(self) -> dict[str, DataFrame]:
        """What `of` returned, by experiment."""
        return {}

    def listed(self, experiment: str) -> DataFrame:
        """Returns an experiment's jobs, finished or not. The settings of its sweep are in columns named `set.<key>`."""
        if experiment not in self._listed:
            self._listed[experiment] = self._split(experiment)
        return self._listed[experiment].copy()

    def _split(self, experiment: str) -> DataFrame:
        import pandas as pd

        jobs = self.jobs[self.jobs.experiment == experiment]
        settings = [dict(f"set.{word}".split("=", 1) for word in shlex.split(job)) for job in jobs.job]
        wanted = pd.DataFrame(settings, index=jobs.index, dtype=str)
        return pd.concat([jobs[["run_id", "job", "seed"]].rename(columns={"seed": "seeds"}), wanted], axis=1)

    def of(self, experiment: str) -> DataFrame:
        """Returns the rows of an experiment's finished runs, with the columns of `listed`."""
        self.reads[experiment] = partial(self._of_as_text, experiment)
        if experiment not in self._of:
            self._of[experiment] = self.listed(experiment).merge(self.runs, on="run_id", how="inner")
        return self._of[experiment].copy()

    def _of_as_text(self, experiment: str) -> bytes:
        found = self.of(experiment)
        spread = self.calibration[self.calibration.run_id.isin(found.run_id)]
        return (found.to_csv() + spread.to_csv()).encode()

    def curve(self, run_id: str) -> DataFrame:
        """Returns the kept steps of one run."""
        self.reads[f"curve {run_id}"] = lambda: self.curve(run_id).to_csv().encode()
        return self.curves.iloc[self._places.get(run_id, [])].sort_values("step")

    @cached_property
    def _places(self) -> Mapping[Any, Any]:
        """The rows of `curves`, by run."""
        return self.curves.groupby("run_id").indices

    def panel(self, run_id: str, kind: str) -> np.ndarray | None:
        """Returns a run's picture of an output kind as (H, W, 3) or (H, W, 1) in [0, 1], or None if there is none."""
        places = [folder(self.results, self.scale) / "panels"]
        if self.local:
            places.append(self.results / "panels" / self.scale)
        for place in places:
            path = place / f"{run_id}-{kind}.png"
            if path.is_file():
                self.reads[f"panel {run_id} {kind}"] = path.read_bytes
                return read(path).x[0].transpose(1, 2, 0)
        return None

    def reference(self, name: str) -> DataFrame:
        """Returns `results/reference/<name>.csv`: numbers from the paper and its authors."""
        import pandas as pd

        path = self.results / "reference" / f"{name}.csv"
        self.reads[f"reference {name}"] = path.read_bytes
        return pd.read_csv(path)

    def _read(self, name: str, columns: tuple[str, ...]) -> DataFrame:
        return read_table(folder(self.results, self.scale) / name, columns)


def read_table(path: Path, columns: tuple[str, ...]) -> DataFrame:
    """Returns a table. Columns missing from the file (it may be older) are empty; without a file there are no rows.

    Raises Refused if the file is no such table.
    """
    import pandas as pd

    if not path.is_file():
        return pd.DataFrame(columns=list(columns))
    texts: Any = dict.fromkeys(("run_id", "seed", "members", "commit", "job"), str)
    with sound(path):
        found = pd.read_csv(path, dtype=texts, keep_default_na=True)
        if "run_id" not in found.columns:
            raise ValueError("it has no column run_id")
    return found.reindex(columns=list(columns))
