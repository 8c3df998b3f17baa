"""Base of the loggers, and the two that need nothing: silent, and a growing CSV file."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.loggers import Logger

from dip_exp.component import PositiveInt, component
from dip_exp.fit.callbacks import Curve


@dataclass(frozen=True)
class Run:
    """What a logger may know of a run: its folder and identity, which attempt at it this is, and its settings."""

    folder: Path
    run_id: str
    attempt: int
    name: str
    group: str
    tags: list[str]
    config: dict[str, Any]


@dataclass
class Session:
    """One run's window: a Lightning logger, if any, and the callbacks that feed it."""

    logger: Logger | None = None
    callbacks: list[pl.Callback] = field(default_factory=list)

    def results(self, scores: dict[str, dict[str, float | None]]) -> None:
        """Shows the final table."""

    def close(self, *, failed: bool) -> None:
        """Lets go of everything; called however the run ended."""


@component
class Watch(ABC):
    """every: steps between two looks at the run (a row on the bar, in the CSV file, in W&B)."""

    every: PositiveInt = 50

    @abstractmethod
    def open(self, run: Run) -> Session:
        """Returns the session of a run that is about to start."""


@component
class Silent(Watch):
    def open(self, run: Run) -> Session:
        return Session()


@component
class Csv(Watch):
    def open(self, run: Run) -> Session:
        return Session(callbacks=[Curve(run.folder / "history.csv")])
