"""How well a space is used: alignment and uniformity (Wang & Isola 2020, "Understanding Contrastive Representation
Learning through Alignment and Uniformity on the Hypersphere")."""

from __future__ import annotations

import numpy as np

from encoders.evaluation.ranking import Floats

_RESAMPLES, _SEED = 1000, 1


def alignment(first: Floats, second: Floats) -> Floats:
    """Squared distance of each pair that belongs together (pairs, d), unit length: 0 is best, 2 is chance."""
    return np.asarray(((first - second) ** 2).sum(axis=1), dtype=np.float64)


def uniformity(vectors: Floats) -> float:
    """log of the mean of exp(-2 · squared distance) over pairs of different items (n ≥ 2, unit length).

    Near -4 for vectors spread evenly in many dimensions, 0 where all are one point.
    """
    kernel = _kernel(vectors)
    return float(np.log(kernel.sum() / (len(vectors) * (len(vectors) - 1))))


def uniformity_interval(vectors: Floats) -> tuple[float, float]:
    """95% bootstrap interval over items; a pair of an item with its own copy does not count."""
    kernel, generator = _kernel(vectors), np.random.default_rng(_SEED)
    drawn = generator.multinomial(len(vectors), np.full(len(vectors), 1 / len(vectors)), _RESAMPLES).astype(float)
    pairs = drawn.sum(axis=1) ** 2 - (drawn**2).sum(axis=1)
    low, high = np.quantile(np.log(((drawn @ kernel) * drawn).sum(axis=1) / pairs), [0.025, 0.975])
    return float(low), float(high)


def _kernel(vectors: Floats) -> Floats:
    """exp(-2 |x - y|²) of unit vectors, 0 with itself."""
    kernel = np.exp(-2 * (2 - 2 * np.clip(vectors @ vectors.T, -1, 1)))
    np.fill_diagonal(kernel, 0.0)
    return np.asarray(kernel, dtype=np.float64)
