"""Logistic regression by Newton's method: three heads of a few hundred inputs need nothing larger."""

from __future__ import annotations

import numpy as np


def logistic(
    inputs: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None, *, ridge: float, rounds: int = 25
) -> tuple[np.ndarray, float]:
    """(n, d) float, (n,) of 0 and 1, (n,) weights of the rows -> (d,) coefficients and the intercept, which alone is
    not held back by `ridge` (a penalty per unit of weight)."""
    x = np.concatenate([inputs, np.ones((len(inputs), 1))], axis=1).astype(np.float64)
    y = labels.astype(np.float64)
    share = np.ones(len(x)) if weights is None else weights.astype(np.float64)
    penalty = np.full(x.shape[1], ridge)
    penalty[-1] = 1e-9
    found = np.zeros(x.shape[1])
    for _ in range(rounds):
        p = 1 / (1 + np.exp(-np.clip(x @ found, -30, 30)))
        curve = share * np.maximum(p * (1 - p), 1e-6)
        step = np.linalg.solve((x * curve[:, None]).T @ x + np.diag(penalty), x.T @ (share * (y - p)) - penalty * found)
        found += step
        if np.abs(step).max() < 1e-6:
            break
    return found[:-1].astype(np.float32), float(found[-1])
