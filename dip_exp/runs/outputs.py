"""In: a finished fit. Out: the run's files and the contents of its record."""

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dip_exp import images, provenance
from dip_exp.atomic import write_arrays
from dip_exp.images import sheet
from dip_exp.metrics import calibration
from dip_exp.metrics.kinds import BASELINE, POSTERIOR, POSTERIOR_STD
from dip_exp.runs import report
from dip_exp.runs.classical import classical, main_facts
from dip_exp.runs.record import facts as facts_of_fit

if TYPE_CHECKING:
    from dip_exp.fit.trainer import Fitted
    from dip_exp.runs.order import Order
    from dip_exp.tasks.problem import Problem


def write(order: "Order", problem: "Problem", fitted: "Fitted", attempt: int) -> dict[str, Any]:
    """Writes all files of a run except its record, and returns the record. Raises OSError if a file cannot be
    written."""
    from dip_exp.fit.callbacks import write_curve
    from dip_exp.tasks.scores import finished, result_kind, score

    folder, like = order.folder.path, order.picture
    shown = problem.observation
    pictures = {} if shown is None else {"observation": shown.float().cpu().numpy()}
    restored_by = classical(problem, order.config["rivals"], order.folder.results)
    pictures.update({kind: one.picture for kind, one in restored_by.items()})
    pictures.update(fitted.pictures)
    made = finished(problem, pictures["stopped"])
    pictures.update(made)
    result = result_kind(made)
    restored = pictures[result]
    scores = score(problem, pictures)
    if problem.guide is not None:
        pictures["guide"] = problem.guide.float().cpu().numpy()
    sampled = _sampled(problem, fitted)
    for kind, picture in pictures.items():
        images.write(folder / f"{kind}.png", calibration.shown(picture)[0] if kind == POSTERIOR_STD else picture)
    images.write_restored(folder, restored, _as_source(order, problem, restored))
    images.write(folder / "comparison.png", sheet.side_by_side(report.captions(problem, pictures, scores, result)))
    write_arrays(folder / "outputs.npz", {**pictures, **_truth(problem)})
    write_curve(folder / "history.csv", fitted.rows)
    return {
        "run_id": order.folder.run_id,
        "identity": order.named.identity,
        "config": order.config,
        "choices": order.choices,
        "command": shlex.join(order.command),
        "attempt": attempt,
        "picture": {"name": like.name, "role": order.named.role, "size": list(like.size), "channels": like.channels},
        "sha256": order.named.contents,
        "protocol": order.config["task"]["protocol"],
        "baseline": main_facts(problem, restored_by),
        "rivals": {kind: one.facts for kind, one in restored_by.items() if kind != BASELINE},
        "notes": list(problem.presentation.notes),
        "result": result,
        "remarks": [*problem.presentation.remarks(restored), *_of_divergence(fitted)],
        **sampled,
        **facts_of_fit(fitted, scores, order.config["threads"] or provenance.cores()),
    }


def _of_divergence(fitted: "Fitted") -> list[str]:
    """Returns a sentence about a fit that diverged; of one that broke off, its reason tells."""
    if not fitted.diverged or fitted.broken:
        return []
    first, last = (fitted.rows[place]["loss"] for place in (0, -1))
    return [
        f"the loss went up, from {first:.3g} to {last:.3g}: the fit diverged and its pictures are worth nothing; try "
        "precision=fp32, a smaller optim.lr, or optim.clip=1"
    ]


def _sampled(problem: "Problem", fitted: "Fitted") -> dict[str, Any]:
    """Returns the record's facts about a sampler's posterior; {} without one."""
    if POSTERIOR_STD not in fitted.pictures:
        return {}
    mean, std, truth = fitted.pictures[POSTERIOR], fitted.pictures[POSTERIOR_STD], _truth(problem)
    return calibration.facts(POSTERIOR, std, mean, truth.get("truth"), truth.get("missing"), of=fitted.samples)


def _truth(problem: "Problem") -> dict[str, np.ndarray]:
    """Returns the arrays that later scoring needs besides the outputs: the clean picture and the missing pixels."""
    tensors = {"truth": problem.x, "missing": problem.presentation.missing}
    return {name: tensor.float().cpu().numpy() for name, tensor in tensors.items() if tensor is not None}


def _as_source(order: "Order", problem: "Problem", restored: np.ndarray) -> images.Picture:
    """Returns the source picture in the restored picture's frame, which supplies bit depth, colour profile and
    alpha."""
    if problem.observation is not problem.y:  # different frame: the alpha channel cannot be mapped
        return replace(order.picture, alpha=None)
    source = _cropped_like(order.picture, restored) if order.named.role == "clean" else order.picture
    missing = problem.presentation.missing
    if missing is None or source.alpha is None:
        return source
    # What was missing and transparent is restored: it must be seen.
    hole = missing[0].any(dim=0).cpu().numpy()
    return replace(source, alpha=np.where(hole, np.float32(1), source.alpha))


def _cropped_like(source: images.Picture, restored: np.ndarray) -> images.Picture:
    """Returns the source centre-cropped to the restored size, as the clean picture was cropped before degradation."""
    height, width = restored.shape[2:]
    top, left = (source.x.shape[2] - height) // 2, (source.x.shape[3] - width) // 2
    part = (..., slice(top, top + height), slice(left, left + width))
    return replace(source, x=source.x[part], alpha=None if source.alpha is None else source.alpha[part])
