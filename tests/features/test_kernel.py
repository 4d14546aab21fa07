"""The numpy kernel against plain loops."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.features.kernel import Bools, Entries, Floats, Ints, Vectors, decayed_means, run_starts, running_maximum

DIMENSIONS = 3
HALF_LIFE = 7


def brute_force(
    rows: tuple[Ints, Ints, Floats],
    vectors: Vectors,
    starts: Bools,
    seconds: Floats,
    base: dict[int, tuple[Vectors, float]],
) -> tuple[Floats, Floats]:
    sums, weights = np.zeros((len(starts), DIMENSIONS)), np.zeros(len(starts))
    for i in range(len(starts)):
        for step, content, weight in zip(*rows, strict=True):
            if step == i and content >= 0:
                sums[i] += weight * vectors[content].astype(float)
                weights[i] += weight
        if i in base:
            mean, weights[i] = base[i]
            sums[i] = mean.astype(float) * weights[i]
        if not starts[i]:
            decay = 2.0 ** (-(seconds[i] - seconds[i - 1]) / 86400 / HALF_LIFE)
            sums[i] += sums[i - 1] * decay
            weights[i] += weights[i - 1] * decay
    return sums, weights


@settings(max_examples=150, deadline=None)
@given(
    groups=st.lists(st.integers(1, 6), min_size=1, max_size=6),
    contents=st.integers(0, 5),
    n=st.integers(0, 30),
    seed=st.integers(0, 2**32 - 1),
)
def test_decayed_means_equal_a_plain_loop(groups: list[int], contents: int, n: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    steps = sum(groups)
    vectors = _unit(random.normal(size=(contents, DIMENSIONS)))
    content = random.integers(-1, contents, n) if contents else np.full(n, -1)
    rows = (random.integers(0, steps, n), content, random.uniform(0.01, 8, n))
    firsts = np.cumsum([0, *groups[:-1]])
    starts = random.random(steps) < 0.2
    starts[firsts] = True
    seconds = np.concatenate([np.sort(random.integers(0, 400, g)) * 86400.0 for g in groups])
    base = {int(i): (_unit(random.normal(size=(1, DIMENSIONS)))[0], 2.5) for i in firsts[::2]}
    known = (np.array(list(base)), np.array([m for m, _ in base.values()]), np.array([w for _, w in base.values()]))

    means, weights = decayed_means(Entries.of(*rows[:2]), rows[2], vectors, starts, seconds, HALF_LIFE, known)

    sums, expected = brute_force(rows, vectors, starts, seconds, base)
    np.testing.assert_allclose(weights, expected, rtol=1e-9)
    seen = expected > 0
    np.testing.assert_allclose(means[seen], sums[seen] / expected[seen, None], atol=1e-6)
    assert not means[~seen].any()


def test_a_mean_outlives_the_range_of_float32() -> None:
    """2,000 days at a half-life of 7: the weight is 2^-286, which float32 does not know."""
    vectors = np.array([[0.6, 0.8]], dtype=np.float32)
    rows = (np.array([0]), np.array([0]), np.array([3.0]))
    means, weights = decayed_means(
        Entries.of(*rows[:2]), rows[2], vectors, np.array([True, False]), np.array([0.0, 2000 * 86400.0]), 7
    )
    np.testing.assert_allclose(means[1], vectors[0], atol=1e-7)
    np.testing.assert_allclose(weights[1], 3 * 2.0 ** (-2000 / 7), rtol=1e-9)


def test_a_hot_user_is_as_exact_as_any() -> None:
    random = np.random.default_rng(1)
    n = 1_000_000
    vectors = _unit(random.normal(size=(50, DIMENSIONS)))
    content, weight = np.minimum(random.zipf(1.5, n) - 1, 49), random.uniform(0.1, 8, n)
    means, _ = decayed_means(Entries.of(np.zeros(n, int), content), weight, vectors, np.array([True]), np.zeros(1), 7)
    exact = np.bincount(content, weights=weight) @ vectors.astype(float) / weight.sum()
    np.testing.assert_allclose(means[0], exact, atol=1e-6)


@given(st.lists(st.tuples(st.integers(-(2**60), 2**60), st.booleans()), min_size=1))
def test_running_maximum_equals_a_plain_loop(rows: list[tuple[int, bool]]) -> None:
    values, starts = np.array([v for v, _ in rows]), np.array([s for _, s in rows])
    starts[0] = True
    expected: list[int] = []
    for value, start in zip(values.tolist(), starts, strict=True):
        expected.append(value if start else max(value, expected[-1]))
    assert running_maximum(values, starts).tolist() == expected


def test_runs_start_where_any_key_changes() -> None:
    users, days = np.array(["a", "a", "a", "b"]), np.array([1, 1, 2, 2])
    assert run_starts(users, days).tolist() == [True, False, True, True]
    assert run_starts(np.array([])).tolist() == []


def _unit(vectors: Floats) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)
