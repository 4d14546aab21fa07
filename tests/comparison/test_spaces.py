"""Drift and maps: a turned space is a mere turn away, a strange one is not."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.releases.compare.spaces import (
    core_hours_per_million,
    cosines,
    mapped_cosines,
    turned_onto,
    two_axes,
)

RANDOM = np.random.default_rng(3)
VECTORS = RANDOM.normal(size=(300, 12))
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)
TURN = np.linalg.qr(RANDOM.normal(size=(12, 12)))[0]


def test_a_turn_is_seen_through() -> None:
    turned = VECTORS @ TURN
    as_it_is = cosines(VECTORS, turned)
    assert as_it_is is not None
    assert as_it_is.mean() < 0.5
    assert mapped_cosines(VECTORS, turned) == pytest.approx(np.ones(300), abs=1e-3)


def test_the_same_space_stays_the_same_where_contents_are_fewer_than_dimensions() -> None:
    few = RANDOM.normal(size=(40, 64))
    few /= np.linalg.norm(few, axis=1, keepdims=True)
    assert mapped_cosines(few, few) == pytest.approx(np.ones(40), abs=1e-6)


def test_a_strange_space_stays_strange_on_contents_the_map_has_not_seen() -> None:
    strange = RANDOM.normal(size=(300, 12))
    strange /= np.linalg.norm(strange, axis=1, keepdims=True)
    assert abs(mapped_cosines(VECTORS, strange).mean()) < 0.2


def test_spaces_of_other_dimensions_can_be_mapped_but_not_compared_as_they_are() -> None:
    wider = VECTORS @ np.linalg.qr(RANDOM.normal(size=(20, 12)))[0].T
    assert cosines(VECTORS, wider) is None
    assert mapped_cosines(VECTORS, wider) == pytest.approx(np.ones(300))


def test_a_map_is_turned_onto_another() -> None:
    points = two_axes(VECTORS)
    mirrored = points @ np.array([[0.0, 1.0], [1.0, 0.0]])
    assert turned_onto(mirrored, points) == pytest.approx(points)


def test_cost_follows_from_pace_and_cores() -> None:
    assert core_hours_per_million(100.0, 2) == pytest.approx(2 * 10_000 / 3600)
