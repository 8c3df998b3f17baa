"""A map of predicted standard deviations: as a picture for the eye, and against the error where there is a truth.

In: arrays (1, C, H, W). Out: a picture, or numbers. No torch.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

BINS = 20
"""Of equal count, from the values predicted surest to the least sure."""

WHITE = 99
"""The percentile of the map that is shown white: a few wild pixels must not leave the rest black."""


@dataclass(frozen=True)
class Calibration:
    """How a predicted standard deviation compares with the error.

    std, error:       by bin, the mean predicted standard deviation and the root of the mean squared error.
    ratio:            RMS error over RMS of the prediction: 1 where its size is right, 3 where it is three times too
                      sure; None where nothing was predicted but certainty.
    rank_correlation: Spearman's, of prediction and absolute error: 1 where the worst pixels are the least sure, 0 where
                      the map says nothing of them; None where one of the two is constant.
    ause:             area under the sparsification error (Ilg et al., ECCV 2018): the RMS error of what is left when
                      the least sure values are taken away, less that when the worst are, as a share of the whole RMS
                      error and averaged over shares taken away; 0 is best. None without an error.
    """

    std: list[float]
    error: list[float]
    ratio: float | None
    rank_correlation: float | None
    ause: float | None

    def plain(self) -> dict[str, Any]:
        """Returns it as a record keeps it."""
        return asdict(self)


def calibrate(std: np.ndarray, error: np.ndarray) -> Calibration:
    """Returns how predicted standard deviations compare with errors of one shape, in any order and number of axes.

    Raises ValueError for other shapes, fewer than `BINS` values, values that are not finite, or a negative prediction.
    """
    predicted, wrong = (np.asarray(values, dtype=np.float64).ravel() for values in (std, error))
    if std.shape != error.shape or predicted.size < BINS:
        raise ValueError(
            f"calibrate: std is {std.shape} and error {error.shape}; equal shapes of {BINS} values or more are allowed"
        )
    if not (np.isfinite(predicted).all() and np.isfinite(wrong).all()) or predicted.min() < 0:
        raise ValueError("calibrate: std and error must be finite, and std from 0; look for NaN in the pictures")
    order = np.argsort(predicted, kind="stable")
    bins = np.array_split(order, BINS)
    whole, sure = _rms(wrong), _rms(predicted)
    return Calibration(
        std=[float(predicted[one].mean()) for one in bins],
        error=[_rms(wrong[one]) for one in bins],
        ratio=whole / sure if sure > 0 else None,
        rank_correlation=_rank_correlation(predicted, np.abs(wrong)),
        ause=_ause(wrong[order], np.sort(np.abs(wrong))) if whole > 0 else None,
    )


def measured(
    std: np.ndarray, x_hat: np.ndarray, x: np.ndarray | None, missing: np.ndarray | None = None
) -> Calibration | None:
    """Returns how a map compares with the error of x_hat, clipped, all (1, C, H, W).

    missing: boolean, broadcasting to x: only these values are looked at, for the known ones are put back. None where
    there is no truth, or too few values.
    """
    if x is None or x.shape != x_hat.shape:
        return None
    chosen = np.ones(x.shape, bool) if missing is None else np.broadcast_to(missing > 0.5, x.shape)
    if chosen.sum() < BINS:
        return None
    return calibrate(std[chosen], (np.clip(x_hat, 0, 1) - x)[chosen])


def said(
    kind: str, std: np.ndarray, x_hat: np.ndarray, x: np.ndarray | None, missing: np.ndarray | None, *, of: int
) -> dict[str, Any]:
    """Returns what a record says of a map: the kind it is of, how many pictures, its size and its picture's white, and
    with a truth how it compares with the error (`measured`)."""
    found = measured(std, x_hat, x, missing)
    return {
        "spread": {"kind": kind, "of": of, "rms": _rms(std), "white": shown(std)[1]},
        "calibration": None if found is None else {"kind": kind, **found.plain()},
    }


def shown(std: np.ndarray) -> tuple[np.ndarray, float]:
    """Returns a map (1, C, H, W) as a grey picture (1, 1, H, W) in [0, 1], and the standard deviation that is white.

    Channels are joined by their root mean square. Black is 0; white is the 99th percentile of what is above.
    """
    joined = np.sqrt(np.mean(np.square(std, dtype=np.float64), axis=1, keepdims=True))
    above = joined[joined > 0]  # known pixels that were put back have no spread
    white = float(np.percentile(above, WHITE)) if above.size else 0.0
    return (joined / white if white > 0 else joined).clip(0, 1).astype(np.float32), white


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _rank_correlation(one: np.ndarray, other: np.ndarray) -> float | None:
    from scipy.stats import spearmanr

    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(spearmanr(one, other).statistic)  # type: ignore[attr-defined]


def _ause(by_prediction: np.ndarray, by_error: np.ndarray) -> float:
    """Both from what is kept longest to what is taken away first."""
    kept = np.arange(1, by_error.size + 1)
    left = [np.sqrt(np.cumsum(np.square(errors)) / kept) for errors in (by_prediction, by_error)]
    return float(np.mean(left[0] - left[1]) / left[1][-1])
