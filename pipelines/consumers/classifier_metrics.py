"""How well scores tell rows apart, and how true probabilities are, with intervals from resampling users."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from encoders.evaluation.estimates import Estimate
from pipelines.features.kernel import run_starts
from pipelines.tags.calibration import BINS

RESAMPLES = 500
LIFT_SHARE = 0.1
_SEED = 1
_CHUNK = 4_000_000  # weights held at once

Floats = npt.NDArray[np.float64]
# (labels, scores, weights (resamples, rows)) -> a value per resample
Statistic: TypeAlias = Callable[[Floats, Floats, Floats], Floats]


def auc(labels: Floats, scores: Floats, weights: Floats) -> Floats:
    """Chance that a positive scores above a negative, ties counting half."""
    positive, negative = _by_score(labels, scores, weights)
    below = np.cumsum(negative, axis=1) - negative
    won = (positive * (below + negative / 2)).sum(axis=1)
    with np.errstate(invalid="ignore"):
        found: Floats = won / (positive.sum(axis=1) * negative.sum(axis=1))
    return found


def lift(labels: Floats, scores: Floats, weights: Floats) -> Floats:
    """How many times more often positives are met among the tenth with the greatest scores than among all.

    Rows with equal scores at the edge of the tenth count by the share of them that fits.
    """
    return held_by_first(labels, scores, weights) / LIFT_SHARE


def held_by_first(amounts: Floats, scores: Floats, weights: Floats) -> Floats:
    """Which share of all amounts (none negative) the tenth with the greatest scores holds; edges as of `lift`."""
    order = np.argsort(-scores, kind="stable")
    starts = np.flatnonzero(run_starts(scores[order]))
    rows = np.add.reduceat(weights[:, order], starts, axis=1)
    held = np.add.reduceat(weights[:, order] * amounts[order], starts, axis=1)
    room = LIFT_SHARE * rows.sum(axis=1, keepdims=True) - (np.cumsum(rows, axis=1) - rows)
    with np.errstate(invalid="ignore", divide="ignore"):
        taken = np.where(rows > 0, np.clip(room / rows, 0, 1), 0)
        found: Floats = (taken * held).sum(axis=1) / held.sum(axis=1)
    return found


def calibration_error(labels: Floats, probabilities: Floats, weights: Floats) -> Floats:
    """Mean distance of probabilities and truth over bins of about as many rows each, as of `reliability` of tags."""
    order = np.argsort(probabilities, kind="stable")
    starts = np.cumsum([0, *(len(part) for part in np.array_split(order, BINS) if len(part))])[:-1]
    apart = np.add.reduceat(weights[:, order] * (probabilities - labels)[order], starts, axis=1)
    found: Floats = np.abs(apart).sum(axis=1) / weights.sum(axis=1)
    return found


def estimate(statistic: Statistic, labels: npt.ArrayLike, scores: npt.ArrayLike, users: npt.ArrayLike) -> Estimate:
    """A statistic with its 95% interval; users are resampled with all their rows. The count is that of users."""
    y, s = np.asarray(labels, dtype=float), np.asarray(scores, dtype=float)
    return _estimate(lambda weights: statistic(y, s, weights), users)


def difference(
    statistic: Statistic, labels: npt.ArrayLike, scores: npt.ArrayLike, others: npt.ArrayLike, users: npt.ArrayLike
) -> Estimate:
    """How much the statistic of `scores` exceeds that of `others` on the same rows, in the same resamples."""
    y, a, b = (np.asarray(values, dtype=float) for values in (labels, scores, others))
    return _estimate(lambda weights: statistic(y, a, weights) - statistic(y, b, weights), users)


def _estimate(value: Callable[[Floats], Floats], users: npt.ArrayLike) -> Estimate:
    names, codes = np.unique(np.asarray(users), return_inverse=True)
    n, at_once = len(names), max(1, _CHUNK // len(codes))
    rng, found = np.random.default_rng(_SEED), []
    for start in range(0, RESAMPLES, at_once):
        drawn = rng.multinomial(n, np.full(n, 1 / n), min(at_once, RESAMPLES - start))
        found.append(value(drawn[:, codes].astype(float)))
    low, high = np.nanquantile(np.concatenate(found), [0.025, 0.975])
    whole = value(np.ones((1, len(codes))))[0]
    return Estimate(float(whole), float(low), float(high), n)


def _by_score(labels: Floats, scores: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Weight of positives and of negatives at each distinct score, ascending: (resamples, distinct scores)."""
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(run_starts(scores[order]))
    ordered, positive = weights[:, order], labels[order] > 0
    return (
        np.add.reduceat(ordered * positive, starts, axis=1),
        np.add.reduceat(ordered * ~positive, starts, axis=1),
    )
