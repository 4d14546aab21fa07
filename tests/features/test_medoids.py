"""Medoids against every possible choice."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pyarrow as pa

from pipelines.features.interest_rows import DAY_MICROSECONDS, TIMESTAMP
from pipelines.features.medoids import medoids, with_medoids


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


def test_where_vectors_lie_decides_nothing() -> None:
    """Of products that are exactly as good the same are chosen, however the matrix is ordered."""
    random = np.random.default_rng(8)
    vectors, count = np.eye(8, dtype=np.float32), 40
    product, hour = random.permutation(np.arange(count) % 8), np.sort(random.integers(0, 200, count))
    end = pa.array([10 * DAY_MICROSECONDS], pa.int64()).cast(TIMESTAMP)
    made = pa.table({"user_id": ["u"], "purpose": ["p"], "event_timestamp": end, "created_at": end})
    found = []
    for _ in range(5):
        places, rows = random.permutation(8), random.permutation(count)
        actions = pa.table({
            "user_id": ["u"] * count, "purpose": ["p"] * count,
            "day": pa.array(hour // 24, pa.int32()).cast(pa.date32()),
            "product_id": [f"p{number}" for number in product],
            "acted_at": hour * 3_600_000_000, "act_weight": np.ones(count),
            "linked_from": np.zeros(count, np.int64), "linked_until": np.full(count, 99),
            "available_at": pa.array(hour * 3_600_000_000, pa.int64()).cast(TIMESTAMP), "row": places[product],
        }).take(pa.array(rows))  # fmt: skip
        matrix = np.empty_like(vectors)
        matrix[places] = vectors
        found.append(with_medoids(made, actions, matrix).select(["medoid_product_ids", "medoid_weights"]).to_pylist())
    assert all(other == found[0] for other in found)
