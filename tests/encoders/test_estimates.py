"""Intervals cover what they should, and never pretend to certainty from a few units."""

import numpy as np
import pytest

from encoders.evaluation.estimates import ratio, share


def test_a_share_and_its_interval_agree_with_the_normal_approximation() -> None:
    found = share(np.repeat([1, 0], [300, 700]))
    assert found is not None
    assert found.value == 0.3
    half = 1.96 * (0.3 * 0.7 / 1000) ** 0.5
    assert found.low == pytest.approx(0.3 - half, abs=0.004)
    assert found.high == pytest.approx(0.3 + half, abs=0.004)


@pytest.mark.parametrize(("hits", "low", "high"), [([1] * 10, 0.7225, 1.0), ([0] * 10, 0.0, 0.2775)])
def test_units_that_all_agree_still_leave_doubt(hits: list[int], low: float, high: float) -> None:
    found = share(hits)
    assert found is not None
    assert found.low == pytest.approx(low, abs=1e-4)
    assert found.high == pytest.approx(high, abs=1e-4)


def test_units_are_resampled_together() -> None:
    # One unit holds everything: sampling its parts apart would give a narrow interval.
    found = ratio([90, 0, 0, 0], [100, 1, 1, 1])
    assert found is not None
    assert found.value == pytest.approx(90 / 103)
    assert found.low == 0.0


def test_of_nothing_there_is_no_estimate() -> None:
    assert share([]) is None
    assert ratio([0, 0], [0, 0]) is None


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(200):
        found = share(rng.random(80) < 0.4)
        assert found is not None
        covered += found.low <= 0.4 <= found.high
    assert 180 <= covered <= 199
