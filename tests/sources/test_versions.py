"""Timelines do not depend on the order in which versions arrive: shuffled arrivals of many keys in few jobs."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pipelines.frames import frame_of
from pipelines.sources.versions import consent_versions, timeline_changes

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SCHEMA = "product_id string, price int, valid_from timestamp, valid_to timestamp"
START = datetime(2026, 1, 1, tzinfo=UTC)
KEYS = ("product_id",)


def merged(existing: DataFrame, changes: DataFrame) -> DataFrame:
    """What an upsert by (product_id, valid_from) leaves."""
    untouched = existing.join(changes, ["product_id", "valid_from"], "left_anti").select(existing.columns)
    return untouched.unionByName(changes.select(existing.columns))


def contents(frame: DataFrame) -> list[tuple[Any, ...]]:
    return sorted(
        tuple(row)
        for row in frame.selectExpr("product_id", "price", "string(valid_from)", "string(valid_to)")
        .na.fill("")
        .collect()
    )


def test_timelines_do_not_depend_on_the_order_of_arrival(spark: SparkSession) -> None:
    generator = random.Random(3)
    versions = [
        (f"p{p}", generator.randint(1, 99), START + timedelta(hours=h), None)
        for p in range(60)
        for h in generator.sample(range(50), generator.randint(1, 6))
    ]
    results = []
    for drops in (1, 3, 3):
        generator.shuffle(versions)
        silver = frame_of(spark, [], SCHEMA)
        for part in range(drops):
            new = frame_of(spark, versions[part::drops], SCHEMA).drop("valid_to")
            silver = merged(silver, timeline_changes(new, silver, KEYS)).localCheckpoint()
        results.append(contents(silver))
    assert results[1] == results[0]
    assert results[2] == results[0]
    ends: dict[str, list[tuple[str, str]]] = {}
    for product, _, valid_from, valid_to in reversed(results[0]):
        assert valid_to == "" or valid_to > valid_from
        ends.setdefault(product, []).append((valid_from, valid_to))
    for spans in ends.values():
        following = sorted(spans)
        assert [end for _, end in following] == [*(start for start, _ in following[1:]), ""]


def test_only_rows_that_change_are_written(spark: SparkSession) -> None:
    rows = [
        ("p1", 1, START, START + timedelta(days=2)),
        ("p1", 3, START + timedelta(days=2), None),
        ("p2", 9, START, None),
    ]
    existing = frame_of(spark, rows, SCHEMA)
    new = frame_of(spark, [("p1", 2, START + timedelta(days=1), None)], SCHEMA).drop("valid_to")
    changes = timeline_changes(new, existing, KEYS)
    assert sorted(r.price for r in changes.collect()) == [1, 2]


def test_consents_by_purpose(spark: SparkSession) -> None:
    rows = [
        ("all", ["marketing", "personalisation", "research"]),
        ("some", ["marketing"]),
        ("none", []),
        ("unknown", None),
    ]
    users = frame_of(spark, rows, "user_id string, consents array<string>").selectExpr(
        "*", "current_timestamp() valid_from", "current_timestamp() available_at", "'d' drop_id"
    )
    got: dict[str, set[str]] = {}
    for row in consent_versions(users).collect():
        got.setdefault(row.user_id, set()).update([row.purpose] if row.granted else [])
    assert got == {"all": {"marketing", "personalisation", "research"}, "some": {"marketing"}, "none": set()}
