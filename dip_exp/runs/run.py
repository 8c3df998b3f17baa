"""One run: builds objects from a configuration (the only place that does), fits, and writes a record.

Heavy packages are imported only when something is computed, so that a finished run is reported at once.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from omegaconf import DictConfig

from dip_exp import images, provenance
from dip_exp.component import located
from dip_exp.config import precision
from dip_exp.config.build import build, refusing
from dip_exp.errors import Damaged, Interrupted
from dip_exp.runs import memory, page, report
from dip_exp.runs import more as going_on
from dip_exp.runs.delivery import Delivery, delivery
from dip_exp.runs.folder import RunFolder, writing
from dip_exp.runs.folder import tabled as in_tables
from dip_exp.runs.order import GROUPS, Named, Order, identify, place
from dip_exp.runs.outputs import write
from dip_exp.runs.record import Record
from dip_exp.seeds import named_seed

if TYPE_CHECKING:
    from lightning.pytorch import Callback

    from dip_exp.cost.estimate import Cost
    from dip_exp.fit.callbacks import Pace
    from dip_exp.fit.module import Fit
    from dip_exp.fit.progress import Current
    from dip_exp.fit.trainer import Trainer
    from dip_exp.loggers.logger import Run, Watch
    from dip_exp.tasks.problem import Problem


def run(
    cfg: DictConfig, choices: dict[str, str], command: list[str], *, tabled: bool = False, several: bool = False
) -> Record | None:
    """Returns the record of the run that `cfg` describes, and computes it unless it is finished.

    tabled: for an experiment's jobs: if the committed tables have the run, compute nothing and return None. several:
    for a multirun's jobs: `out` is a folder. Raises Refused before the first step, with nothing left behind, and Failed
    or Interrupted after it.
    """
    named = identify(cfg, choices)
    folder = RunFolder(located(named.config["results"]), named.run_id)
    out = delivery(named.config, several=several)
    if out is not None:
        out.check(folder.path)
    record = _finished(named, folder)
    if record is None:
        if tabled and _is_in_the_tables(named, folder):
            return None
        record = compute(place(cfg, named, folder, command), out)
    if out is not None:
        out.deliver(folder.path)
        report.delivered(out.path)
    return record


def _finished(named: Named, folder: RunFolder, *, locked: bool = False) -> Record | None:
    """Returns a finished run's record and prints it; None if the run is to be computed.

    locked: whether the caller holds the run's lock.
    """
    record = None if named.config["force"] else folder.record()
    if record is not None:
        page.complete(folder, keep_state=going_on.keeps_state(named), locked=locked)
        report.already(record, folder.path, going_on.hint(record, folder))
    return record


def _is_in_the_tables(named: Named, folder: RunFolder) -> bool:
    if named.config["force"] or named.config["recompute"]:
        return False
    table = in_tables(folder.results).get(named.run_id)
    if table is not None:
        report.note(f"already in {table} (nothing was computed; recompute=true does it here)")
    return table is not None


def compute(order: Order, out: Delivery | None = None) -> Record:
    """Returns the finished run's record: builds and checks every part, fits, then writes everything.

    out: where the restored picture will go besides; checked here to hold it.
    """
    shorter, told = going_on.begun(order.named, order.folder)
    parts = prepare(order)
    if out is not None:
        _, height, width = parts.problem.shape
        out.check(order.folder.path, (width, height), has_alpha=order.picture.alpha is not None)
    _announce(order, parts)
    if told:
        report.note(told)
    folder = order.folder
    with writing(folder.path, refuse=True):
        lock = folder.lock(lambda: report.note("another process is at this run: waiting for it"))
    try:
        return _finished(order.named, folder, locked=True) or _fit_and_write(order, parts, shorter)
    finally:
        lock.release()


@dataclass(frozen=True)
class Parts:
    """The parts of a run, checked to fit together. price: the cost of a step here, including the stop rule's share."""

    problem: "Problem"
    fit: "Fit"
    trainer: "Trainer"
    watch: "Watch"
    price: "Cost"


def prepare(order: Order) -> Parts:
    """Returns the parts of a run and their price, before any fitting. Raises Refused."""
    import torch

    from dip_exp.cost import estimate
    from dip_exp.fit.draw import assemble, draw

    config, choices = order.config, order.choices
    torch.set_num_threads(config["threads"] or provenance.cores())
    task, arch, source, optim, stop, watch, trainer = (build(config, group, choices) for group in GROUPS[1:])
    memory.check(order, trainer)
    rng = np.random.default_rng(named_seed(config["degrade_seed"], "degrade"))
    picture = order.picture
    with refusing("task", choices):
        task.check(picture.x, order.named.role)
        if picture.frame is not None:  # what lies beside the picture is cropped and reduced with it
            task, source = task.along(picture.frame), source.along(picture.frame)
        problem = task.problem(picture.x, order.named.role, rng)
        if picture.notes:
            shown = problem.presentation
            problem = replace(problem, presentation=replace(shown, notes=(*picture.notes, *shown.notes)))
    if source.of_restored and problem.start is not None:
        memory.check_start(problem, config["memory_limit"])
        report.note(f"z, where the fit begins: the picture of {problem.start[0]}")
    with refusing("arch", choices):
        net, z = draw(problem, arch, source, config["seed"], optim.over)
    setting = estimate.Setting(trainer.device, config["precision"])
    price = estimate.estimate(arch, tuple(z.shape), problem, optim, setting)
    with refusing("stop", choices):
        fit = assemble(problem, net, z, source, optim, stop, config["seed"], every=watch.every)
    return Parts(problem, fit, trainer, watch, replace(price, seconds=price.seconds * stop.slowdown))


def _announce(order: Order, parts: Parts) -> None:
    """Prints what will run, its estimated time here, and the memory it needs."""
    fit, device = parts.fit, parts.trainer.device
    remark = precision.remark(order.config, device.type)
    if remark is not None:
        report.note(remark)
    what, steps, sooner = order.what, fit.optim.steps, fit.stop.ends
    how = f"of {order.choices['optim']} in {order.config['precision']} on {device.type}"
    report.opening(what, parts.problem, parts.price, steps, how, order.smaller, sooner=sooner)
    if parts.price.seconds * steps > report.WATCHED_ABOVE_SECONDS:
        report.note(
            f"watch it: {order.folder.live} (current picture, curve, time left; in any browser, in some seconds)"
        )


def _fit_and_write(order: Order, parts: Parts, shorter: going_on.Begun | None) -> Record:
    """Fits the run, writes its files and returns its record. The caller holds the run's lock.

    shorter: the finished run to go on from.
    """
    from dip_exp.fit.callbacks import is_round
    from dip_exp.loggers.logger import Session

    folder = order.folder
    with writing(folder.path, refuse=True):
        _announce_checkpoint(folder)
        attempt = folder.begin(afresh=order.config["force"])
        if shorter is not None and not folder.saved.exist():
            folder.go_on_from(shorter.folder, is_round)
    session, failed = Session(), True
    try:
        with writing(folder.path):
            session = parts.watch.open(_for_the_logger(order, attempt))
            fitted = parts.trainer.run(
                parts.fit,
                precision=order.config["precision"],
                logger=session.logger,
                callbacks=[*session.callbacks, *_snapshots(folder.path), _current(order, parts), _pace(parts)],
                checkpoint=folder.checkpoint,
            )
            record = write(order, parts.problem, fitted, attempt)
            session.results(record["scores"])
            page.finish(folder, record, keep_state=going_on.keeps_state(order.named))
            failed = False
    except (RuntimeError, MemoryError) as error:
        if not memory.is_shortage(error):
            raise
        raise memory.ran_out(order, parts.trainer, error) from error
    except Interrupted as stop:
        raise Interrupted(f"{stop}; the same command goes on from there  [{folder.path}]") from None
    finally:
        session.close(failed=failed)
    report.closing(record, folder.path, going_on.hint(record, folder))
    if fitted.interrupted:  # Ctrl-C came at the last step: this run is complete, but no other may follow
        raise Interrupted("this run was finished first")
    return record


def _announce_checkpoint(folder: RunFolder) -> None:
    """Prints which checkpoint the run goes on from, if there is one. Deletes those of which none is whole."""
    if not folder.saved.exist():
        return
    try:
        _, path = folder.saved.newest()
    except Damaged as error:
        report.note(f"the checkpoint of an interrupted run is damaged, so it begins again ({error})")
        folder.saved.drop()
        return
    told = "going on from the checkpoint of an interrupted run"
    if path != folder.checkpoint:
        told += ": from the one before the last, because the last is damaged or missing"
    report.note(told)


def _for_the_logger(order: Order, attempt: int) -> "Run":
    """Returns the description of the run for a logger."""
    from dip_exp.loggers.logger import Run

    choices, config = order.choices, order.config
    tags = [f"{group}:{choices[group]}" for group in ("task", "arch", "optim", "image")] + [f"scale:{config['scale']}"]
    name = f"{choices['task']}-{choices['arch']}-{choices['image']}-s{config['seed']}"
    group = choices.get("experiment") or choices["task"]
    return Run(order.folder.path, order.folder.run_id, attempt, name, group, tags, provenance.without_home(config))


def _snapshots(folder: Path) -> "list[Callback]":
    """Returns the callback that saves iterates as pictures in `snapshots`."""
    from dip_exp.fit.callbacks import Snapshots

    (folder / "snapshots").mkdir(exist_ok=True)
    return [Snapshots(lambda step, x_hat: images.write(folder / "snapshots" / f"{step:06d}.png", x_hat))]


def _current(order: Order, parts: Parts) -> "Current":
    """Returns the callback that shows how far the fit has come."""
    from dip_exp.fit.progress import Current
    from dip_exp.runs.live import Live

    return Current(Live(order, parts.problem, sooner=parts.fit.stop.ends))


def _pace(parts: Parts) -> "Pace":
    """Returns the callback that compares the run's first steps with its estimate."""
    from dip_exp.cost import rates
    from dip_exp.fit.callbacks import Pace

    price = parts.price

    def doubted(ratio: float) -> None:
        if price.where is not None and price.work is not None:
            rates.doubt(price.where, price.work, ratio)

    return Pace(price.seconds, partial(report.pace, sooner=parts.fit.stop.ends), doubted)
