"""What products look like, learned from the shop's own products whose words say it. numpy, no Spark.

A ridge regression from pictures to a facet's values: a linear probe of the encoder (Alain and Bengio, 2016), solved in
closed form. Pictures are taken beside the mean picture of their category, for a red dress is nearer to a blue dress
than to a red tent. The temperature that turns scores into shares is the one under which each labelled product, left
out in turn, is most likely what its words say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# So many labelled products are needed per value, or nothing is learned.
LEAST_PER_VALUE = 4
_RIDGE = 0.1
# A category's mean is drawn towards the mean of all as if it had so many more products there.
_CATEGORY_PRIOR = 3.0
_TEMPERATURES = (0.03, 0.05, 0.08, 0.12, 0.2, 0.3, 0.5, 1.0)


@dataclass(frozen=True)
class LookAlikes:
    """A fitted probe. `weights` is (dimensions, values); `centres` are by category, the mean of all under None."""

    values: tuple[str, ...]
    centres: Mapping[str | None, Floats]
    weights: Floats
    bias: Floats
    temperature: float

    def shares(self, picture: NDArray[np.float32], category: str | None) -> Floats:
        """(values,) shares that sum to one, of a unit vector."""
        centre = self.centres.get(category, self.centres[None])
        return _softmax((picture - centre) @ self.weights + self.bias, self.temperature)


def fit_look_alikes(
    pictures: Sequence[NDArray[np.float32]], categories: Sequence[str | None], labels: Sequence[str]
) -> LookAlikes | None:
    """A probe of labelled pictures (unit vectors); None where there are too few of them."""
    values = tuple(sorted(set(labels)))
    if len(values) < 2 or len(labels) < LEAST_PER_VALUE * len(values):
        return None
    vectors = np.asarray(pictures, dtype=np.float64)
    centres = _centres(vectors, categories)
    centred = vectors - np.stack([centres[category] for category in categories])
    hot = np.array([[label == value for value in values] for label in labels], dtype=np.float64)
    bias = hot.mean(axis=0)
    inverse = np.linalg.inv(centred.T @ centred + _RIDGE * np.eye(vectors.shape[1]))
    weights = inverse @ centred.T @ (hot - bias)
    # Leaving one out of a ridge regression needs no other fit (Allen, 1974).
    leverage = np.einsum("ij,jk,ik->i", centred, inverse, centred)
    left_out = hot - (hot - bias - centred @ weights) / np.maximum(1 - leverage, 1e-6)[:, None]
    return LookAlikes(values, centres, weights, bias, _best_temperature(left_out, hot))


def _centres(vectors: Floats, categories: Sequence[str | None]) -> dict[str | None, Floats]:
    mean = vectors.mean(axis=0)
    names = np.array([category or "" for category in categories])
    found: dict[str | None, Floats] = {None: mean}
    for category in set(categories) - {None}:
        mine = vectors[names == category]
        found[category] = (mine.sum(axis=0) + _CATEGORY_PRIOR * mean) / (len(mine) + _CATEGORY_PRIOR)
    return found


def _best_temperature(scores: Floats, hot: Floats) -> float:
    def likelihood(temperature: float) -> float:
        return float(np.log(np.maximum((_softmax(scores, temperature) * hot).sum(axis=1), 1e-9)).sum())

    return max(_TEMPERATURES, key=likelihood)


def _softmax(scores: Floats, temperature: float) -> Floats:
    weight = np.exp((scores - scores.max(axis=-1, keepdims=True)) / temperature)
    return np.asarray(weight / weight.sum(axis=-1, keepdims=True))
