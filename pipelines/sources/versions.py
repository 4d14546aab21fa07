"""Timelines: every version of a key with the interval in which it held.

A version that arrives late slots in between: the timelines of the keys a drop touches are laid out anew, so the
result depends on what arrived, not on the order of arrival.
"""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from pipelines.settings import PURPOSES


def timeline_changes(new: DataFrame, existing: DataFrame, keys: tuple[str, ...]) -> DataFrame:
    """The rows to write so that each key's versions follow each other without gap or overlap.

    `new` and `existing` share their columns, valid_from (UTC) among them; `new` needs no valid_to. No version of
    `new` is in `existing`. Of `existing` only the rows come back whose valid_to has changed.
    """
    touched = existing.join(new.select(*keys).distinct(), list(keys), "left_semi")
    columns = [c for c in existing.columns if c != "valid_to"]
    versions = touched.select(
        *columns, F.col("valid_to").alias("former_end"), F.lit(False).alias("is_new")
    ).unionByName(new.select(*columns, F.lit(None).cast("timestamp").alias("former_end"), F.lit(True).alias("is_new")))
    end = F.lead("valid_from").over(Window.partitionBy(*keys).orderBy("valid_from"))
    laid_out = versions.withColumn("valid_to", end)
    changed = F.col("is_new") | ~F.col("valid_to").eqNullSafe(F.col("former_end"))
    return laid_out.where(changed).select(*existing.columns)


def consent_versions(users: DataFrame) -> DataFrame:
    """One row per user version and purpose from `consents` (array<string>).

    An empty array denies all; NULL says nothing, and what was said before goes on holding.
    """
    purposes = F.array(*(F.lit(p) for p in PURPOSES))
    said = users.where(F.col("consents").isNotNull()).withColumn("purpose", F.explode(purposes))
    return said.select(
        "user_id",
        "purpose",
        F.array_contains("consents", F.col("purpose")).alias("granted"),
        "valid_from",
        "available_at",
        "drop_id",
    )
