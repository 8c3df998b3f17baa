"""Maps of predicted standard deviations: their picture, and their comparison with the error if there is a truth.

Maps and pictures are arrays (1, C, H, W). Imports no torch.
"""

from dataclasses import asdict, dataclass

import numpy as np

from dip_exp.shapes import Bool, Float, Float32, Num

BINS = 20
"""Number of bins. They have equal counts, and are sorted by increasing predicted standard deviation."""

WHITE = 99
"""Percentile of the map that is shown as white, so that a few outliers do not leave the rest black."""


@dataclass(frozen=True)
class Calibration:
    """How a predicted standard deviation compares with the error.

    std, error:       for each bin, the mean predicted standard deviation and the RMS error.
    ratio:            RMS error divided by RMS prediction: 1 if the size is right, 3 if the errors are three times as
                      large as predicted; None if all predictions are 0.
    rank_correlation: Spearman's correlation of prediction and absolute error: 1 if they have the same order, 0 if the
                      map says nothing about the errors; None if one of the two is constant.
    ause:             area under the sparsification error (Ilg et al., ECCV 2018): the RMS error that remains after the
                      values with the largest predictions are removed, minus that after the values with the largest
                      errors are removed, divided by the total RMS error and averaged over the fraction removed; 0 is
                      best. None if all errors are 0.
    """

    std: list[float]
    error: list[float]
    ratio: float | None
    rank_correlation: float | None
    ause: float | None

    def plain(self) -> dict[str, list[float] | float | None]:
        """Returns the fields as a record stores them."""
        return asdict(self)


def calibrate(std: Float[np.ndarray, "*axes"], error: Float[np.ndarray, "*axes"]) -> Calibration:
    """Returns how predicted standard deviations compare with errors. Both have the same shape, with any number of axes.

    Raises ValueError for unequal shapes, fewer than `BINS` values, values that are not finite, or negative predictions.
    """
    predicted, wrong = (np.asarray(values, dtype=np.float64).ravel() for values in (std, error))
    if std.shape != error.shape or predicted.size < BINS:
        raise ValueError(
            f"calibrate: std is {std.shape} and error {error.shape}; the shapes must be equal, of {BINS} values or more"
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
    std: Float[np.ndarray, "1 C H W"],
    x_hat: Float[np.ndarray, "1 C H W"],
    x: Float[np.ndarray, "1 _ _ _"] | None,
    missing: Num[np.ndarray, "1 _ _ _"] | Bool[np.ndarray, "1 _ _ _"] | None = None,
) -> Calibration | None:
    """Returns how a map compares with the error of x_hat, clipped to [0, 1]; all are (1, C, H, W).

    missing: boolean, broadcasts to x: only these values are compared, because the known ones are pasted back. Returns
    None if there is no truth of x_hat's shape, or fewer than `BINS` values.
    """
    if x is None or x.shape != x_hat.shape:
        return None
    chosen = np.ones(x.shape, bool) if missing is None else np.broadcast_to(missing > 0.5, x.shape)
    if chosen.sum() < BINS:
        return None
    return calibrate(std[chosen], (np.clip(x_hat, 0, 1) - x)[chosen])


def facts(
    kind: str,
    std: Float[np.ndarray, "1 C H W"],
    x_hat: Float[np.ndarray, "1 C H W"],
    x: Float[np.ndarray, "1 _ _ _"] | None,
    missing: Num[np.ndarray, "1 _ _ _"] | Bool[np.ndarray, "1 _ _ _"] | None,
    *,
    of: int,
) -> dict[str, dict[str, object] | None]:
    """Returns a record's entries for a map. spread: its output kind, the number `of` pictures behind it, its RMS, and
    the standard deviation that is shown as white. calibration: `measured`, None without a truth."""
    found = measured(std, x_hat, x, missing)
    return {
        "spread": {"kind": kind, "of": of, "rms": _rms(std), "white": shown(std)[1]},
        "calibration": None if found is None else {"kind": kind, **found.plain()},
    }


def shown(std: Float[np.ndarray, "1 C H W"]) -> tuple[Float32[np.ndarray, "1 1 H W"], float]:
    """Returns a map (1, C, H, W) as a grey picture (1, 1, H, W) in [0, 1], and the standard deviation shown as white.

    Channels are combined by their root mean square. Black is 0; white is the 99th percentile of the positive values.
    """
    joined = np.sqrt(np.mean(np.square(std, dtype=np.float64), axis=1, keepdims=True))
    above = joined[joined > 0]  # known pixels that were pasted back have a spread of 0
    white = float(np.percentile(above, WHITE)) if above.size else 0.0
    return (joined / white if white > 0 else joined).clip(0, 1).astype(np.float32), white


def _rms(values: Float[np.ndarray, "..."]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _rank_correlation(one: Float[np.ndarray, " n"], other: Float[np.ndarray, " n"]) -> float | None:
    from scipy.stats import spearmanr

    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(spearmanr(one, other).statistic)  # type: ignore[attr-defined]


def _ause(by_prediction: Float[np.ndarray, " n"], by_error: Float[np.ndarray, " n"]) -> float:
    """Returns the AUSE of errors in two orders: by prediction and by size, increasing. The last are removed first."""
    kept = np.arange(1, by_error.size + 1)
    left = [np.sqrt(np.cumsum(np.square(errors)) / kept) for errors in (by_prediction, by_error)]
    return float(np.mean(left[0] - left[1]) / left[1][-1])
