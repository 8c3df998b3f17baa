"""Device, progress, checkpoints and interruption of a fit. The trainer never changes what a fit computes."""

import io
import logging
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Literal, cast

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch.utils.data import DataLoader, Dataset

from dip_exp.archs.fast import heap
from dip_exp.component import Positive, component
from dip_exp.errors import Interrupted, Refused, first_line
from dip_exp.fit.callbacks import Checkpoint
from dip_exp.fit.generations import Generations
from dip_exp.fit.history import Row
from dip_exp.fit.module import Fit
from dip_exp.fit.progress import Progress
from dip_exp.shapes import Float, Float32
from dip_exp.stopping.rule import Findings, State

SETTLED_STEPS = 50
"""Before so many steps, a loss above the first one says nothing."""

LIGHTNING_PRECISION = {"fp32": "32-true", "tf32": "32-true", "fp64": "64-true", "bf16": "bf16-mixed"}


@dataclass(frozen=True)
class Fitted:
    """The results of a fit: pictures float32 (1, C, H, W) by output kind, its curve, and how it ended.

    pictures: last, average, stopped; for a sampler posterior and posterior_std; with a truth the oracles peak and
    peak_average; and the stop rule's additional kinds. steps_of: the step (counted from 1) of each picture. rows: one
    dict per step, with the keys `dip_exp.fit.history.COLUMNS`. reason: why the fit ended, in words; ended: whether the
    stop rule ended it, rather than optim.steps; findings: further facts from the rule. samples: the number of posterior
    samples. memory: peak in bytes, None if it cannot be measured. weights: how many numbers were optimised.
    cpu_seconds: processor time of the steps over all threads. broken: whether a loss that was not finite ended the fit.
    """

    pictures: dict[str, Float32[np.ndarray, "1 _ _ _"]]
    steps_of: dict[str, int]
    rows: list[Row]
    steps: int
    reason: str
    ended: bool
    findings: Findings
    seconds: float
    memory: int | None
    device: str
    rollbacks: int
    interrupted: bool
    weights: int
    cpu_seconds: float | None = None
    samples: int = 0
    broken: bool = False

    @property
    def diverged(self) -> bool:
        """Whether a loss was not finite, or, after `SETTLED_STEPS`, ended above the first one."""
        return self.broken or (self.steps >= SETTLED_STEPS and self.rows[-1]["loss"] > self.rows[0]["loss"])


@component
class Trainer:
    """accelerator: auto uses a GPU if there is one. progress: auto or off. checkpoint_seconds: interval at which a run
    that has a folder is saved, so that it can be resumed. diverged: what a loss that is not finite does: `fail`, the
    run ends without a record; `stop`, it ends with what it had before that step, and the record says so."""

    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    progress: Literal["auto", "off"] = "auto"
    checkpoint_seconds: Positive = 300.0
    diverged: Literal["fail", "stop"] = "fail"

    def __post_init__(self) -> None:
        if self.accelerator == "gpu" and not torch.cuda.is_available():
            raise ValueError("accelerator: given gpu, but PyTorch sees none here; use auto or cpu")

    @property
    def device(self) -> torch.device:
        """The device that the fit will run on."""
        on_gpu = self.accelerator != "cpu" and torch.cuda.is_available()
        return torch.device("cuda", torch.cuda.current_device()) if on_gpu else torch.device("cpu")

    def run(
        self,
        fit: Fit,
        *,
        precision: str = "fp32",
        logger: Logger | None = None,
        callbacks: list[pl.Callback] | None = None,
        checkpoint: Path | None = None,
    ) -> Fitted:
        """Returns the results of the fit, which is resumed from `checkpoint` if that file exists.

        Raises Interrupted after Ctrl-C, SIGTERM or SIGUSR1, between two steps and with the checkpoint written (a second
        Ctrl-C interrupts at once); Refused if the checkpoint cannot be read; Failed if the loss is not finite; OSError
        if something cannot be written.
        """
        fit.breaks_off = self.diverged == "stop"
        kept = None if checkpoint is None else Generations(checkpoint)
        if kept is not None and kept.exist():
            fit.resume(_loaded(kept), kept.to_begin_again)
        progress = [Progress()] if self.progress == "auto" else []
        saver = [] if kept is None else [Checkpoint(kept, self.checkpoint_seconds)]
        received: list[int] = []
        watchers = [*(callbacks or []), *saver, *progress, _Interruption(received, saver)]
        began = time.perf_counter()
        reset_peak_memory(self.device)
        with _quiet_lightning(), _matrix_precision(precision), _between_steps(received), heap.kept():
            trainer = pl.Trainer(
                max_epochs=1,
                accelerator="cuda" if self.device.type == "cuda" else "cpu",
                devices=1,
                precision=LIGHTNING_PRECISION[precision],  # type: ignore[arg-type]
                logger=logger if logger is not None else False,
                callbacks=watchers,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            )
            try:
                trainer.fit(fit, _steps(fit))
            except SIGTERMException:  # Lightning's response to SIGTERM: after the step, maybe after our callbacks
                received.append(signal.SIGTERM)
                for callback in saver:
                    callback.save(fit)
            except SystemExit:
                if not received:
                    raise
                # Lightning turns the second Ctrl-C into an exit of the whole program.
                raise Interrupted(f"stopped in the middle of step {fit.history.done + 1}") from None
            finally:
                for bar in progress:
                    bar.close()
        if received and not fit.ended:
            raise Interrupted(f"stopped after step {fit.history.done} of {fit.optim.steps}")
        assert fit.final_picture is not None
        seconds = time.perf_counter() - began
        return _gather(fit, fit.final_picture, seconds, self.device, interrupted=bool(received))


def _loaded(kept: Generations) -> State:
    """Returns the newest snapshot that is whole. Raises Refused if there is none."""
    try:
        content, _ = kept.newest()
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # what unpickling can raise has no end
        raise Refused(f"checkpoint: {kept.path} cannot be read ({first_line(error)}); {kept.to_begin_again}") from error


def _steps(fit: Fit) -> DataLoader:
    """Returns the data set: the numbers of the remaining steps. The loader has its own generator, because even an
    ordered loader draws a seed."""
    numbers = cast("Dataset[int]", range(fit.start, fit.start if fit.ended else fit.optim.steps))
    return DataLoader(numbers, batch_size=None, generator=torch.Generator().manual_seed(0))


def _gather(
    fit: Fit, last: Float[torch.Tensor, "1 C H W"], seconds: float, device: torch.device, *, interrupted: bool
) -> Fitted:
    done = fit.history.done
    chosen = {"last": (done - 1, last), "average": (done - 1, fit.average), **fit.chosen()}
    if fit.posterior is not None:
        chosen |= {kind: (fit.posterior.last, picture) for kind, picture in fit.posterior.pictures().items()}
    arrays = {kind: picture.float().cpu().numpy() for kind, (_, picture) in chosen.items()}
    steps_of = {kind: step + 1 for kind, (step, _) in chosen.items()}
    for name, (step, picture) in fit.history.peaks().items():
        arrays[name] = picture
        steps_of[name] = step + 1
    return Fitted(
        pictures=arrays,
        steps_of=steps_of,
        rows=fit.history.rows(),
        steps=done,
        reason=fit.reason,
        ended=fit.by_rule,
        findings=fit.stop.findings(),
        seconds=seconds,
        cpu_seconds=fit.cpu_seconds,
        memory=peak_memory(device),
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        interrupted=interrupted,
        rollbacks=0 if fit.rollback is None else fit.rollback.count,
        broken=fit.broken,
        weights=sum(parameter.numel() for parameter in fit.optimised),
        samples=0 if fit.posterior is None else fit.posterior.count,
    )


class _Interruption(pl.Callback):
    """Ends the fit after the current step once a signal has arrived, with its checkpoint written."""

    def __init__(self, received: list[int], saver: list[Checkpoint]) -> None:
        self._received, self._saver = received, saver

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, Fit)
        if self._received and not pl_module.ended:
            for callback in self._saver:
                callback.save(pl_module)
            trainer.should_stop = True


def _signals() -> list[signal.Signals]:
    """Returns the signals that end a fit between two steps: Ctrl-C, SIGTERM, and those by which a cluster announces
    that it will take the machine away, unless somebody else listens to them."""
    names = [name for name in ("SIGUSR1", "SIGUSR2") if hasattr(signal, name)]
    announced = [signal.Signals[name] for name in names]
    free = [number for number in announced if signal.getsignal(number) is signal.SIG_DFL]
    return [signal.SIGINT, signal.SIGTERM, *free]


@contextmanager
def _between_steps(received: list[int]) -> Iterator[None]:
    """Records the first of `_signals` in `received`; a second one has its usual effect."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set signal handlers
        return

    def handle(number: int, frame: FrameType | None) -> None:
        received.append(number)
        signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.signal(number, handle) for number in _signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Silences Lightning's notices (devices, tips, loader workers), which do not apply to a one-picture data set."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric", "lightning")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*does not have many workers.*")
            warnings.filterwarnings("ignore", message=".*isinstance\\(treespec, LeafSpec\\).*")
            warnings.filterwarnings("ignore", message="GPU available but not used.*")
            warnings.filterwarnings("ignore", message=".*number of training batches.*")
            warnings.filterwarnings("ignore", message="The `srun` command is available.*")
            warnings.filterwarnings("ignore", message="Total length of .* is zero.*")  # all steps are already done
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _matrix_precision(precision: str) -> Iterator[None]:
    """Makes fp32 mean IEEE fp32 on a GPU too, where PyTorch would let convolutions round to TF32."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def reset_peak_memory(device: torch.device) -> None:
    """Resets the count of `peak_memory` (Linux and CUDA; elsewhere it counts from the start of the process)."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        try:
            clear.write_text("5")
        except OSError:
            return  # a sandbox may forbid it: the peak then counts from the start of the process


def peak_memory(device: torch.device) -> int | None:
    """Returns the peak in bytes: of CUDA's allocator on a GPU, of the whole process on a CPU; None if unknown."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    line = next((line for line in status.read_text().splitlines() if line.startswith("VmHWM")), None)
    return None if line is None else int(line.split()[1]) * 1024
