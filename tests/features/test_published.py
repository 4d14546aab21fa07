"""Published rows are found by keys, their vectors taken from the files."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from delta.tables import DeltaTable
from pyspark.sql import functions as F

from pipelines.features.interest_rows import PUBLISHED_VALUES
from pipelines.features.published import published, with_values
from pipelines.features.steps import bases, published_rows
from pipelines.tables.features import USER_VISUAL_INTEREST as TABLE
from tests.hand_made_home import Home

PURPOSES = ("personalisation", "marketing")


def _row(random: np.random.Generator, user: int, day: int) -> dict[str, Any]:
    vectors = {
        value.name: None if random.random() < 0.2 else random.normal(size=4).astype(np.float32).tolist()
        for value in PUBLISHED_VALUES
        if pa.types.is_list(value.type)
    }
    weights = {v.name: float(random.random()) for v in PUBLISHED_VALUES if v.name not in vectors}
    event = dt.datetime(2026, 1, 1 + day, tzinfo=dt.UTC)
    key = {"user_id": f"u{user}", "purpose": PURPOSES[int(random.integers(2))]}
    return {**key, **vectors, **weights, "event_timestamp": event, "created_at": event}


@pytest.mark.parametrize("deletion_vectors", [False, True])
def test_vectors_of_wanted_rows(home: Home, deletion_vectors: bool) -> None:
    """From each dirty user's last row before `from_day` on, over several files and with deleted rows."""
    random = np.random.default_rng(3)
    rows = {(user, day): _row(random, user, day) for user in range(30) for day in range(1, 9)}
    for day in range(1, 9, 2):
        home.write(TABLE, *(row for (_, of), row in rows.items() if of in (day, day + 1)))
    place = home.store.location(TABLE)
    if deletion_vectors:
        home.store.spark.sql(f"ALTER TABLE delta.`{place}` SET TBLPROPERTIES ('delta.enableDeletionVectors' = true)")
    DeltaTable.forPath(home.store.spark, place).delete((F.col("user_id") == "u3") & (F.day("event_timestamp") == 6))
    dirty = home.store.spark.createDataFrame(
        [(f"u{u}", dt.date(2026, 1, 5)) for u in (3, 4, 17, 99)], "user_id string, from_day date"
    )
    encoder = home.releases[0].encoder_for("clip")
    history = published(home.store, TABLE, encoder, dt.datetime(2026, 1, 3, tzinfo=dt.UTC), PUBLISHED_VALUES)
    assert ("row_index" in history.columns) != deletion_vectors
    found = with_values(published_rows(history, dirty, bases(history, dirty), PURPOSES), place, PUBLISHED_VALUES)

    made = {(r.user_id, r.purpose, r.day): r for r in found.collect()}

    expected: dict[Any, tuple[bool, dict[str, Any]]] = {}
    for (user, day), row in rows.items():
        if user not in (3, 4, 17) or (user, day) == (3, 5) or day < 3:
            continue
        # A row of day d stands at the end of d, that is at 00:00 of the next day.
        before = [d for d in range(3, 5) if rows[user, d]["purpose"] == row["purpose"]]
        base = max(before, default=None)
        if day >= 5 or day == base:
            expected[f"u{user}", row["purpose"], dt.date(2026, 1, day)] = (day == base, row)
    assert made.keys() == expected.keys()
    for key, (is_base, row) in expected.items():
        assert made[key].is_base == is_base
        assert made[key].created_at == row["created_at"].replace(tzinfo=None)
        assert {v.name: made[key][v.name] for v in PUBLISHED_VALUES} == {v.name: row[v.name] for v in PUBLISHED_VALUES}
