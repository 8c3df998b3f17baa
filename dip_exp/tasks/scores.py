"""Scores pictures by output kind, under the problem's protocol, and derives further pictures."""

from collections.abc import Mapping

import numpy as np

from dip_exp.metrics import kinds, scores
from dip_exp.shapes import Float
from dip_exp.tasks.problem import Problem


def score(problem: Problem, pictures: Mapping[str, Float[np.ndarray, "1 _ _ _"]]) -> dict[str, dict[str, float | None]]:
    """Returns {kind: {psnr, ssim[, psnr_missing]}} for every picture (1, C, H, W) of x's shape; {} without x.

    Maps are not scored. PSNR is in dB; a score is None if infinite or undefined. psnr_missing: over missing pixels.
    """
    if problem.x is None:
        return {}
    x = problem.x.float().cpu().numpy()
    missing = None if problem.presentation.missing is None else problem.presentation.missing.cpu().numpy()
    return {
        kind: scores(picture, x, problem.protocol, missing)
        for kind, picture in pictures.items()
        if not kinds.kind(kind).is_map and picture.shape == x.shape
    }


def paste(problem: Problem, picture: Float[np.ndarray, "1 C H W"]) -> Float[np.ndarray, "1 C H W"]:
    """Returns the picture with the observation's known pixels pasted in, if the problem asks for it."""
    if problem.presentation.paste is None:
        return picture
    known = problem.presentation.paste.float().cpu().numpy()
    return known * problem.y.float().cpu().numpy() + (1 - known) * picture


def finished(problem: Problem, stopped: Float[np.ndarray, "1 C H W"]) -> dict[str, Float[np.ndarray, "1 _ _ _"]]:
    """Returns the pictures derived from the stopped picture, {kind: picture}: `pasted`, then those that the problem
    derives. The last is the result; if there are none, the stopped picture is."""
    made = {} if problem.presentation.paste is None else {kinds.PASTED: paste(problem, stopped)}
    return {**made, **{kind: make(stopped) for kind, make in problem.presentation.derived.items()}}


def result_kind(made: Mapping[str, Float[np.ndarray, "1 _ _ _"]]) -> str:
    """Returns the kind that the user gets, restored.png: the last of what `finished` made, or `stopped`."""
    return next(reversed(list(made)), kinds.STOPPED)
