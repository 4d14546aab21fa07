"""Alignment, uniformity and pace, against values by hand."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from encoders.evaluation.pace import pace, size_bytes
from encoders.evaluation.space import alignment, uniformity, uniformity_interval


def test_alignment_is_the_squared_distance() -> None:
    first, second = np.eye(2)[[0, 0, 0]], np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    assert alignment(first, second).tolist() == [0, 2, 4]


def test_uniformity_of_a_point_of_opposites_and_of_a_sphere() -> None:
    assert uniformity(np.ones((5, 1))) == pytest.approx(0)
    assert uniformity(np.array([[1.0], [-1.0]])) == pytest.approx(-8)
    # In many dimensions all are at right angles: squared distance 2.
    spread = np.random.default_rng(0).normal(size=(400, 512))
    spread /= np.linalg.norm(spread, axis=1, keepdims=True)
    low, high = uniformity_interval(spread)
    assert low <= uniformity(spread) <= high
    assert uniformity(spread) == pytest.approx(-4, abs=0.02)


def test_pace_counts_items_per_second() -> None:
    found = pace(lambda items: time.sleep(0.002 * len(items)), list(range(40)), batch=10)
    assert found.per_second.count == 3
    assert 200 < found.per_second.value <= 500
    assert 2 <= found.median_ms <= found.p95_ms
    with pytest.raises(ValueError, match="less than two batches"):
        pace(len, [1, 2, 3])


def test_size_is_that_of_all_files_below(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "a").write_bytes(b"12")
    (tmp_path / "inner" / "b").write_bytes(b"345")
    assert (size_bytes(tmp_path), size_bytes(tmp_path / "a")) == (5, 2)
