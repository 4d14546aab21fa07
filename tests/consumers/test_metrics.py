"""Metrics against values computed by hand."""

from __future__ import annotations

from math import log2

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from pipelines.consumers.classifier_metrics import auc, calibration_error, difference, estimate, held_by_first, lift
from pipelines.consumers.ranking_metrics import best_first, hits, ndcg, recall
from pipelines.tags.calibration import expected_calibration_error


def test_a_ranking_of_four_products() -> None:
    scores = np.array([[0.1, 0.9, 0.5, 0.3], [0.4, 0.3, 0.2, 0.1]])
    relevant = np.array([[True, False, True, True], [False, False, False, True]])
    ranked = best_first(scores, 3)
    assert ranked.tolist() == [[1, 2, 3], [0, 1, 2]]
    hit = hits(ranked, relevant)
    counts = relevant.sum(axis=1)
    assert recall(hit, counts).tolist() == [2 / 3, 0.0]
    gained, ideal = 1 / log2(3) + 1 / log2(4), 1 + 1 / log2(3) + 1 / log2(4)
    assert ndcg(hit, counts) == pytest.approx([gained / ideal, 0.0])


def test_ndcg_is_one_when_all_that_fit_are_hits() -> None:
    assert ndcg(np.ones((1, 2), dtype=bool), np.array([5])) == pytest.approx([1.0])


def test_equal_scores_are_ranked_by_place() -> None:
    assert best_first(np.zeros((1, 4)), 2).tolist() == [[0, 1]]


def once(n: int) -> np.ndarray:
    return np.ones((1, n))


def test_auc_counts_ties_half() -> None:
    labels, scores = np.array([1.0, 0.0, 1.0, 0.0]), np.array([3.0, 3.0, 2.0, 1.0])
    # Pairs: (3, 3) tied, (3, 1) won, (2, 3) lost, (2, 1) won.
    assert auc(labels, scores, once(4))[0] == 2.5 / 4
    assert auc(labels, scores, once(4))[0] == roc_auc_score(labels, scores)


def test_infinite_scores_tie() -> None:
    labels, scores = np.array([1.0, 0.0, 0.0]), np.array([np.inf, np.inf, 1.0])
    assert auc(labels, scores, once(3))[0] == 1.5 / 2


def test_auc_with_weights_is_that_of_repeated_rows() -> None:
    rng = np.random.default_rng(3)
    labels, scores = (rng.random(40) < 0.4).astype(float), rng.integers(0, 9, 40).astype(float)
    times = rng.integers(0, 4, 40)
    repeated = roc_auc_score(np.repeat(labels, times), np.repeat(scores, times))
    assert auc(labels, scores, times[None].astype(float))[0] == pytest.approx(repeated)


def test_lift_of_twenty_rows() -> None:
    labels = np.zeros(20)
    labels[[0, 5, 6, 7]] = 1
    scores = np.arange(20, 0, -1).astype(float)
    # The first tenth are two rows, one of them positive: half of them against a fifth of all.
    assert lift(labels, scores, once(20))[0] == pytest.approx(2.5)


def test_lift_of_equal_scores_is_one() -> None:
    assert lift(np.array([1.0, 0.0, 0.0, 1.0]), np.zeros(4), once(4))[0] == pytest.approx(1.0)


def test_what_the_first_tenth_holds() -> None:
    amounts = np.arange(20.0)
    assert held_by_first(amounts, amounts, once(20))[0] == pytest.approx((19 + 18) / amounts.sum())
    assert held_by_first(amounts, np.zeros(20), once(20))[0] == pytest.approx(0.1)


def test_the_error_of_calibration_is_that_of_tags() -> None:
    rng = np.random.default_rng(4)
    told = rng.random(333)
    labels = rng.random(333) < told**2
    expected = expected_calibration_error(told, labels)
    assert calibration_error(labels.astype(float), told, once(333))[0] == pytest.approx(expected)
    assert calibration_error(told, told, once(333))[0] == 0


def test_intervals_resample_users_and_not_rows() -> None:
    rng = np.random.default_rng(5)
    labels = np.tile(rng.random(60) < 0.5, 20)
    scores = np.tile(rng.normal(size=60) + labels[:60], 20)
    rows = estimate(auc, labels, scores, np.arange(1200))
    users = estimate(auc, labels, scores, np.tile(np.arange(60), 20))
    assert users.value == rows.value
    assert users.count == 60
    assert users.high - users.low > 3 * (rows.high - rows.low)
    assert users.low < users.value < users.high


def test_a_paired_difference_is_narrower_than_either() -> None:
    rng = np.random.default_rng(6)
    labels = rng.random(400) < 0.3
    good = rng.normal(size=400) + labels
    better = good + 0.4 * labels
    found = difference(auc, labels, better, good, np.arange(400))
    alone = estimate(auc, labels, good, np.arange(400))
    assert found.low > 0
    assert found.high - found.low < alone.high - alone.low
    assert difference(auc, labels, good, good, np.arange(400)).value == 0
