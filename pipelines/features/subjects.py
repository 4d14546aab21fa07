"""Whose acts count for whom, and from which day's end to which: the subjects that a profile sums over."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.features.changes import device_links
from pipelines.identity.links import linked_subjects
from pipelines.tables.sources import IDENTITIES

# Days since 1970-01-01 that stand for "since ever" and "for ever".
EVER = -1_000_000
FOREVER = 10_000_000


def subjects_of(store: TableStore, users: DataFrame) -> DataFrame:
    """[user_id, from_day, subject_id, held_from, held_until, link_available_at] of users [user_id, from_day].

    A subject counts in the row at midnight T (in days since 1970-01-01) while held_from <= T < held_until. A user
    is its own subject for ever.
    """
    own = users.select(
        "user_id",
        "from_day",
        F.col("user_id").alias("subject_id"),
        F.lit(EVER).alias("held_from"),
        F.lit(FOREVER).alias("held_until"),
        F.lit(None).cast("timestamp").alias("link_available_at"),
    )
    return own.unionByName(_linked_stretches(users, store))


def _linked_stretches(users: DataFrame, store: TableStore) -> DataFrame:
    """Links, cut wherever a statement about the pair begins or ends.

    Statements that overlap make one link, but a row may have been written at each one's bounds before the others
    were known; so those remain moments at which a row may have to be corrected.
    """
    said = device_links(store)
    cuts = said.select("user_id", "subject_id", F.col("linked_at").alias("cut"), "available_at").unionByName(
        said.select("user_id", "subject_id", F.col("unlinked_at").alias("cut"), "available_at")
    )
    inside = (F.col("cut") >= F.col("linked_at")) & (
        F.col("unlinked_at").isNull() | (F.col("cut") < F.col("unlinked_at"))
    )
    link = Window.partitionBy("user_id", "subject_id", "linked_at").orderBy("cut")
    until = F.coalesce(F.lead("cut").over(link), "unlinked_at")
    return (
        users.join(linked_subjects(store.read(IDENTITIES)), "user_id")
        .join(cuts, ["user_id", "subject_id"])
        .where(inside)
        .groupBy("user_id", "from_day", "subject_id", "linked_at", "unlinked_at", "cut")
        .agg(F.max("available_at").alias("available_at"))
        .select(
            "user_id",
            "from_day",
            "subject_id",
            first_midnight_from(F.col("cut")).alias("held_from"),
            F.coalesce(first_midnight_from(until), F.lit(FOREVER)).alias("held_until"),
            F.max("available_at").over(link).alias("link_available_at"),
        )
    )


def first_midnight_from(instant: Column) -> Column:
    """The first 00:00 UTC at or after an instant, in days since 1970-01-01."""
    day = F.to_date(instant)
    return F.unix_date(day) + (instant > day.cast("timestamp")).cast("int")
