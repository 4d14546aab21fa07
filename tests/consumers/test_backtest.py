"""Cuts: what is learned from was over before what is tried began."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pipelines.consumers.backtest import Plan
from pipelines.errors import ConsumerError

START = datetime(2026, 1, 1, 5, tzinfo=UTC)


def test_labels_are_known_before_a_cut_is_tried() -> None:
    end = START + timedelta(days=100, hours=7)
    backtest = Plan(horizon_days=14, step_days=7, warm_up_days=10, tests=3, lessons=5).cuts(START, end)
    assert backtest.cuts[-1] == datetime(2026, 3, 28, tzinfo=UTC)
    assert backtest.cuts[0] >= START + timedelta(days=10)
    assert all(cut.hour == 0 for cut in backtest.cuts)
    folds = list(backtest.folds())
    assert [fold.test for fold in folds] == list(backtest.cuts[-3:])
    for fold in folds:
        assert fold.train == tuple(fold.test - timedelta(days=7 * weeks) for weeks in (6, 5, 4, 3, 2))


def test_too_little_time_is_said() -> None:
    with pytest.raises(ConsumerError, match="spans 30 days"):
        Plan(horizon_days=14, step_days=7, warm_up_days=10).cuts(START, START + timedelta(days=30))
