"""Logs to Weights & Biases. Its failures never end a run; the record and its CSV file are authoritative."""

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import lightning.pytorch as pl
import numpy as np
from lightning.pytorch.loggers import Logger

from dip_exp.component import Positive, component
from dip_exp.errors import first_line
from dip_exp.fit.callbacks import Curve, is_round
from dip_exp.fit.module import Fit
from dip_exp.loggers.logger import Run, Session, Watch
from dip_exp.metrics import psnr, ssim

if TYPE_CHECKING:
    from lightning.pytorch.loggers import WandbLogger

log = logging.getLogger(__name__)


@component
class Wandb(Watch):
    """mode: offline stores the run in `folder` for `wandb sync`; online uses the account of WANDB_API_KEY or
    `wandb login`, and falls back to offline without an account or an answer within `init_timeout` seconds."""

    mode: Literal["offline", "online"] = "offline"
    project: str = "dip_exp"
    entity: str | None = None
    folder: str = "wandb"
    init_timeout: Positive = 20.0

    def open(self, run: Run) -> Session:
        """Returns a session that uses Lightning's WandbLogger; failures of W&B never end a run."""
        curve = Curve(run.folder / "history.csv")
        online = self.mode == "online" and _has_key()
        if self.mode == "online" and not online:
            log.warning("logger: no W&B account is set up here (WANDB_API_KEY or `wandb login`): going on offline")
        for offline in (False, True) if online else (True,):
            try:
                logger = self._logger(run, offline=offline)
            except Exception as error:  # a logger that fails must not end the run
                instead = "without it" if offline else "offline"
                log.warning("logger: W&B did not answer (%s): going on %s", first_line(error), instead)
            else:
                shielded = _Shield()
                return _WandbSession(logger, [curve, _WandbWatch(logger, shielded)], shielded)
        return Session(callbacks=[curve])

    def _logger(self, run: Run, *, offline: bool) -> "WandbLogger":
        import wandb
        from lightning.pytorch.loggers import WandbLogger

        folder = Path(self.folder)
        folder.mkdir(parents=True, exist_ok=True)
        settings = wandb.Settings(
            init_timeout=self.init_timeout,
            silent=True,
            console="off",
            disable_git=True,
            disable_code=True,
            x_disable_stats=True,
            x_disable_machine_info=True,
            x_save_requirements=False,
            finish_timeout=FINISH_TIMEOUT_SECONDS,
        )
        with warnings.catch_warnings(), _environment_kept(WANDB_SILENT="true"):
            warnings.simplefilter("ignore")
            logger = WandbLogger(
                project=self.project,
                entity=self.entity,
                save_dir=str(folder.parent if folder.name == "wandb" else folder),
                id=f"{run.run_id}-{run.attempt}",
                name=run.name,
                group=run.group,
                tags=run.tags,
                mode="offline" if offline else "online",
                offline=offline,
                config=run.config,
                settings=settings,
            )
            logger.experiment.define_metric("*", step_metric="iteration")
        return logger


def _has_key() -> bool:
    try:
        import wandb

        return bool(wandb.api.api_key)
    except Exception:  # a broken installation or unreadable key file counts as no account
        return False


FINISH_TIMEOUT_SECONDS = 60.0
"""How long the end of a run may wait for an upload; the rest stays on disk for `wandb sync`."""


@contextmanager
def _environment_kept(**settings: str) -> Iterator[None]:
    """Sets environment variables temporarily; also restores WANDB_MODE, which Lightning's logger sets."""
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        yield
    finally:
        for name in ("WANDB_MODE", *settings):
            os.environ.pop(name, None)
            if name in before:
                os.environ[name] = before[name]


class _Shield:
    """Turns any exception of W&B into a warning, given once, so that the run continues and its record is written."""

    def __init__(self) -> None:
        self.failures: set[str] = set()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if (why := first_line(error)) not in self.failures:
                self.failures.add(why)
                log.warning("logger: W&B failed (%s); the run and its record are not affected", why)


def _let_go() -> None:
    """Takes leave of a W&B process that is gone: otherwise W&B tries it again when Python ends, with a traceback."""
    import wandb

    with contextlib.suppress(Exception):
        wandb.teardown()


@dataclass
class _WandbSession(Session):
    shielded: _Shield = field(default_factory=_Shield)

    def results(self, scores: dict[str, dict[str, float | None]]) -> None:
        with self.shielded():
            self._show(scores)

    def _show(self, scores: dict[str, dict[str, float | None]]) -> None:
        import wandb

        run = self._run()
        names = sorted({name for row in scores.values() for name in row})
        columns: list[str | int] = ["kind", *names]
        rows: list[Any] = [[kind, *(row.get(name) for name in names)] for kind, row in scores.items()]
        run.log({"scores": wandb.Table(columns=columns, data=rows)})
        for kind, row in scores.items():
            for name, value in row.items():
                run.summary[f"{kind}/{name}"] = value

    def close(self, *, failed: bool) -> None:
        with self.shielded():
            self._run().finish(exit_code=int(failed))
        if self.shielded.failures:
            _let_go()

    def _run(self) -> Any:
        assert isinstance(self.logger, Logger)
        return self.logger.experiment  # type: ignore[attr-defined]  # WandbLogger has it


class _WandbWatch(pl.Callback):
    """Logs the curve at each log entry; logs pictures and their SSIM at steps 10, 20, 50, 100, ... and at the end."""

    def __init__(self, logger: "WandbLogger", shielded: _Shield) -> None:
        self._logger, self._shielded = logger, shielded

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, Fit)
        with self._shielded():
            self._tell(pl_module, pl_module.history.done)

    def _tell(self, fit: Fit, number: int) -> None:
        if fit.checked:
            row = fit.history.rows(number - 1)[0]
            values = {key: value for key, value in row.items() if key != "step" and value is not None}
            self._logger.log_metrics({"iteration": number, **cast("dict[str, float]", values)})
        if number >= 10 and (is_round(number) or fit.ended):
            self._pictures(fit, number)

    def _pictures(self, fit: Fit, number: int) -> None:
        import wandb

        pictures = {"x_hat": fit.x_hat, "average": fit.average}
        arrays = {name: picture.float().cpu().numpy() for name, picture in pictures.items()}
        values: dict[str, object] = {name: wandb.Image(_show(array)) for name, array in arrays.items()}
        problem = fit.problem
        if problem.x is not None:
            x = problem.x.float().cpu().numpy()
            values["ssim_average"] = ssim(arrays["average"], x, problem.protocol)
            values["psnr_average"] = psnr(arrays["average"], x, problem.protocol)
        self._logger.experiment.log({"iteration": number, **values})


def _show(picture: np.ndarray) -> np.ndarray:
    pixels = np.round(np.clip(picture[0], 0, 1) * 255).astype(np.uint8)
    return pixels[0] if pixels.shape[0] == 1 else pixels.transpose(1, 2, 0)
