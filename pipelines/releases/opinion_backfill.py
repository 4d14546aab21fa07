"""The histories of opinions of new heads: one row for each row of the version they follow, each as it was known.

Texts and the vectors of their clauses are there already, so nothing is encoded. Cost ∝ texts of the users and products
with rows + rows of the standing history.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.features.history import changed, empty
from pipelines.features.opinion_texts import texts
from pipelines.features.opinions import PURPOSES, opinion_rows, product_days, user_days
from pipelines.features.steps import ALWAYS
from pipelines.governance.runs import Run
from pipelines.releases.manifest import Release
from pipelines.tables.features import USER_OPINIONS
from pipelines.tables.schema import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


_EPOCH = dt.date(1970, 1, 1)


def backfilled_opinions(store: TableStore, table: Table, pairs: DataFrame, candidate: Release) -> DataFrame:
    """The candidate's rows for the given keys and times."""
    asked = pairs.select(
        F.col(table.join_key).alias("entity"),
        F.col("purpose") if "purpose" in pairs.columns else F.lit(PURPOSES[table][0]).alias("purpose"),
        F.unix_date(F.to_date("event_timestamp")).cast("bigint").alias("midnight"),
        F.unix_micros("created_at").alias("created"),
    )
    days = days_of(store, table, candidate, pairs.select(table.join_key).distinct())
    return opinion_rows(days, table, None, asked).drop("inputs_available_at")


def first_opinions(store: TableStore, table: Table, candidate: Release, run: Run) -> DataFrame:
    """The rows of the first heads of a home, up to the run's last midnight: known when their newest text was."""
    said = texts(store)
    keys = {"user_id": said.select(F.col("subject_id").alias("user_id")), "product_id": said.select("product_id")}
    days = days_of(store, table, candidate, keys[table.join_key].where(f"{table.join_key} IS NOT NULL").distinct())
    rows = opinion_rows(days, table, (run.as_of.date() - _EPOCH).days)
    names = [name for name in ("user_id", "product_id", "purpose") if name in rows.columns]
    values = F.struct(*(column.name for column in table.feature_columns)).alias("value")
    packed = rows.select(*names, "event_timestamp", "inputs_available_at", values)
    fresh = changed(packed, None, tuple(names), empty(table, "value"))
    known = F.greatest("event_timestamp", "inputs_available_at").alias("created_at")
    return fresh.select(*names, "value.*", "event_timestamp", known)


def days_of(store: TableStore, table: Table, release: Release, keys: DataFrame) -> DataFrame:
    """Sums of days of users or products, from the first one on."""
    entities = keys.withColumn("from_day", F.lit(ALWAYS))
    return (user_days if table is USER_OPINIONS else product_days)(store, release, entities)
