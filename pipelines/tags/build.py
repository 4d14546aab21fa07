"""Tags of products and users, and the feed of what changed: the last part of the feature job, for each release."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.features.history import publish
from pipelines.features.scalars import last_midnight
from pipelines.governance.progress import Batch
from pipelines.identity.tombstones import without_erased
from pipelines.releases.manifest import Release
from pipelines.tables.definitions import PERSONAL
from pipelines.tables.features import TAG_CHANGES, USER_TAGS
from pipelines.tables.sources import TOMBSTONES
from pipelines.tags.definition import definition_of
from pipelines.tags.product_tags import build_product_tags
from pipelines.tags.user_tags import tagged

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_EPOCH = dt.date(1970, 1, 1)
_PROFILE = ("user_id", "purpose")


def build_tags(store: TableStore, batch: Batch, release: Release, users: DataFrame) -> dict[str, int]:
    """Bring the tags of `users` [user_id, from_day] up to the batch's time, from features that are published already.

    Rows written, by table.
    """
    definition = definition_of(store.settings, release)
    name, version = release.encoder_for("tags")
    written = {"product_tags": build_product_tags(store, batch, release, definition)}
    users = without_erased(users, store.read(TOMBSTONES), "user_id")
    asked = moments(store, batch, release, users).persist()
    try:
        if asked.isEmpty():
            return written | {USER_TAGS.name: 0}
        rows = tagged(store, release, definition, asked).withColumns(
            {
                "encoder": F.lit(name),
                "encoder_version": F.lit(version),
                "inputs_available_at": F.lit(None).cast("timestamp"),
            }
        )
        rows = rows.persist()
        written[USER_TAGS.name] = publish(store, rows, USER_TAGS, batch, f"/{name}/{version}")
        rows.unpersist()
        written[TAG_CHANGES.name] = _write_changes(store, batch, release, asked)
    finally:
        asked.unpersist()
    return written


def moments(store: TableStore, batch: Batch, release: Release, users: DataFrame) -> DataFrame:
    """When each user's tags are looked at: [user_id, purpose, event_timestamp, known_at].

    At the last day's end. Of the first batch and of a load of history also at the end of every week (Monday 00:00
    UTC) from `from_day` on; later, at the moments of rows that stand from `from_day` on, for they may have to be
    corrected.
    """
    midnight = last_midnight(batch)
    last = F.lit(_EPOCH + dt.timedelta(days=midnight))
    at = F.array(last)
    if batch.history or batch.previous_as_of is None:
        monday = F.next_day("from_day", "Mon")
        weeks = F.when(monday <= last, F.sequence(monday, last, F.expr("interval 7 days")))
        at = F.array_union(F.coalesce(weeks, F.array().cast("array<date>")), at)
    days = users.where(F.col("from_day") < last).select("user_id", F.explode(at).alias("day"))
    asked = days.select("user_id", _each_purpose(), F.col("day").cast("timestamp").alias("event_timestamp"))
    if store.exists(USER_TAGS):
        standing = _of_release(store, release).join(users, "user_id")
        standing = standing.where(F.col("event_timestamp") > F.col("from_day").cast("timestamp"))
        asked = asked.unionByName(standing.select(*_PROFILE, "event_timestamp")).distinct()
    known = F.col("event_timestamp") if batch.history else F.greatest("event_timestamp", F.lit(batch.as_of))
    return asked.withColumn("known_at", known)


def _write_changes(store: TableStore, batch: Batch, release: Release, asked: DataFrame) -> int:
    """Append what the batch's rows say otherwise than the rows before them; returns how many changes."""
    name, version = release.encoder_for("tags")
    if not store.exists(USER_TAGS):
        return 0
    profiles = asked.select(*_PROFILE).distinct()
    newest = (
        _of_release(store, release)
        .join(profiles, list(_PROFILE), "left_semi")
        .groupBy(*_PROFILE, "event_timestamp")
        .agg(F.max_by(F.struct("tags", "confidences", "created_at"), "created_at").alias("row"))
        .select(*_PROFILE, "event_timestamp", "row.*")
    )
    in_order = Window.partitionBy(*_PROFILE).orderBy("event_timestamp")
    sure = F.map_from_arrays("tags", "confidences")
    steps = newest.withColumns({"now": sure, "before": F.lag(sure).over(in_order)})
    if not batch.history:
        steps = steps.where(F.col("created_at") >= F.lit(batch.as_of))
    steps = steps.withColumn("before", F.coalesce("before", F.map_from_arrays(_none("string"), _none("float"))))
    keys = F.array_union(F.map_keys("now"), F.map_keys("before"))
    each = steps.withColumn("tag", F.explode(keys)).select(
        *_PROFILE,
        "tag",
        "event_timestamp",
        "created_at",
        F.col("now")[F.col("tag")].alias("confidence"),
        F.col("before")[F.col("tag")].alias("confidence_before"),
    )
    change = F.when(F.col("confidence_before").isNull(), "entered").when(F.col("confidence").isNull(), "left")
    rows = each.withColumn("change", change).where("change is not null").withColumns(
        {"encoder": F.lit(name), "encoder_version": F.lit(version), "written_at": F.current_timestamp()}
    )  # fmt: skip
    rows = rows.persist()
    count = rows.count()
    if count:
        store.append_once(rows, TAG_CHANGES, f"{batch.batch_id}/{name}/{version}")
    rows.unpersist()
    return count


def _of_release(store: TableStore, release: Release) -> DataFrame:
    name, version = release.encoder_for("tags")
    return store.read(USER_TAGS).where((F.col("encoder") == name) & (F.col("encoder_version") == version))


def _each_purpose() -> Column:
    return F.explode(F.array(*(F.lit(purpose) for purpose in PERSONAL))).alias("purpose")


def _none(type_: str) -> Column:
    return F.array().cast(f"array<{type_}>")
