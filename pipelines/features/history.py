"""Writing feature histories: a row where a value changes, and corrections as newer rows of the same moment."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.governance.progress import Batch
from pipelines.tables.schema import Table

_ROW = ("event_timestamp", "created_at")


def publish(store: TableStore, rows: DataFrame, table: Table, batch: Batch, version: str = "") -> int:
    """Append to a history those of `rows` that say something new; returns how many.

    `rows` has the table's keys (without created_at), its features, `event_timestamp` and `inputs_available_at`
    (UTC; null where nothing had to become known). It must hold, for each key in it, every moment at which its
    value may change from the first one on, and be right there: a row is written where its value differs from the
    row in force at that moment, or, where there is none, from the value before. A key's first row must not be
    empty (see `is_empty`). Nothing is rewritten: of equal event_timestamp the greatest created_at is in force.
    Writing the same batch twice changes nothing; `version` tells apart what it writes of several encoder versions.
    """
    keys = tuple(k for k in table.keys if k not in _ROW)
    features = tuple(c.name for c in table.feature_columns)
    packed = rows.select(*keys, "event_timestamp", "inputs_available_at", F.struct(*features).alias("value"))
    fresh = changed(packed, in_force(store, table, rows), keys, empty(table, "value"))
    written = (
        fresh.withColumn("created_at", _created_at(batch))
        .withColumn("written_at", F.lit(datetime.now(UTC)))
        .select(*keys, "value.*", *_ROW, "written_at")
        .persist()
    )
    count = written.count()
    if count:
        store.append_once(written, table, batch.batch_id + version)
    written.unpersist()
    return count


def in_force(store: TableStore, table: Table, rows: DataFrame) -> DataFrame | None:
    """The newest row per key and moment, of the keys in `rows`; None while the history does not exist.

    [keys, event_timestamp, created_at, value]
    """
    if not store.exists(table):
        return None
    keys = tuple(k for k in table.keys if k not in _ROW)
    touched = rows.select(*keys).distinct()
    value = F.struct(*(c.name for c in table.feature_columns))
    return (
        store.read(table)
        .join(touched, list(keys), "left_semi")
        .groupBy(*keys, "event_timestamp")
        .agg(F.max("created_at").alias("created_at"), F.max_by(value, "created_at").alias("value"))
    )


def changed(rows: DataFrame, existing: DataFrame | None, keys: tuple[str, ...], is_empty: Column) -> DataFrame:
    """The rows to write, each with `superseded_at`: created_at of the row that it corrects, or null."""
    if existing is None:
        merged = rows.withColumns({"superseded_at": F.lit(None).cast("timestamp"), "old": F.lit(None)})
    else:
        old = existing.withColumnsRenamed({"created_at": "superseded_at", "value": "old"})
        merged = rows.join(old, [*keys, "event_timestamp"], "full")
    in_order = Window.partitionBy(*keys).orderBy("event_timestamp")
    before = merged.withColumn("before", F.lag(F.coalesce("value", "old")).over(in_order))
    corrects = F.col("superseded_at").isNotNull()
    differs = (
        F.when(corrects, ~F.col("value").eqNullSafe(F.col("old")))
        .when(F.col("before").isNull(), ~is_empty)
        .otherwise(~F.col("value").eqNullSafe(F.col("before")))
    )
    return before.where(F.col("value").isNotNull() & differs).drop("old", "before")


def empty(table: Table, value: str) -> Column:
    """Whether a struct of the table's features says nothing: every count is zero and all else null or empty."""

    def says_nothing(name: str, kind: str) -> Column:
        column = F.col(f"{value}.{name}")
        if kind in {"bigint", "int", "double", "float"}:
            return F.coalesce(column == 0, F.lit(True))
        if kind.startswith("array"):
            return F.coalesce(F.size(column), F.lit(0)) <= 0
        return column.isNull()

    return reduce(lambda a, b: a & b, (says_nothing(c.name, c.type) for c in table.feature_columns))


def _created_at(batch: Batch) -> Column:
    """When the value could first have been known: its own moment or its inputs', in a regular batch the run's."""
    known: list[Column] = [F.col("event_timestamp"), F.col("inputs_available_at")]
    if not batch.history:
        known.append(F.lit(batch.as_of))
    # `greatest` skips nulls.
    return F.greatest(*known, F.col("superseded_at") + F.expr("INTERVAL 1 MICROSECOND"))
