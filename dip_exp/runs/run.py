"""One run: a configuration becomes objects here and nowhere else, then a fit, then a record.

Heavy packages are imported only once something has to be computed: a finished run is reported at once.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from omegaconf import DictConfig

from dip_exp import images, provenance
from dip_exp.component import located
from dip_exp.config import precision
from dip_exp.config.build import build, refusing
from dip_exp.errors import Interrupted
from dip_exp.runs import report
from dip_exp.runs.folder import RunFolder, writing
from dip_exp.runs.folder import tabled as in_tables
from dip_exp.runs.order import Order, identify, place
from dip_exp.runs.outputs import write
from dip_exp.seeds import named_seed

if TYPE_CHECKING:
    from torch import Tensor, nn

    from dip_exp.cost.estimate import Cost
    from dip_exp.fit.callbacks import Pace
    from dip_exp.fit.module import Fit
    from dip_exp.fit.trainer import Trainer
    from dip_exp.inputs.source import Input
    from dip_exp.optims.optim import Optim
    from dip_exp.tasks.problem import Problem


def run(cfg: DictConfig, choices: dict[str, str], command: list[str], *, tabled: bool = False) -> dict[str, Any] | None:
    """Returns the record of the run that `cfg` describes, computing it unless it is finished already.

    tabled: the committed tables will do where they have the run (an experiment's jobs); None is returned then. Raises
    Refused before the first step and with nothing left behind; Failed or Interrupted after it.
    """
    named = identify(cfg, choices)
    folder = RunFolder(located(named.config["results"]), named.run_id)
    done = folder.record()
    if done is not None and not named.config["force"]:
        report.already(done, folder.path)
        return done
    if tabled and not (named.config["force"] or named.config["recompute"]):
        table = in_tables(folder.results).get(named.run_id)
        if table is not None:
            report.note(f"already in {table} (nothing was computed; recompute=true does it here)")
            return None
    return compute(place(cfg, named, folder, command))


def compute(order: Order) -> dict[str, Any]:
    """Returns the finished run's record: every part is built and checked, then the fit goes, then all is written."""
    from dip_exp.fit.module import Fit

    config, choices = order.config, order.choices
    parts = prepare(order)
    optim, trainer, source = parts.optim, parts.trainer, parts.source
    stop, watch = (build(config, group, choices) for group in ("stop", "logger"))
    with refusing("stop", choices):
        fit = Fit(
            parts.problem,
            parts.net,
            parts.z,
            optim=optim,
            stop=stop,
            perturb_std=source.perturb_std,
            final=source.final,
            seed=named_seed(config["seed"], "perturb"),
            every=watch.every,
        )
    price = replace(parts.price, seconds=parts.price.seconds * stop.dearer)
    told = precision.remark(config["precision"], trainer.device.type)
    if told is not None:
        report.note(told)
    report.opening(order.what, parts.problem, price, optim.steps, trainer.device, order.smaller, sooner=stop.ends)
    return _carry_out(order, parts.problem, fit, trainer, watch, _pace(price, sooner=stop.ends))


def _pace(price: "Cost", *, sooner: bool) -> "Pace":
    """Returns what compares the run's first steps with its price."""
    from dip_exp.cost import rates
    from dip_exp.fit.callbacks import Pace

    def doubted(ratio: float) -> None:
        if price.where is not None and price.work is not None:
            rates.doubt(price.where, price.work, ratio)

    return Pace(price.seconds, partial(report.pace, sooner=sooner), doubted)


@dataclass(frozen=True)
class Parts:
    """What a run is made of, checked to fit together, and what a step of it costs here."""

    problem: "Problem"
    net: "nn.Module"
    z: "Tensor"
    source: "Input"
    optim: "Optim"
    trainer: "Trainer"
    price: "Cost"


def prepare(order: Order) -> Parts:
    """Returns the parts of a run and their price; nothing is fitted yet."""
    import torch

    from dip_exp.cost import estimate
    from dip_exp.fit import draw

    config, choices = order.config, order.choices
    torch.set_num_threads(config["threads"] or provenance.cores())
    task, arch, source, optim, trainer = (
        build(config, group, choices) for group in ("task", "arch", "input", "optim", "trainer")
    )
    rng = np.random.default_rng(named_seed(config["degrade_seed"], "degrade"))
    with refusing("task", choices):
        problem = task.problem(order.picture.x, order.role, rng)
    with refusing("arch", choices):
        net, z = draw.draw(problem, arch, source, config["seed"], optim.over)
    price = estimate.estimate(
        arch, tuple(z.shape), problem, optim, estimate.Setting(trainer.device, config["precision"])
    )
    return Parts(problem, net, z, source, optim, trainer, price)


def _carry_out(
    order: Order, problem: "Problem", fit: "Fit", trainer: "Trainer", watch: Any, pace: "Pace"
) -> dict[str, Any]:
    with writing(order.folder.path, refuse=True):
        lock = order.folder.lock(lambda: report.note("another process is at this run: waiting for it"))
    try:
        done = order.folder.record()
        if done is not None and not order.config["force"]:
            report.already(done, order.folder.path)
            return done
        return _alone(order, problem, fit, trainer, watch, pace)
    finally:
        lock.release()


def _alone(
    order: Order, problem: "Problem", fit: "Fit", trainer: "Trainer", watch: Any, pace: "Pace"
) -> dict[str, Any]:
    """Carries the run out while its lock is held."""
    from dip_exp.loggers.logger import Run, Session

    if order.folder.checkpoint.exists():
        report.note("going on from the checkpoint of an interrupted run")
    with writing(order.folder.path, refuse=True):
        attempt = order.folder.begin(afresh=order.config["force"])
    session, failed, interrupted = Session(), True, False
    try:
        with writing(order.folder.path):
            tags = [f"{group}:{order.choices[group]}" for group in ("task", "arch", "optim", "image")]
            group = order.choices.get("experiment") or order.choices["task"]
            name = f"{order.choices['task']}-{order.choices['arch']}-{order.choices['image']}-s{order.config['seed']}"
            tags.append(f"scale:{order.config['scale']}")
            about = Run(order.folder.path, order.folder.run_id, attempt, name, group, tags, order.config)
            session = watch.open(about)
            fitted = trainer.run(
                fit,
                precision=order.config["precision"],
                logger=session.logger,
                callbacks=[*session.callbacks, *_strip_of_iterates(order.folder.path), pace],
                checkpoint=order.folder.checkpoint,
            )
            done = write(order, problem, fitted, attempt)
            session.results(done["scores"])
            order.folder.finish(done)
            failed, interrupted = False, fitted.interrupted
    except Interrupted as stop:
        raise Interrupted(f"{stop}; the same command goes on from there  [{order.folder.path}]") from None
    finally:
        session.close(failed=failed)
    report.closing(done, order.folder.path)
    if interrupted:  # Ctrl-C came with the last step: this run is whole, but nothing is to follow it
        raise Interrupted("this run was finished first")
    return done


def _strip_of_iterates(folder: Path) -> list[Any]:
    from dip_exp.fit.callbacks import Snapshots

    (folder / "snapshots").mkdir(exist_ok=True)
    return [Snapshots(lambda step, x_hat: images.write(folder / "snapshots" / f"{step:06d}.png", x_hat))]
