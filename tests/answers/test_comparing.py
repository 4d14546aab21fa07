"""When an answered value is the one known offline."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from pipelines.answers.comparing import differing

AT = datetime(2026, 3, 1, 12, 0, 0, 1, tzinfo=UTC)
FLOATS, TEXTS = pa.list_(pa.float32()), pa.list_(pa.string())
MICROS = AT.timestamp() * 1e6


@pytest.mark.parametrize(
    ("online", "offline", "kind", "expected"),
    [
        ([3.0, 3.0, None, None, 2.0**40], [3, 4, None, 0, 2**40 + 1], pa.int64(), [0, 1, 0, 1, 1]),
        ([1.0, 0.0], [True, True], pa.bool_(), [0, 1]),
        ([MICROS, MICROS + 1], [AT, AT], pa.timestamp("us", tz="UTC"), [0, 1]),
        ([0.1 + 0.2, 0.3001, float("inf"), 0.0], [0.3, 0.3, float("inf"), -0.0], pa.float64(), [0, 1, 0, 0]),
    ],
)
def test_numbers(online: list[Any], offline: list[Any], kind: pa.DataType, expected: list[int]) -> None:
    told = differing("v__n", pa.array(online, pa.float64()), pa.array(offline, kind))
    assert told.tolist() == [bool(differs) for differs in expected]


def test_similarities_may_differ_by_the_order_of_sums() -> None:
    online, offline = pa.array([0.5, 0.5]), pa.array([0.500001, 0.5001])
    assert differing("similarity__picture_7d_cosine", online, offline).tolist() == [False, True]
    assert differing("v__share", online, offline).tolist() == [True, True]


def test_vectors() -> None:
    online = pa.array([[1.0, 2.0], [1.0, 2.0], None, [], [1.0], [1.0, float("nan")]], FLOATS)
    offline = pa.array([[1.0, 2.000001], [1.0, 2.1], [], None, [1.0, 2.0], [1.0, 2.0]], FLOATS)
    assert differing("v__mean", online, offline).tolist() == [False, True, False, False, True, True]


def test_in_a_histogram_one_product_may_stand_in_the_tier_beside() -> None:
    online = pa.array([[0, 2, 1, 0]] * 4, FLOATS)
    offline = pa.array([[0, 1, 2, 0], [1, 1, 1, 0], [0, 1, 1, 1], [0, 2, 1, 1]], FLOATS)
    told = differing("similarity__last_products_histogram", online, offline)
    assert told.tolist() == [False, False, True, True]


def test_texts() -> None:
    online = pa.array([["p1", "牌"], ["p2", "p1"], None, ["a"]], TEXTS)
    assert differing("v__ids", online, pa.array([["p1", "牌"], ["p1", "p2"], [], None], TEXTS)).tolist() == [
        False, True, True, True,
    ]  # fmt: skip
    assert differing("v__city", pa.array([["a"], ["a"]], TEXTS), pa.array(["a", None])).tolist() == [False, True]
