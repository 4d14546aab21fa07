"""Logistic regression by Newton's method: three heads of a few hundred inputs need nothing larger."""

from __future__ import annotations

import numpy as np

_CLOSE_ENOUGH = 1e-4


def logistic(
    inputs: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None, *, ridge: float, rounds: int = 15
) -> tuple[np.ndarray, float]:
    """(n, d) float, (n,) of 0 and 1, (n,) weights of the rows -> (d,) coefficients and the intercept.

    `ridge` holds the coefficients back as if the inputs had their mean at zero and a spread of 1 on average, so that
    one value suits encoders whose vectors fill their space and those that stay in a narrow cone. The intercept is
    free.
    """
    x = inputs.astype(np.float64)
    centre, spread = x.mean(axis=0), max(float(x.std(axis=0).mean()), 1e-9)
    x = np.concatenate([(x - centre) / spread, np.ones((len(x), 1))], axis=1)
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
        if np.abs(step).max() < _CLOSE_ENOUGH:
            break
    coefficients = found[:-1] / spread
    return coefficients.astype(np.float32), float(found[-1] - coefficients @ centre)
