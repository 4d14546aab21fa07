"""The histories of tags of a new definition or of new pictures: one row for each row of the version they follow."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.governance.runs import Run
from pipelines.identity.tombstones import without_erased
from pipelines.releases.manifest import Release
from pipelines.tables.features import PRODUCT_TAGS, USER_ACTIVITY
from pipelines.tables.schema import Table
from pipelines.tables.sources import PRODUCTS, TOMBSTONES
from pipelines.tags.definition import definition_of
from pipelines.tags.product_tags import product_tags
from pipelines.tags.user_tags import tagged

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def backfilled_tags(store: TableStore, table: Table, pairs: DataFrame, candidate: Release) -> DataFrame:
    """The candidate's rows for the given keys and times; of users from the candidate's product tags."""
    definition = definition_of(store.settings, candidate)
    if table is PRODUCT_TAGS:
        rows = product_tags(store, candidate, definition, pairs.select("product_id").distinct())
        return pairs.join(rows.drop("inputs_available_at"), ["product_id", "event_timestamp"], "left")
    rows = tagged(store, candidate, definition, pairs.withColumnRenamed("created_at", "known_at"))
    return rows.withColumnRenamed("known_at", "created_at")


def first_tags(store: TableStore, table: Table, candidate: Release, run: Run) -> DataFrame:
    """The first rows of a home that had no tags: of every product version, and of every user at the run's last day's
    end."""
    if table is PRODUCT_TAGS:
        versions = store.read(PRODUCTS).select("product_id", F.col("valid_from").alias("event_timestamp"))
        known = F.greatest("event_timestamp", F.lit(run.as_of)).alias("created_at")
        return backfilled_tags(store, table, versions.select("*", known), candidate)
    midnight = dt.datetime.combine(run.as_of.date(), dt.time(), dt.UTC)
    users = without_erased(store.read(USER_ACTIVITY), store.read(TOMBSTONES), "user_id")
    pairs = users.select("user_id", "purpose").distinct()
    times = {"event_timestamp": F.lit(midnight), "created_at": F.lit(run.as_of)}
    return backfilled_tags(store, table, pairs.withColumns(times), candidate)
