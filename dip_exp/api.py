"""`restore`: the whole of this package as one function, open to a user's own problem, network, input and stop rule."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from dip_exp import config as cfgs
from dip_exp import experiment, prior, provenance, record
from dip_exp.archs.arch import Arch
from dip_exp.fit import Fit
from dip_exp.inputs.source import Input
from dip_exp.optims import Optim
from dip_exp.problems.problem import Problem
from dip_exp.problems.task import Task, tensor
from dip_exp.scores import paste, score
from dip_exp.stopping.rule import StopRule
from dip_exp.trainers import Trainer

OWN_PROBLEM = "superres"
"""The packaged task whose optimizer, network and input a user's own problem starts from."""


class Restored(NamedTuple):
    """x_hat: the restored picture, float32 in [0, 1], laid out as the observation was. record: what a run's record
    holds: scores (where there is a truth), steps, seconds, device, versions, and every output kind in `pictures`."""

    x_hat: np.ndarray
    record: dict[str, Any]


def restore(
    y: np.ndarray,
    problem: str | Task | Problem | Callable[[Tensor], Problem] = "denoise",
    *,
    arch: str | Arch | nn.Module | None = None,
    input: str | Input | None = None,  # the field's name for z
    optim: str | Optim | None = None,
    stop: str | StopRule | None = None,
    seed: int = 0,
    scale: str = "paper",
    precision: str = "fp32",
    accelerator: str = "auto",
    overrides: Iterable[str] = (),
    progress: bool = False,
    checkpoint: Path | None = None,
) -> Restored:
    """Returns the picture that a fit of a freshly drawn network to the observation y ends with, and its record.

    y:        (H, W), (H, W, 3) or (1, C, H, W); float in [0, 1], or uint8. It is observed, not clean: nothing is added.
    problem:  a packaged task by name ("denoise", "superres", "inpaint", ...) or as an object; or your own: a `Problem`,
              or a function that makes one of the observation's tensor (1, C, H, W).
    arch, input, optim, stop: a packaged option by name, or an object of yours; left out, the task's own (an own
              problem starts from super-resolution's). `arch` may be any torch module that maps z to x_hat.
    scale:    "paper" or "mini". overrides: further settings as on the command line ("optim.steps=500").
    seed:     draws weights, z and its perturbation. checkpoint: a file that makes the fit resumable.

    Raises Refused (a ValueError's text, and where to mend it) before the first step. Source: paper eq. 2.
    """
    named = {"arch": arch, "input": input, "optim": optim, "stop": stop}
    words = [f"{group}={choice}" for group, choice in named.items() if isinstance(choice, str)]
    task_name = problem if isinstance(problem, str) else OWN_PROBLEM
    asked = [f"task={task_name}", *words, f"scale={scale}", f"seed={seed}", f"precision={precision}", *overrides]
    config = cfgs.plain(cfgs.compose(asked))
    choices = {"task": task_name, **{group: choice for group, choice in named.items() if isinstance(choice, str)}}
    parts = {
        group: experiment.build(config, group, choices) if choice is None or isinstance(choice, str) else choice
        for group, choice in named.items()
    }
    with experiment.refusing("image", choices):
        picture = as_picture(y)
    with experiment.refusing("task", choices):
        posed = _pose(problem, picture, config, choices)
    with experiment.refusing("arch", choices):
        net, z = prior.draw(posed, parts["arch"], parts["input"], seed, parts["optim"].over)
    fit = Fit(
        posed,
        net,
        z,
        optim=parts["optim"],
        stop=parts["stop"],
        perturb_std=parts["input"].perturb_std,
        final=parts["input"].final,
        seed=cfgs.named_seed(seed, "perturb"),
    )
    trainer = Trainer(accelerator=accelerator, progress="auto" if progress else "off")  # type: ignore[arg-type]
    fitted = trainer.run(fit, precision=precision, checkpoint=checkpoint)
    pictures = {**fitted.pictures}
    if posed.paste is not None:
        pictures["pasted"] = paste(posed, pictures["stopped"])
    kept = pictures.get("pasted", pictures["stopped"])
    if not isinstance(problem, str):
        del config["task"]  # it was not this one
    facts = record.facts(fitted, score(posed, pictures), torch.get_num_threads())
    history = {"history": fitted.rows, "pictures": pictures, "config": config, "cores": provenance.cores()}
    return Restored(_as_given(kept, y), {**facts, **history})


def _pose(problem: Any, picture: np.ndarray, config: dict[str, Any], choices: dict[str, str]) -> Problem:
    if isinstance(problem, str):
        problem = experiment.build(config, "task", choices)
    if isinstance(problem, Task):
        rng = np.random.default_rng(cfgs.named_seed(config["degrade_seed"], "degrade"))
        return problem.problem(picture, "observed", rng)
    if isinstance(problem, Problem):
        if tuple(problem.y.shape) != picture.shape:
            raise ValueError(f"restore: y is {picture.shape} but the problem's own y is {tuple(problem.y.shape)}")
        return problem
    posed = problem(tensor(picture))
    if not isinstance(posed, Problem):
        raise TypeError(f"restore: problem returned {type(posed).__name__}; a dip_exp.Problem is needed")
    return posed


def as_picture(y: np.ndarray) -> np.ndarray:
    """Returns y, (H, W), (H, W, C) or (1, C, H, W), uint8 or float in [0, 1], as float32 (1, C, H, W).

    Raises ValueError or TypeError for another shape, type or range.
    """
    y = np.asarray(y)
    if y.dtype == np.uint8:
        y = y.astype(np.float32) / 255
    if not np.issubdtype(y.dtype, np.floating):
        raise TypeError(f"restore: y is {y.dtype}; give uint8, or floats in [0, 1]")
    if y.ndim == 2:
        y = y[None, None]
    elif y.ndim == 3:
        y = y.transpose(2, 0, 1)[None]
    if y.ndim != 4 or y.shape[0] != 1 or 0 in y.shape:
        raise ValueError(f"restore: y has shape {y.shape}; give (H, W), (H, W, C) or (1, C, H, W)")
    if not np.isfinite(y).all() or y.min() < 0 or y.max() > 1:
        raise ValueError(f"restore: y lies in [{y.min():g}, {y.max():g}]; give finite values in [0, 1]")
    return np.ascontiguousarray(y, dtype=np.float32)


def _as_given(x_hat: np.ndarray, y: np.ndarray) -> np.ndarray:
    picture = np.clip(x_hat, 0, 1)
    if np.ndim(y) == 2:
        return picture[0, 0]
    return picture[0].transpose(1, 2, 0) if np.ndim(y) == 3 else picture
