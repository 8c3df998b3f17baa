"""The composition root: a configuration becomes objects here and nowhere else, then a fit, then a record.

Heavy packages are imported only once something has to be computed: a finished run is told of at once.
"""

import shlex
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from omegaconf import DictConfig

from dip_exp import config as cfgs
from dip_exp import images, outputs, precision, provenance, record, report
from dip_exp.build import build, refusing, writing
from dip_exp.errors import Interrupted

if TYPE_CHECKING:
    from torch import Tensor, nn

    from dip_exp.callbacks import Pace
    from dip_exp.cost import Cost
    from dip_exp.fit import Fit
    from dip_exp.inputs.source import Input
    from dip_exp.optims import Optim
    from dip_exp.problems.problem import Problem
    from dip_exp.trainers import Trainer

ABSENT = "not here"
"""Stands for the content of a file that is not there."""

GROUPS = ("image", "task", "arch", "input", "optim", "stop", "logger", "trainer")


@dataclass(frozen=True)
class Order:
    """What was asked for: the settings, the options chosen for each group, the picture, and the identity of the run."""

    config: dict[str, Any]
    choices: dict[str, str]
    command: list[str]
    picture: images.Picture
    role: str
    contents: dict[str, str]
    identity: dict[str, Any]
    folder: record.RunFolder
    smaller: str
    """The command of the same run at the smaller scale; empty where that changes nothing."""

    @property
    def what(self) -> str:
        """The run in a few words."""
        return f"{self.choices['task']} of {self.picture.name} with {self.choices['arch']}"


def run(cfg: DictConfig, choices: dict[str, str], command: list[str], *, tabled: bool = False) -> dict[str, Any] | None:
    """Returns the record of the run that `cfg` describes, computing it unless it is finished already.

    tabled: the committed tables will do where they have the run (an experiment's jobs); None is returned then. Raises
    Refused before the first step and with nothing left behind; Failed or Interrupted after it.
    """
    named = identify(cfg, choices)
    folder = record.RunFolder(cfgs.located(named.config["results"]), named.run_id)
    done = folder.record()
    if done is not None and not named.config["force"]:
        report.already(done, folder.path)
        return done
    if tabled and not (named.config["force"] or named.config["recompute"]):
        table = record.tabled(folder.results).get(named.run_id)
        if table is not None:
            report.note(f"already in {table} (nothing was computed; recompute=true does it here)")
            return None
    return compute(place(cfg, named, folder, command))


@dataclass(frozen=True)
class Named:
    """A run known by its identity, nothing of it read but what tells one picture from another."""

    config: dict[str, Any]
    choices: dict[str, str]
    contents: dict[str, str]
    identity: dict[str, Any]

    @property
    def run_id(self) -> str:
        return cfgs.run_id(self.identity)


def identify(cfg: DictConfig, choices: dict[str, str]) -> Named:
    """Returns the identity of the run that `cfg` describes. A file whose content is declared need not be there; another
    one that is not there is refused by whoever reads it, and until then its run is one that cannot have run."""
    config = cfgs.plain(cfg)
    with refusing("image", choices):
        contents = {"image.content": build(config, "image", choices).content()}
    for key, (path, declared) in cfgs.files(config).items():
        with refusing(key.split(".")[0], choices):
            found = cfgs.located(path)
            contents[key] = declared or (images.file_sha256(found) if found.is_file() else ABSENT)
    return Named(config, choices, contents, cfgs.identity(config, contents))


def place(cfg: DictConfig, named: Named, folder: record.RunFolder, command: list[str]) -> Order:
    """Returns the order: the picture read, nothing computed."""
    config, choices = named.config, named.choices
    image = build(config, "image", choices)
    with refusing("image", choices):
        picture = image.read()
    mini = cfg.copy()
    mini["scale"] = "mini"
    is_smaller = cfgs.identity(cfgs.plain(mini), named.contents) != named.identity
    words = [word for word in command if not word.startswith("scale=")]
    smaller = shlex.join([*words, "scale=mini"]) if is_smaller else ""
    return Order(config, choices, command, picture, image.role, named.contents, named.identity, folder, smaller)


def compute(order: Order) -> dict[str, Any]:
    """Returns the finished run's record: every part is built and checked, then the fit goes, then all is written."""
    from dip_exp.fit import Fit

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
            seed=cfgs.named_seed(config["seed"], "perturb"),
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
    from dip_exp import rates
    from dip_exp.callbacks import Pace

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

    from dip_exp import cost, prior

    config, choices = order.config, order.choices
    torch.set_num_threads(config["threads"] or provenance.cores())
    task, arch, source, optim, trainer = (
        build(config, group, choices) for group in ("task", "arch", "input", "optim", "trainer")
    )
    rng = np.random.default_rng(cfgs.named_seed(config["degrade_seed"], "degrade"))
    with refusing("task", choices):
        problem = task.problem(order.picture.x, order.role, rng)
    with refusing("arch", choices):
        net, z = prior.draw(problem, arch, source, config["seed"], optim.over)
    price = cost.estimate(arch, tuple(z.shape), problem, optim, cost.Setting(trainer.device, config["precision"]))
    return Parts(problem, net, z, source, optim, trainer, price)


def priced(config: dict[str, Any], choices: dict[str, str], shape: tuple[int, int, int]) -> float:
    """Returns the seconds of a step of a run here, from its settings and the shape (C, H, W) of its picture alone.

    Nothing is drawn, and the picture is read only for a task that cannot do without. Raises Refused as a run does.
    """
    import torch

    from dip_exp import cost, prior

    torch.set_num_threads(config["threads"] or provenance.cores())
    task, arch, source, optim, trainer, stop, image = (
        build(config, group, choices) for group in ("task", "arch", "input", "optim", "trainer", "stop", "image")
    )
    with refusing("task", choices):
        try:
            problem = task.outline(shape, image.role)
        except ValueError:
            problem = task.problem(image.read().x, image.role, np.random.default_rng(0))
    with refusing("arch", choices):
        z_shape = prior.z_shape(problem, arch, source)
        of, _, _ = cost.counted(arch, z_shape, problem, optim)
    return cost.Setting(trainer.device, config["precision"]).rates()[1].seconds(of) * stop.dearer


def free_of(config: dict[str, Any]) -> dict[str, Any]:
    """Returns the settings of a task that may change what a step costs."""
    from hydra.utils import get_class

    free = getattr(get_class(config["_target_"]), "free", ())
    return {key: value for key, value in config.items() if key not in free}


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
    from dip_exp.loggers import Run, Session

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
            done = outputs.write(order, problem, fitted, attempt)
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
    from dip_exp.callbacks import Snapshots

    (folder / "snapshots").mkdir(exist_ok=True)
    return [Snapshots(lambda step, x_hat: images.write(folder / "snapshots" / f"{step:06d}.png", x_hat))]


def describe(error: BaseException, traceback: bool) -> None:
    """Tells of an error on standard error: one message, or the whole trace where that was asked for."""
    if traceback:
        import traceback as traces

        traces.print_exception(error)
    else:
        print(f"error: {error}", file=sys.stderr)
