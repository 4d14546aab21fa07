"""Interest rows from steps, without Spark."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipelines.features.interest_rows import in_step_order, interest_rows
from pipelines.features.whole_groups import whole_groups
from pipelines.tables.definitions import HALF_LIVES_DAYS

VECTORS = np.eye(3, dtype=np.float32)
AS_OF = dt.datetime(2026, 2, 1, tzinfo=dt.UTC)
MOMENT = pa.timestamp("us", tz="UTC")
VALUES = [f for h in HALF_LIVES_DAYS for f in ((f"mean_{h}d", pa.list_(pa.float32())), (f"weight_{h}d", pa.float64()))]
SCHEMA = pa.schema(
    [("user_id", pa.string()), ("purpose", pa.string()), ("day", pa.date32()), ("row", pa.int32()),
     ("weight_7d", pa.float64()), ("weight_30d", pa.float64()), ("elapsed_days", pa.int32()), ("reset", pa.bool_()),
     ("quiet", pa.bool_()), ("available_at", MOMENT),
     ("published", pa.struct([("created_at", MOMENT), ("is_base", pa.bool_()), *VALUES]))]
)  # fmt: skip


def weight(user: str, day: int, row: int = -1, value: float | None = None, **others: int) -> dict[str, Any]:
    return {"user_id": user, "purpose": "p", "day": dt.date(2026, 1, day), "row": row, "weight_7d": value,
            "weight_30d": value, "elapsed_days": 0, "reset": False, "quiet": False, "published": None,
            "available_at": dt.datetime(2026, 1, day, 12, tzinfo=dt.UTC), **others}  # fmt: skip


def published(row: dict[str, Any], day: int, is_base: bool) -> dict[str, Any]:
    old = {name: row[name] for name, _ in VALUES} | {"created_at": row["created_at"], "is_base": is_base}
    return {"user_id": row["user_id"], "purpose": "p", "day": dt.date(2026, 1, day), "published": old}


def made(*rows: dict[str, Any], as_of: dt.datetime | None = None) -> list[dict[str, Any]]:
    table = pa.Table.from_pylist(list(rows), SCHEMA)
    return interest_rows(table, VECTORS, as_of).to_pylist()


def test_quiet_steps_are_carried_on_from_and_not_published() -> None:
    (row,) = made(weight("a", 1, 0, 1.0, quiet=True), weight("a", 3, 1, 2.0))
    before = 2.0 ** (-2 / 7)
    assert row["weight_7d"] == pytest.approx(2 + before)
    assert row["mean_7d"] == pytest.approx([before / (2 + before), 2 / (2 + before), 0])
    assert row["event_timestamp"] == row["created_at"] == dt.datetime(2026, 1, 4, tzinfo=dt.UTC)


def test_a_base_gives_what_all_steps_give_and_is_not_written_again() -> None:
    steps = [weight("a", 1, 0, 1.0), weight("a", 3, 1, 2.0), weight("a", 7, 2, 1.5)]
    all_at_once = made(*steps)
    carried = made(published(all_at_once[1], 3, is_base=True), steps[2])
    assert len(carried) == 1
    assert carried[0]["mean_30d"] == pytest.approx(all_at_once[2]["mean_30d"], abs=1e-6)
    assert carried[0]["weight_30d"] == pytest.approx(all_at_once[2]["weight_30d"], rel=1e-9)


def test_content_without_a_vector_adds_nothing() -> None:
    assert made(weight("a", 1, -1, 5.0)) == []
    with_both = made(weight("a", 1, 0, 1.0), weight("a", 1, -1, 5.0))
    assert with_both[0]["weight_7d"] == 1.0


def test_a_reset_to_nothing_takes_the_value_back() -> None:
    rows = made(weight("a", 1, 0, 1.0), weight("a", 4, reset=True))
    assert (rows[1]["mean_7d"], rows[1]["weight_7d"]) == (None, 0.0)
    assert made(weight("a", 4, reset=True)) == []


def test_tiles_from_before_a_step_are_decayed_to_it() -> None:
    (row,) = made(weight("a", 15, 0, 1.0, elapsed_days=14, reset=True), weight("a", 15, 1, 1.0, reset=True))
    assert row["weight_7d"] == pytest.approx(1 + 0.25)
    assert row["mean_7d"] == pytest.approx([0.25 / 1.25, 1 / 1.25, 0])


def test_users_and_purposes_in_any_order_are_put_in_the_order_of_their_steps() -> None:
    rows = [weight(user, day, 0, float(day)) for user, day in (("b", 3), ("a", 2), ("b", 1), ("a", 9), ("b", 2))]
    rows.append(weight("a", 1, 0, 5.0) | {"purpose": "q"})
    table = in_step_order(pa.Table.from_pylist(rows, SCHEMA))
    steps = list(zip(*(table[name].to_pylist() for name in ("user_id", "purpose", "day")), strict=True))
    groups = [step[:2] for step in steps]
    assert sum(a != b for a, b in pairwise(groups)) == len(set(groups)) - 1
    for group in set(groups):
        days = [day for *found, day in steps if tuple(found) == group]
        assert days == sorted(days)


def test_only_corrections_are_written_and_dated_after_what_they_correct() -> None:
    (row,) = made(weight("a", 1, 0, 1.0))
    assert made(weight("a", 1, 0, 1.0), published(row, 1, is_base=False)) == []
    (corrected,) = made(weight("a", 1, 1, 1.0), published(row, 1, is_base=False))
    assert corrected["created_at"] == row["created_at"] + dt.timedelta(microseconds=1)
    (regular,) = made(weight("a", 1, 1, 1.0), published(row, 1, is_base=False), as_of=AS_OF)
    assert regular["created_at"] == AS_OF


def test_batches_that_cut_a_user_are_put_together() -> None:
    users = ["a"] * 5 + ["b"] * 12 + ["c"]
    table = pa.table({"user_id": users, "n": list(range(len(users)))})
    tables = list(whole_groups(iter(table.to_batches(max_chunksize=2)), rows=4))
    assert pa.concat_tables(tables)["n"].to_pylist() == list(range(len(users)))
    seen = [set(t["user_id"].to_pylist()) for t in tables]
    assert sum(len(s) for s in seen) == 3
