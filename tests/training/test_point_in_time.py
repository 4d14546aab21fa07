"""The join against brute force: one Spark job over many random users."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pipelines.frames import frame_of
from pipelines.training.point_in_time import features_at

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

START = datetime(2026, 1, 1, tzinfo=UTC)
Row = tuple[str, datetime, datetime, int]


def test_agrees_with_brute_force(spark: SparkSession) -> None:
    chance = random.Random(3)
    history: list[Row] = []
    moments: set[tuple[str, datetime]] = set()
    for user in range(400):
        key = f"u{user}"
        for _ in range(chance.randrange(0, 9)):
            # Few distinct instants, so that ties, late rows and rows at a moment's very instant are common.
            event = START + timedelta(hours=chance.randrange(6))
            created = event + timedelta(hours=chance.choice([0, 0, 0, 1, 2, 5]), microseconds=chance.randrange(2))
            history.append((key, event, created, len(history)))
        moments |= {(key, START + timedelta(hours=chance.randrange(-1, 9))) for _ in range(chance.randrange(4))}
    history += chance.sample(history, 100)  # rows that were written twice
    moments.add(("stranger", START))

    expected = {}
    for key, moment in moments:
        best: Row | None = None
        for row in history:
            if row[0] == key and max(row[1], row[2]) <= moment and (best is None or row[1:3] > best[1:3]):
                best = row
        if best is not None:
            expected[key, moment] = {r[3] for r in history if r[:3] == best[:3]}

    rows = features_at(
        frame_of(spark, list(moments), "user_id string, moment timestamp"),
        frame_of(spark, history, "user_id string, event_timestamp timestamp, created_at timestamp, value int"),
        "user_id",
        ["value"],
        "view",
    ).collect()
    assert len(rows) == len(expected) > 300
    for row in rows:
        assert row.view__value in expected[row.user_id, row.moment.astimezone(UTC)]
