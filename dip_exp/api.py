"""`restore` and `solve`: the package as functions that accept your own problem, network, input and stop rule."""

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from dip_exp import config as cfgs
from dip_exp.archs.arch import Arch
from dip_exp.archs.skip import Skip
from dip_exp.component import Settings
from dip_exp.config import catalogue
from dip_exp.config.build import build, refusing
from dip_exp.config.precision import AUTO
from dip_exp.config.resolvers import default_stop
from dip_exp.errors import Interrupted, Refused
from dip_exp.fit.draw import assemble, draw
from dip_exp.fit.generations import Generations
from dip_exp.fit.trainer import Trainer
from dip_exp.images.arrays import Given, LaidOut, as_picture, laid_out_as, unscaled
from dip_exp.inputs.source import Input
from dip_exp.metrics.kinds import STOPPED
from dip_exp.optims.optim import Optim
from dip_exp.runs import memory
from dip_exp.runs.mean import combine
from dip_exp.runs.record import Record
from dip_exp.runs.record import facts as facts_of_fit
from dip_exp.seeds import named_seed
from dip_exp.shapes import Float32
from dip_exp.stopping.rule import StopRule
from dip_exp.tasks.problem import Problem
from dip_exp.tasks.scores import finished, result_kind, score
from dip_exp.tasks.task import Task, tensor

OWN_PROBLEM = "superres"
"""The packaged task whose optimizer, network and input are the defaults for a user's own problem."""


Posable = str | Task | Problem | Callable[[Float32[Tensor, "1 C H W"]], Problem]
"""What `restore` takes as a problem."""


class Restored(NamedTuple):
    """The result of a fit.

    x_hat: the restored picture, float32 in [0, 1], in the layout of the observation. record: the content of a run's
    record: scores (with a truth), steps, seconds, device, versions, and every output kind in `pictures`.
    """

    x_hat: LaidOut
    record: Record


def restore(
    y: Given,
    problem: Posable = "denoise",
    *,
    arch: str | Arch | nn.Module | None = None,
    input: str | Input | None = None,  # the field's name for z
    optim: str | Optim | None = None,
    stop: str | StopRule | None = None,
    seed: int = 0,
    runs: int = 1,
    values: tuple[float, float] | Literal["auto"] | None = None,
    scale: str = "paper",
    precision: str = "fp32",
    accelerator: str = "auto",
    overrides: str | Iterable[str] = (),
    progress: bool = False,
    checkpoint: Path | None = None,
) -> Restored:
    """Returns the picture from fitting a freshly drawn network to the observation y, and its record.

    y:        (H, W), (H, W, C) or (1, C, H, W); float in [0, 1], or uint8. It counts as observed: it is not degraded.
              With problem="inpaint", NaN is a missing value.
    problem:  a packaged task, by name ("denoise", "superres", "inpaint", ...) or as an object; or your own: a
              `Problem`, or a function from the observation's tensor (1, C, H, W) to a `Problem`. For an observation
              that is not a picture in [0, 1] (a sinogram, counts), use `solve`.
    arch, input, optim, stop: the name of a packaged option, or your own object. Defaults: those of the named task for a
              picture of your own (denoising ends by itself, stop="emv"); for your own problem or a task object, those
              of super-resolution. `arch` may be any torch module that maps z
              to x_hat; it is trained in place.
    values:   the values of y that black and white stand for, (lo, hi), if y is no picture in [0, 1]; "auto": those of
              its type or range. Noise may lie beyond them, and x_hat has the units of y and is not clipped.
    scale:    "paper" or "mini". precision: "fp32", "fp64", "tf32", "bf16", or "auto": bf16 if this CPU has units for it
              and the network is a `Skip`, else fp32.
    overrides: further settings as on the command line ("optim.steps=500").
    seed:     seeds the weights, z and its perturbation. checkpoint: a file that makes the fit resumable.
    runs:     if 2 or more, that many fits with seeds seed, seed + 1, ... are made. x_hat is then their mean, and the
              record holds `std`, their standard deviation (n - 1) in the layout of x_hat; `members`, the record of
              each; and `pictures`, the means by output kind.

    Raises Refused, with a hint how to correct the argument, before the first step. Source: paper eq. 2.
    """
    named = {"arch": arch, "input": input, "optim": optim, "stop": stop}
    asked = _Asked(problem, named, scale, precision, accelerator, _words(overrides), progress)
    with refusing("restore", {}):
        picture, ends = as_picture(y, values)
    units = None if values is None else ends
    if runs == 1:
        return _laid_out(_fit(asked, picture, seed, checkpoint), y, units)
    _check_runs(runs, arch, checkpoint)
    each = [_laid_out(_fit(asked.again(), picture, seed + number, None), y, units) for number in range(runs)]
    return _mean(each, y, units, None if isinstance(problem, str | Task) else _pose(problem, picture, {}))


def solve(
    problem: Problem,
    *,
    arch: str | Arch | nn.Module | None = None,
    input: str | Input | None = None,
    optim: str | Optim | None = None,
    stop: str | StopRule | None = None,
    seed: int = 0,
    scale: str = "paper",
    precision: str = "fp32",
    accelerator: str = "auto",
    overrides: str | Iterable[str] = (),
    progress: bool = False,
    checkpoint: Path | None = None,
) -> Restored:
    """Returns what `restore` returns, for your own problem whose observation need not be a picture.

    problem.y may have any size and range that the problem's loss accepts; problem.shape is x_hat's (C, H, W). x_hat is
    returned as float32 (1, C, H, W), not clipped; with the packaged networks it lies in (0, 1). The other arguments,
    the record and the errors are those of `restore`.
    """
    named = {"arch": arch, "input": input, "optim": optim, "stop": stop}
    if not isinstance(problem, Problem):
        raise Refused(f"solve: given {type(problem).__name__}; a dip_exp.Problem is needed, or restore(y, ...)")
    asked = _Asked(problem, named, scale, precision, accelerator, _words(overrides), progress)
    return _fit(asked, None, seed, checkpoint)


@dataclass(frozen=True)
class _Asked:
    """The arguments of `restore` and `solve`, except the observation and the seed."""

    problem: Posable
    named: Mapping[str, object]
    scale: str
    precision: str
    accelerator: str
    overrides: list[str]
    progress: bool

    def again(self) -> "_Asked":
        """Returns a copy with its own copy of the stop rule, because a rule has state."""
        return replace(self, named={**self.named, "stop": copy.deepcopy(self.named["stop"])})

    def config(self, seed: int) -> Settings:
        """Returns the plain settings. Raises Refused."""
        words = [f"{group}={choice}" for group, choice in self.named.items() if isinstance(choice, str)]
        stop = self.named["stop"]
        task = self.problem if isinstance(self.problem, str) else OWN_PROBLEM
        if isinstance(stop, StopRule):  # a task's number of steps depends on whether a rule may end the run
            words.append("stop=emv" if stop.ends else "stop=fixed")
        elif stop is None and not any(word.startswith("stop=") for word in self.overrides):
            optim = self.named["optim"]
            words.append(f"stop={default_stop(task, 'file', optim if isinstance(optim, str) else '', None, None)}")
        own = not isinstance(self.problem, str | Task)
        if own and self.named["input"] is None and not any(word.startswith("input=") for word in self.overrides):
            words.append(f"input={catalogue.default('input')}")  # a preset may choose what only tasks have
        common = [f"scale={self.scale}", f"seed={seed}", f"precision={self.precision}"]
        common.append(f"trainer.accelerator={self.accelerator}")
        try:
            return cfgs.plain(cfgs.compose([f"task={task}", *words, *common, *self.overrides]))
        except cfgs.UNCOMPOSABLE as error:
            raise Refused(f"restore: {str(error).strip().splitlines()[0]}") from error

    def as_record(self, config: Settings, precision: str) -> Settings:
        """Returns the record's account of what was asked for: settings, and the repr of objects."""
        used = {
            g: config[g] if isinstance(choice, str | None) else _described(choice) for g, choice in self.named.items()
        }
        task = config["task"] if isinstance(self.problem, str) else _described(self.problem)
        return {**used, "task": task, "seed": config["seed"], "precision": precision}


def _described(part: object) -> str:
    """Returns an object's repr, or its class if the repr contains an address, which would differ every time."""
    text = repr(part)
    return f"{type(part).__module__}.{type(part).__qualname__}" if " at 0x" in text else text


def _words(overrides: str | Iterable[str]) -> list[str]:
    return [overrides] if isinstance(overrides, str) else list(overrides)


def _fit(asked: _Asked, picture: Float32[np.ndarray, "1 C H W"] | None, seed: int, checkpoint: Path | None) -> Restored:
    """Returns one fit's picture (1, C, H, W) and its record. picture: the observation, or None for the problem's y."""
    config = asked.config(seed)
    parts = {group: _part(group, choice, config) for group, choice in asked.named.items()}
    own = asked.precision != AUTO or isinstance(parts["arch"], Skip)  # `auto` was decided for the named network
    precision = config["precision"] if own else "fp32"
    with refusing("restore", {}):
        posed = _pose(asked.problem, picture, config)
        y = posed.y if posed.guide is None else posed.guide
        trainer = _trainer(asked)
        needs = memory.Needs.of(parts["arch"], parts["input"], y.shape[1], trainer.device, precision)
        memory.check_posed(needs, posed.shape, config["memory_limit"])
        net, z = draw(posed, parts["arch"], parts["input"], seed, parts["optim"].over)
        fit = assemble(posed, net, z, parts["input"], parts["optim"], parts["stop"], seed)
    fitted = trainer.run(fit, precision=precision, checkpoint=checkpoint)
    if fitted.interrupted:
        raise Interrupted("the fit was finished first")
    if checkpoint is not None:
        Generations(checkpoint).drop()
    made = finished(posed, fitted.pictures[STOPPED])
    pictures = {**fitted.pictures, **made}
    result = result_kind(made)
    facts = facts_of_fit(fitted, score(posed, pictures), torch.get_num_threads())
    facts |= {"result": result, "remarks": posed.presentation.remarks(pictures[result])}
    used = asked.as_record(config, precision)
    return Restored(pictures[result], {**facts, "config": used, "history": fitted.rows, "pictures": pictures})


def _trainer(asked: _Asked) -> Trainer:
    shown = "auto" if asked.progress else "off"
    return Trainer(accelerator=asked.accelerator, progress=shown)  # type: ignore[arg-type]


def _laid_out(restored: Restored, y: Given, units: tuple[float, float] | None) -> Restored:
    """Returns the same with x_hat in y's layout: clipped to [0, 1], or in y's units."""
    x_hat = restored.x_hat
    return restored._replace(x_hat=laid_out_as(np.clip(x_hat, 0, 1) if units is None else unscaled(x_hat, units), y))


def _check_runs(runs: int, arch: object, checkpoint: Path | None) -> None:
    """Raises Refused if `runs` is below 1, or conflicts with a network trained in place or with a checkpoint."""
    if runs < 1:
        raise Refused(f"runs: given {runs}; must be a whole number from 1")
    if isinstance(arch, nn.Module):
        raise Refused(
            f"runs: given {runs} with a network of yours, which is trained in place; give 1, or a name or an Arch"
        )
    if checkpoint is not None:
        raise Refused(f"runs: given {runs} with a checkpoint, which is of one fit; give 1, or no checkpoint")


def _mean(each: list[Restored], y: Given, units: tuple[float, float] | None, posed: Problem | None) -> Restored:
    """Returns the mean of several runs; if the problem has a truth, with its scores and the spread's calibration."""
    records = [one.record for one in each]
    known = posed if posed is not None and posed.x is not None else None
    given = {} if known is None or known.x is None else {"truth": known.x.float().cpu().numpy()}
    if known is not None and known.presentation.missing is not None:
        given["missing"] = known.presentation.missing.float().cpu().numpy()
    result = records[0]["result"]
    found = combine([{**one["pictures"], **given} for one in records], result)
    facts = {key: records[0][key] for key in ("device", "threads", "versions", "commit", "dirty", "config", "result")}
    facts |= {key: sum(one[key] for one in records) for key in ("seconds", "steps", "rollbacks")}
    facts |= found.spread(result, len(each))
    low, high = units or (0.0, 1.0)
    return Restored(
        laid_out_as(unscaled(found.means[result], (low, high)), y),
        {
            **facts,
            "scores": {} if known is None else found.scores(known.protocol),
            "std": laid_out_as(unscaled(found.std, (0.0, high - low)), y),
            "members": records,
            "pictures": found.means,
        },
    )


KINDS: dict[str, type | tuple[type, ...]] = {
    "arch": (Arch, nn.Module),
    "input": Input,
    "optim": Optim,
    "stop": StopRule,
}


def _part(group: str, choice: object, config: Settings) -> Any:
    """Returns a group's object: the given object, or one built from the configuration."""
    if isinstance(choice, str | None):
        return build(config, group, {})
    if not isinstance(choice, KINDS[group]):
        kind = "an Arch or a torch module" if group == "arch" else f"a dip_exp {group} object"
        raise Refused(f"{group}: given {type(choice).__name__}; a name or {kind} is needed; settings go into overrides")
    return choice


def _pose(
    problem: Posable,
    picture: Float32[np.ndarray, "1 C H W"] | None,
    config: Settings,
) -> Problem:
    if picture is None:
        assert isinstance(problem, Problem)
        _try_operator(problem)
        return problem
    own = build(config, "task", {}) if isinstance(problem, str) else problem
    if isinstance(own, Task):
        rng = np.random.default_rng(named_seed(config["degrade_seed"], "degrade"))
        own.check(picture, "observed")
        return own.problem(picture, "observed", rng)
    posed = own if isinstance(own, Problem) else own(tensor(picture))
    if not isinstance(posed, Problem):
        raise TypeError(f"problem returned {type(posed).__name__}; a dip_exp.Problem is needed")
    if tuple(posed.y.shape) != picture.shape:
        raise ValueError(f"y is {picture.shape} but the problem's own y is {tuple(posed.y.shape)}")
    _try_operator(posed)
    return posed


def _try_operator(posed: Problem) -> None:
    """Raises ValueError if the forward operator's output does not have y's shape, or the energy has no gradient."""
    x_hat = torch.full((1, *posed.shape), 0.5, dtype=posed.y.dtype, requires_grad=True)
    seen = posed.forward(x_hat)
    if tuple(seen.shape) != tuple(posed.y.shape):
        raise ValueError(
            f"forward: it gives {tuple(seen.shape)} for x_hat {tuple(x_hat.shape)} but y is {tuple(posed.y.shape)}; "
            f"mend the operator or the problem's shape"
        )
    if not posed.energy(x_hat).requires_grad:
        raise ValueError("forward: the energy has no gradient in x_hat; the operator or the loss must not detach it")
