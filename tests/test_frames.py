"""Frames of Python values: what goes in comes out, and an empty one is known to be empty."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

from pyspark.sql import SparkSession

from pipelines.frames import frame_of

DDL = (
    "name string, n bigint, at timestamp, day date, price decimal(18,4), tags map<string,string>, "
    "products array<string>, content binary, pair struct<a: int, b: string>"
)


def test_values_of_every_type_come_out_as_they_went_in(spark: SparkSession) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
    row = ("红", 2**40, moment, date(2026, 1, 2), Decimal("4.5000"), {"b": "2"}, ["p"], b"\x00", {"a": 1, "b": "x"})
    first, second = frame_of(spark, [row, (None,) * 9], DDL).collect()
    values = first.asDict(recursive=True)
    assert tuple((values | {"at": values["at"].astimezone(UTC)}).values()) == row
    assert tuple(second) == (None,) * 9


def test_no_rows_leave_nothing_to_do(spark: SparkSession) -> None:
    frame = frame_of(spark, [], DDL)
    assert "LocalTableScan" in spark.range(5).join(frame, frame.n == 5)._jdf.queryExecution().executedPlan().toString()
    assert frame.collect() == []
