"""Which devices belonged to which user, and when."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from pipelines.identity.subject_keys import DEVICE

_FOREVER = "9999-12-31 00:00:00"


def linked_subjects(identities: DataFrame) -> DataFrame:
    """The device links of each user: `user_id, subject_id, linked_at, unlinked_at` (UTC, null while it holds).

    `identities` is silver.identities. A link holds in [linked_at, unlinked_at). Statements about the same user and
    device that overlap or touch become one, so a device never counts twice; a link that ends where it starts is
    none. A user is always its own subject as well: the caller adds that.
    """
    pair = Window.partitionBy("user_id", "subject_id").orderBy("linked_at", "until")
    before = pair.rowsBetween(Window.unboundedPreceding, -1)
    return (
        _statements(identities)
        .withColumn("starts", F.coalesce(F.max("until").over(before) < F.col("linked_at"), F.lit(True)))
        .withColumn("link", F.sum(F.col("starts").cast("int")).over(pair))
        .groupBy("user_id", "subject_id", "link")
        .agg(F.min("linked_at").alias("linked_at"), F.max("until").alias("until"))
        .select("user_id", "subject_id", "linked_at", _open_end(F.col("until")).alias("unlinked_at"))
    )


def _statements(identities: DataFrame) -> DataFrame:
    until = F.coalesce(F.col("unlinked_at"), F.lit(_FOREVER).cast("timestamp"))
    return (
        identities.where(F.col("identifier_type") == DEVICE)
        .select("user_id", F.col("identifier").alias("subject_id"), "linked_at", until.alias("until"))
        .where(F.col("until") > F.col("linked_at"))
    )


def _open_end(until: Column) -> Column:
    return F.when(until < F.lit(_FOREVER).cast("timestamp"), until)
