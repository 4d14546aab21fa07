"""What a batch of drops touches: the subject-days to sum anew, and the users whose rows may change.

Both answers may name too much, never too little: what turns out equal is not written again.
"""

from __future__ import annotations

from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.governance.progress import Batch
from pipelines.tables.sources import CONSENTS, EVENTS, IDENTITIES, MESSAGES, PRODUCT_CONTENTS, REVIEWS

# Where a product's first version is meant to hold since ever, and what is in force for ever.
_BEGINNING = "timestamp '0001-01-01 00:00:00'"
_END = "timestamp '9999-12-31 00:00:00'"


def dirty_subject_days(store: TableStore, batch: Batch) -> DataFrame:
    """Days (UTC) of subjects whose daily sums or tiles a batch changes: [subject_id, day], distinct.

    Those with acts of the batch's drops; with events on a product while a version of its contents held that
    the drops brought; and with acts while a consent or a device link held that the drops brought or changed.
    """
    acts = subject_acts(store)
    if batch.previous_as_of is None:
        return acts.select("subject_id", "day").distinct()
    touched = [
        acts.where(_brought_by(batch)).select("subject_id", "day"),
        _on_changed_contents(store.read(EVENTS), store.read(PRODUCT_CONTENTS), batch),
        _under_changed_consent(acts, store.read(CONSENTS), device_links(store), batch),
        _under_changed_links(acts, device_links(store), batch),
    ]
    return reduce(DataFrame.unionByName, touched).distinct()


def dirty_users(store: TableStore, batch: Batch, dirty_days: DataFrame) -> DataFrame:
    """Users, anonymous devices among them, whose profiles a batch may change: [user_id, from_day].

    `from_day` is the first UTC day at whose end (the next 00:00) a value may differ. Beside those of
    `dirty_days`, users whose device links changed or took effect, and those with acts on days that were not
    over at the job's last batch and are now. Windows that merely expire are not looked at here.
    """
    links = device_links(store)
    days = dirty_days.unionByName(_days_now_over(subject_acts(store), batch))
    own = days.groupBy(F.col("subject_id").alias("user_id")).agg(F.min("day").alias("from_day"))
    linked = (
        days.groupBy("subject_id")
        .agg(F.min("day").alias("from_day"))
        .join(links, "subject_id")
        .select("user_id", F.greatest("from_day", F.date_sub(F.to_date("linked_at"), 1)).alias("from_day"))
    )
    users = own.unionByName(linked).unionByName(_relinked(links, batch))
    return users.groupBy("user_id").agg(F.min("from_day").alias("from_day"))


def subject_acts(store: TableStore) -> DataFrame:
    """Who acted when: events, reviews and messages as [subject_id, at, day, drop_id]."""
    events = store.read(EVENTS).select(
        "subject_id", F.col("event_timestamp").alias("at"), F.col("event_date").alias("day"), "drop_id"
    )
    texts = [
        store.read(table).select(
            F.col("user_id").alias("subject_id"),
            F.col("event_timestamp").alias("at"),
            F.to_date("event_timestamp").alias("day"),
            "drop_id",
        )
        for table in (REVIEWS, MESSAGES)
    ]
    return reduce(DataFrame.unionByName, texts, events)


def device_links(store: TableStore) -> DataFrame:
    """Links of devices: [user_id, subject_id, linked_at, unlinked_at, available_at, drop_id]."""
    return (
        store.read(IDENTITIES)
        .where(F.col("identifier_type") == "device")
        .select(
            "user_id",
            F.col("identifier").alias("subject_id"),
            "linked_at",
            "unlinked_at",
            "available_at",
            "drop_id",
        )
    )


def _brought_by(batch: Batch) -> Column:
    return F.col("drop_id").isin(list(batch.drop_ids))


def _on_changed_contents(events: DataFrame, contents: DataFrame, batch: Batch) -> DataFrame:
    timeline = Window.partitionBy("product_id", "modality").orderBy("valid_from")
    changed = (
        contents.withColumn("until", F.coalesce(F.lead("valid_from").over(timeline), F.expr(_END)))
        .withColumn(
            "since",
            F.when(F.row_number().over(timeline) == 1, F.expr(_BEGINNING)).otherwise(F.col("valid_from")),
        )
        .where(_brought_by(batch))
        .select("product_id", "since", "until")
        .distinct()
    )
    during = (F.col("event_timestamp") >= F.col("since")) & (F.col("event_timestamp") < F.col("until"))
    return events.join(changed, "product_id").where(during).select("subject_id", F.col("event_date").alias("day"))


def _under_changed_consent(acts: DataFrame, consents: DataFrame, links: DataFrame, batch: Batch) -> DataFrame:
    changed = consents.where(_brought_by(batch)).select(
        "user_id", F.col("valid_from").alias("since"), F.coalesce("valid_to", F.expr(_END)).alias("until")
    )
    own = changed.withColumnRenamed("user_id", "subject_id")
    devices = changed.join(links.select("user_id", "subject_id"), "user_id").select("subject_id", "since", "until")
    during = (F.col("at") >= F.col("since")) & (F.col("at") < F.col("until"))
    return acts.join(own.unionByName(devices).distinct(), "subject_id").where(during).select("subject_id", "day")


def _under_changed_links(acts: DataFrame, links: DataFrame, batch: Batch) -> DataFrame:
    """A device obeys whom it is linked to; until when a changed link held before is unknown."""
    changed = links.where(_brought_by(batch)).groupBy("subject_id").agg(F.min("linked_at").alias("since"))
    return acts.join(changed, "subject_id").where("at >= since").select("subject_id", "day")


def _days_now_over(acts: DataFrame, batch: Batch) -> DataFrame:
    if batch.previous_as_of is None:
        return acts.select("subject_id", "day").limit(0)
    since, until = batch.previous_as_of.date(), batch.as_of.date()
    return acts.where((F.col("day") >= F.lit(since)) & (F.col("day") < F.lit(until))).select("subject_id", "day")


def _relinked(links: DataFrame, batch: Batch) -> DataFrame:
    users = links.where(_brought_by(batch)).select("user_id", F.to_date("linked_at").alias("from_day"))
    if batch.previous_as_of is not None:
        since = F.lit(batch.previous_as_of)
        start = F.when(F.col("linked_at") > since, F.to_date("linked_at")).otherwise(F.to_date("unlinked_at"))
        now_effective = links.where((F.col("linked_at") > since) | (F.col("unlinked_at") > since))
        users = users.unionByName(now_effective.select("user_id", start.alias("from_day")))
    # A link made exactly at midnight holds already for the row of that instant.
    return users.withColumn("from_day", F.date_sub("from_day", 1))
