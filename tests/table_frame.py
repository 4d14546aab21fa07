"""Rows of a declared table, as dicts, into a DataFrame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pipelines.frames import frame_of
from pipelines.tables.schema import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def table_frame(spark: SparkSession, table: Table, rows: Iterable[Mapping[str, Any]]) -> DataFrame:
    """The rows with all columns of the table; those that are not given are null, one that it does not have is a
    mistake of the test."""
    rows = list(rows)
    unknown = {name for row in rows for name in row} - set(table.column_names)
    assert not unknown, f"{table.layer}.{table.name} has no {sorted(unknown)}"
    return frame_of(spark, [tuple(row.get(name) for name in table.column_names) for row in rows], table.ddl)
