"""What a ranking is worth, against values by hand."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest

from encoders.evaluation.ranking import (
    places,
    recall_among,
    recalls,
    reciprocal_rank_by_chance,
    reciprocal_ranks,
    shared_neighbours,
)

LIKENESS = np.array([[0.9, 0.5, 0.1, 0.2], [0.3, 0.3, 0.3, 0.3], [0.1, 0.7, 0.8, 0.7]])
RELEVANT = np.array([[False, True, False, True], [True, False, False, False], [False, True, False, False]])


def test_the_first_right_one_counts_and_equals_share_the_ranks() -> None:
    assert reciprocal_ranks(LIKENESS, RELEVANT).tolist() == [1 / 2, 1 / 2.5, 1 / 2.5]


def test_recall_is_the_share_of_the_right_ones_found() -> None:
    assert recalls(LIKENESS, RELEVANT, 2).tolist() == [0.5, 1.0, 1.0]
    assert recalls(LIKENESS, RELEVANT, 3).tolist() == [1.0, 1.0, 1.0]


def test_equally_near_candidates_stand_above_the_right_one() -> None:
    assert places(np.array([[0.9, 0.5, 0.1], [0.3, 0.3, 0.3], [0.9, 0.7, 0.8]])).tolist() == [0, 2, 1]


def test_recall_among_fewer_is_the_mean_over_all_draws() -> None:
    above, candidates, drawn, depth = 3, 7, 4, 2
    draws = list(combinations(range(candidates - 1), drawn - 1))
    expected = np.mean([sum(other < above for other in draw) < depth for draw in draws])
    assert recall_among(np.array([above, 0]), candidates, drawn, depth) == pytest.approx([expected, 1.0])
    assert recall_among(np.array([1, 2]), candidates, candidates, depth).tolist() == [1.0, 0.0]


@pytest.mark.parametrize(("right", "candidates"), [(1, 4), (2, 5), (3, 3)])
def test_chance_is_the_mean_over_all_orders(right: int, candidates: int) -> None:
    orders = list(permutations(range(candidates)))
    expected = np.mean([1 / (1 + min(order.index(item) for item in range(right))) for order in orders])
    relevant = np.arange(candidates)[None, :] < right
    assert reciprocal_rank_by_chance(relevant) == pytest.approx(expected)


def test_neighbours_are_kept_by_a_turn_and_lost_by_chance() -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(200, 16))
    turn = np.linalg.qr(random.normal(size=(16, 16)))[0]
    assert shared_neighbours(vectors, vectors @ turn, 10).min() == 1.0
    other = random.normal(size=(200, 16))
    assert shared_neighbours(vectors, other, 10).mean() == pytest.approx(10 / 199, abs=0.02)
