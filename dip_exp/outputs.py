"""In: a finished fit. Out: the files of its run, and what its record will hold."""

import shlex
import time
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dip_exp import images, panels, provenance, record, report

if TYPE_CHECKING:
    from dip_exp.experiment import Order
    from dip_exp.problems.problem import Problem
    from dip_exp.trainers import Fitted


def write(order: "Order", problem: "Problem", fitted: "Fitted", attempt: int) -> dict[str, Any]:
    """Writes all of a run but its record, and returns that. Raises OSError where something cannot be written."""
    from dip_exp.callbacks import write_curve
    from dip_exp.scores import finished, score

    folder, like = order.folder.path, order.picture
    shown = problem.observation
    pictures = {} if shown is None else {"observation": shown.float().cpu().numpy()}
    name, seconds = None, None
    if problem.baseline is not None:
        began = time.perf_counter()
        name, restorer = problem.baseline
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # flat pictures: means of nothing, divisions by none
                picture = restorer()
            if not np.isfinite(picture).all():
                raise ValueError("it gave values that are not finite")
            pictures["baseline"] = picture
            seconds = time.perf_counter() - began
        except Exception as error:  # a run of hours is not lost to a rival that fails
            report.note(f"baseline: {name} failed ({type(error).__name__}: {error}); the run goes without it")
    pictures.update(fitted.pictures)
    made = finished(problem, pictures["stopped"])
    pictures.update(made)
    result = list(made)[-1] if made else "stopped"
    restored = pictures[result]
    scores = score(problem, pictures)
    if problem.guide is not None:
        pictures["guide"] = problem.guide.float().cpu().numpy()
    for kind, picture in pictures.items():
        images.write(folder / f"{kind}.png", picture)
    images.write_restored(folder, restored, _as_source(order, problem, restored))
    images.write(folder / "comparison.png", panels.side_by_side(report.captions(problem, pictures, scores, result)))
    record.write_arrays(folder / "outputs.npz", {**pictures, **_truth(problem)})
    write_curve(folder / "history.csv", fitted.rows)
    return {
        "run_id": order.folder.run_id,
        "identity": order.identity,
        "config": order.config,
        "choices": order.choices,
        "command": shlex.join(order.command),
        "attempt": attempt,
        "picture": {"name": like.name, "role": order.role, "size": list(like.size), "channels": like.channels},
        "sha256": order.contents,
        "protocol": order.config["task"]["protocol"],
        "baseline": {"name": name, "seconds": seconds},
        "notes": list(problem.notes),
        "remarks": problem.remarks(restored) if problem.remarks is not None else [],
        **record.facts(fitted, scores, order.config["threads"] or provenance.cores()),
    }


def _truth(problem: "Problem") -> dict[str, np.ndarray]:
    """Returns what later scores need besides the outputs: the clean picture, and where pixels were missing."""
    tensors = {"truth": problem.x, "missing": problem.missing}
    return {name: tensor.float().cpu().numpy() for name, tensor in tensors.items() if tensor is not None}


def _as_source(order: "Order", problem: "Problem", restored: np.ndarray) -> images.Picture:
    """Returns the source in the restored picture's frame, for its depth, profile and transparency."""
    if problem.observation is not problem.y:  # another frame: there is no saying what of it was transparent
        return replace(order.picture, alpha=None)
    return _cropped_like(order.picture, restored) if order.role == "clean" else order.picture


def _cropped_like(source: images.Picture, restored: np.ndarray) -> images.Picture:
    """Returns the source cut about its centre to the restored size, as a clean picture is before it is reduced."""
    height, width = restored.shape[2:]
    top, left = (source.x.shape[2] - height) // 2, (source.x.shape[3] - width) // 2
    part = (..., slice(top, top + height), slice(left, left + width))
    return replace(source, x=source.x[part], alpha=None if source.alpha is None else source.alpha[part])
