"""Medoids against every possible choice."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from pipelines.features.medoids import medoids


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def covered(vectors: np.ndarray, weights: np.ndarray, chosen: tuple[int, ...]) -> float:
    return float(weights @ (vectors @ vectors[list(chosen)].T).max(axis=1) + weights.sum())


def test_greedy_choice_is_near_the_best_of_all() -> None:
    random = np.random.default_rng(5)
    for _ in range(50):
        vectors, weights = unit(random.normal(size=(9, 6))), random.uniform(1, 8, 9)
        chosen, shares = medoids(vectors, weights)
        best = max(covered(vectors, weights, c) for c in combinations(range(9), 3))
        # Facility location by greedy choice is at least 1 - 1/e of the best.
        assert covered(vectors, weights, tuple(chosen)) >= (1 - 1 / np.e) * best
        assert shares.sum() == np.float64(1) or abs(shares.sum() - 1) < 1e-12
        assert (np.diff(shares) <= 0).all()


def test_three_tastes_give_one_medoid_each_heaviest_first() -> None:
    tastes = np.repeat(np.eye(3, 8), 4, axis=0)
    vectors = unit(tastes + np.random.default_rng(1).normal(scale=0.05, size=(12, 8)))
    weights = np.array([1.0] * 4 + [8.0] * 4 + [3.0] * 4)
    chosen, shares = medoids(vectors, weights)
    assert [c // 4 for c in chosen] == [1, 2, 0]
    np.testing.assert_allclose(shares, [32 / 48, 12 / 48, 4 / 48])


def test_equal_pictures_need_one_medoid() -> None:
    chosen, shares = medoids(unit(np.ones((5, 3))), np.ones(5))
    assert chosen.tolist() == [0]
    assert shares.tolist() == [1.0]


def test_one_action_is_its_own_medoid() -> None:
    chosen, shares = medoids(unit(np.ones((1, 3))), np.array([2.0]))
    assert (chosen.tolist(), shares.tolist()) == ([0], [1.0])
