"""The base class of loggers, and the two without a service: no logging, and a CSV file written during the run."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path

import lightning.pytorch as pl
from lightning.pytorch.loggers import Logger

from dip_exp.component import PositiveInt, Settings, component
from dip_exp.fit.callbacks import Curve


@dataclass(frozen=True)
class Run:
    """What a logger knows of a run: its folder, its identity, the number of this attempt at it, and its settings."""

    folder: Path
    run_id: str
    attempt: int
    name: str
    group: str
    tags: list[str]
    config: Settings


@dataclass
class Session:
    """The logging of one run: a Lightning logger, if any, and the callbacks that feed it."""

    logger: Logger | None = None
    callbacks: list[pl.Callback] = field(default_factory=list)

    def results(self, scores: dict[str, dict[str, float | None]]) -> None:
        """Logs the final scores, {output kind: {score: value}}."""

    def close(self, *, failed: bool) -> None:
        """Releases all resources; called however the run ends."""


@component
class Watch(ABC):
    """A logger. every: steps between two log entries (on the progress bar, in the CSV file, in W&B)."""

    every: PositiveInt = 50

    @abstractmethod
    def open(self, run: Run) -> Session:
        """Returns the session for a run that is about to start."""


@component
class Silent(Watch):
    def open(self, run: Run) -> Session:
        return Session()


@component
class Csv(Watch):
    def open(self, run: Run) -> Session:
        return Session(callbacks=[Curve(run.folder / "history.csv")])
