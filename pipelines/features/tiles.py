"""User tiles: who showed how much interest in which content on which day. No encoder is involved.

Cost ∝ the acts of the (subject, day) pairs that a batch touches, plus rewriting the files that hold those days.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.governance.progress import Batch
from pipelines.identity.consent import with_allowed_purposes
from pipelines.identity.tombstones import without_erased
from pipelines.tables.aggregates import USER_TILES
from pipelines.tables.definitions import HALF_LIVES_DAYS, INTEREST_WEIGHTS
from pipelines.tables.sources import CONSENTS, EVENTS, IDENTITIES, MESSAGES, PRODUCT_CONTENTS, REVIEWS, TOMBSTONES

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

WRITING_WEIGHT = 1.0
_TILE = ("subject_id", "day", "modality", "content_id", "allowed_purposes", "drop_id")
_ACT = (
    "subject_id",
    "event_timestamp",
    "day",
    "product_id",
    "query",
    "content_hash",
    "weight",
    "available_at",
    "drop_id",
)


def build_tiles(store: TableStore, batch: Batch, dirty_days: DataFrame) -> int:
    """Recompute the tiles of `dirty_days` (subject_id, day) from silver and replace them in one commit.

    Returns the number of tile rows those pairs now have. Running it again changes nothing.
    """
    dirty = dirty_days.select("subject_id", "day").distinct().persist()
    try:
        days = sorted(r.day for r in dirty.select("day").distinct().collect())
        if not days:
            return 0
        new = tiles(acts_of(store, dirty, days), store.read(PRODUCT_CONTENTS)).persist()
        kept = store.read(USER_TILES).where(F.col("day").isin(days)).join(dirty, ["subject_id", "day"], "left_anti")
        literals = ", ".join(f"DATE'{day}'" for day in days)
        store.replace_where(kept.unionByName(new), USER_TILES, f"day IN ({literals})")
        rows = new.count()
        new.unpersist()
        return rows
    finally:
        dirty.unpersist()


def acts_of(store: TableStore, dirty: DataFrame, days: list[dt.date]) -> DataFrame:
    """What the dirty subjects did and wrote on the dirty days, with the purposes allowed at that moment."""
    events = interest_events(store.read(EVENTS).where(F.col("event_date").isin(days)))
    written = [
        _on_day(store.read(table).withColumnRenamed("user_id", "subject_id"))
        .where(F.col("day").isin(days))
        .withColumns({"weight": F.lit(WRITING_WEIGHT), "query": F.lit(None).cast("string")})
        .withColumn("product_id", F.lit(None).cast("string"))
        for table in (REVIEWS, MESSAGES)
    ]
    acts = events.withColumn("content_hash", F.lit(None).cast("string")).select(*_ACT)
    for frame in written:
        acts = acts.unionByName(frame.select(*_ACT))
    acts = without_erased(acts.join(dirty, ["subject_id", "day"], "left_semi"), store.read(TOMBSTONES))
    return with_allowed_purposes(acts, store.read(CONSENTS), store.read(IDENTITIES), store.settings)


def interest_events(events: DataFrame) -> DataFrame:
    """The events that say something of an interest, with `day` and `weight`."""
    weights = F.create_map(*(F.lit(x) for pair in INTEREST_WEIGHTS.items() for x in pair))
    chosen = events.where(F.col("event_type").isin(list(INTEREST_WEIGHTS)))
    searched = F.when(F.col("event_type") == "search", F.col("query"))
    return _on_day(chosen).withColumn("weight", weights[F.col("event_type")]).withColumn("query", searched)


def _on_day(frame: DataFrame) -> DataFrame:
    return frame.withColumn("day", F.to_date("event_timestamp"))


def tiles(acts: DataFrame, contents: DataFrame) -> DataFrame:
    """Tiles of acts (columns as in `acts_of`): one per product content, query or written text of an act."""
    on_products = with_contents(acts.where(F.col("product_id").isNotNull()), contents)
    first_known = F.lit(False).alias("first_version_used")
    searches = acts.where(F.length(F.trim("query")) > 0).select(
        "*", F.lit("query").alias("modality"), F.sha2("query", 256).alias("content_id"), first_known
    )
    texts = acts.where(F.col("content_hash").isNotNull()).select(
        "*", F.lit("review").alias("modality"), F.col("content_hash").alias("content_id"), first_known
    )
    seen = on_products.unionByName(searches).unionByName(texts)
    return seen.groupBy(*_TILE).agg(
        F.count(F.lit(1)).alias("actions"),
        *(F.sum(F.col("weight") * _decay_to_day_end(h)).alias(f"weight_{h}d") for h in HALF_LIVES_DAYS),
        F.bool_or("first_version_used").alias("first_version_used"),
        F.max("available_at").alias("available_at"),
    )


def _decay_to_day_end(half_life_days: int) -> Column:
    day_end = F.unix_micros(F.date_add("day", 1).cast("timestamp"))
    days_left = (day_end - F.unix_micros("event_timestamp")) / F.lit(86_400e6)
    return F.pow(F.lit(2.0), -days_left / F.lit(float(half_life_days)))


def with_contents(acts: DataFrame, contents: DataFrame) -> DataFrame:
    """Acts on products, one row per content of the product's version valid at the act.

    Adds `modality`, `content_id` and `first_version_used`: an act before the first version meets the first. Acts on
    products without any version are left out.
    """
    by_time = Window.partitionBy("product_id").orderBy("valid_from")
    versions = (
        contents.select("product_id", "valid_from")
        .distinct()
        .withColumn("valid_to", F.lead("valid_from").over(by_time))
        .withColumn("is_first", F.row_number().over(by_time) == 1)
    )
    contents_in_time = versions.join(
        contents.where(F.col("content_id").isNotNull()).select("product_id", "valid_from", "modality", "content_id"),
        ["product_id", "valid_from"],
    )
    before = F.col("event_timestamp") < F.col("valid_from")
    valid = (F.col("is_first") | ~before) & (
        F.col("valid_to").isNull() | (F.col("event_timestamp") < F.col("valid_to"))
    )
    return (
        acts.join(contents_in_time, "product_id")
        .where(valid)
        .withColumn("first_version_used", before)
        .drop("valid_from", "valid_to", "is_first")
    )
