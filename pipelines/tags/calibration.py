"""Fitting confidences to truths, and saying how well they fit. numpy, no Spark."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipelines.tags.confidence import Curve, Floats

Bools = NDArray[np.bool_]

# Fewer truths say nothing.
LEAST_POSITIVES = 20
_STEPS = 50
_RIDGE = 1e-2
BINS = 10


def fit_curve(score: Floats, seen: Floats, holds: Bools) -> Curve | None:
    """The curve under which what holds is most likely, a ridge keeping it finite; None of too few truths.

    Where nothing was seen anywhere (rules) it has two parameters. A confidence never falls as the score rises: a
    parameter that would make it fall is left out.
    """
    if min(holds.sum(), (~holds).sum()) < LEAST_POSITIVES:
        return None
    log_seen = np.log1p(seen)
    columns = {"intercept": np.ones(len(score)), "score": score}
    if seen.any():
        columns |= {"seen": log_seen, "score_seen": score * log_seen}
    found = _fitted(columns, holds)
    for rising in ("score_seen", "score"):
        if found.get(rising, 0.0) < 0:
            del columns[rising]
            found = _fitted(columns, holds)
    return Curve(
        **({"intercept": 0.0, "score": 0.0} | {name: round(value, 4) for name, value in found.items()}),
        positives=int(holds.sum()),
        judged=len(holds),
    )


def _fitted(columns: dict[str, Floats], holds: Bools) -> dict[str, float]:
    """Penalised maximum likelihood by Newton's method; the intercept is not penalised."""
    design = np.stack(list(columns.values()), axis=1)
    penalty = np.diag([0.0 if name == "intercept" else _RIDGE * len(holds) for name in columns]) / len(holds)
    weights = np.zeros(design.shape[1])
    for _ in range(_STEPS):
        likely = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        slope = design.T @ (likely - holds) + penalty @ weights
        curvature = (design.T * (likely * (1 - likely))) @ design + penalty + 1e-9 * np.eye(len(weights))
        step = np.linalg.solve(curvature, slope)
        weights -= step * min(1.0, 3.0 / max(float(np.linalg.norm(step)), 1e-12))
        if np.abs(step).max() < 1e-8:
            break
    return dict(zip(columns, weights.tolist(), strict=True))


def reliability(confidence: Floats, holds: Bools, bins: int = BINS) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Of bins with about as many judgements each: mean confidence, share that holds, and how many."""
    order = np.argsort(confidence, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    means = np.array([confidence[part].mean() for part in parts])
    shares = np.array([holds[part].mean() for part in parts])
    return means, shares, np.array([len(part) for part in parts])


def expected_calibration_error(confidence: Floats, holds: Bools, bins: int = BINS) -> float:
    """Mean distance of confidence and truth over the bins of `reliability` (Naeini et al., 2015)."""
    means, shares, counts = reliability(confidence, holds, bins)
    return float(np.abs(means - shares) @ counts / counts.sum())


def ranking_quality(confidence: Floats, holds: Bools) -> float:
    """Area under the ROC curve: how likely a truth is more confident than what is not. NaN where there is one kind."""
    positives, negatives = int(holds.sum()), int((~holds).sum())
    if not positives or not negatives:
        return float("nan")
    _, inverse, counts = np.unique(confidence, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[holds].sum() - positives * (positives + 1) / 2) / (positives * negatives))
