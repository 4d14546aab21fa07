from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pipelines.frames import frame_of
from pipelines.identity.links import linked_subjects
from pipelines.identity.tombstones import without_erased

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def day(number: int) -> datetime:
    return datetime(2026, 1, number, tzinfo=UTC)


def test_statements_about_one_device_and_user_become_links_without_overlap(spark: SparkSession) -> None:
    rows = [
        ("device", "device:d", "u", day(1), day(5)),
        ("device", "device:d", "u", day(3), day(7)),
        ("device", "device:d", "u", day(7), day(8)),  # touches
        ("device", "device:d", "u", day(10), None),
        ("device", "device:d", "u", day(12), day(13)),  # inside an open link
        ("device", "device:d", "v", day(2), None),
        ("device", "device:e", "u", day(4), day(4)),  # holds for no time
        ("loyalty_card", "loyalty_card:c", "u", day(1), None),
    ]
    schema = "identifier_type string, identifier string, user_id string, linked_at timestamp, unlinked_at timestamp"
    links = linked_subjects(frame_of(spark, rows, schema)).collect()

    def utc(value: datetime | None) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    got = {(r.user_id, r.subject_id, utc(r.linked_at), utc(r.unlinked_at)) for r in links}
    assert got == {
        ("u", "device:d", day(1), day(8)),
        ("u", "device:d", day(10), None),
        ("v", "device:d", day(2), None),
    }


def test_erased_subjects_are_left_out(spark: SparkSession) -> None:
    rows = frame_of(spark, [("u1", 1), ("u2", 2), (None, 3)], "subject_id string, n int")
    tombstones = frame_of(spark, [("u1",), ("u1",), ("u9",)], "subject_id string")
    assert sorted(r.n for r in without_erased(rows, tombstones).collect()) == [2, 3]
