"""Texts with what heads said of them, and whom a batch touches by them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.features.arrivals import last_start
from pipelines.features.changes import device_links
from pipelines.governance.progress import Batch
from pipelines.identity.consent import with_allowed_purposes
from pipelines.identity.tombstones import without_erased
from pipelines.releases.manifest import Release
from pipelines.tables.aggregates import TEXT_JUDGEMENTS
from pipelines.tables.definitions import OPINION_CHANNELS, PRODUCT_OPINION_DAYS, TREND_DAYS, USER_OPINION_DAYS
from pipelines.tables.sources import CONSENTS, IDENTITIES, MESSAGES, REVIEWS, TOMBSTONES


def texts(store: TableStore) -> DataFrame:
    """Reviews, and messages in which people say how they like things: id, subject_id, product_id, content_hash,
    event_timestamp, day, available_at, drop_id."""
    reviews = store.read(REVIEWS).withColumn("id", F.col("review_id"))
    said = F.col("channel").isin(*OPINION_CHANNELS)
    messages = store.read(MESSAGES).where(said).withColumn("id", F.col("message_id"))
    columns = (
        "id",
        F.col("user_id").alias("subject_id"),
        "product_id",
        "content_hash",
        "event_timestamp",
        F.to_date("event_timestamp").alias("day"),
        "available_at",
        "drop_id",
    )
    return reviews.select(*columns).unionByName(messages.select(*columns))


def judged_texts(store: TableStore, release: Release, owner: str) -> DataFrame:
    """The texts that a release's heads judged, as `opinion_rows.by_day` takes them; `owner` is subject_id or
    product_id. Those that may not be used for any purpose stay: what they once counted for is corrected."""
    known = without_erased(texts(store).where(F.col(owner).isNotNull()), store.read(TOMBSTONES))
    allowed = with_allowed_purposes(known, store.read(CONSENTS), store.read(IDENTITIES), store.settings)
    return allowed.join(judgements(store, release), "content_hash").select(
        F.col(owner).alias("owner"),
        "id",
        F.unix_date("day").alias("day"),
        F.unix_micros("event_timestamp").alias("at"),
        F.unix_micros("available_at").alias("known"),
        F.array_join("allowed_purposes", ",").alias("purposes"),
        "sentiment",
        "opinions",
    )


def judgements(store: TableStore, release: Release) -> DataFrame:
    """content_hash, sentiment and opinions by a release's heads."""
    name, version = release.encoder_for("opinions")
    said = store.read(TEXT_JUDGEMENTS).where((F.col("encoder") == name) & (F.col("encoder_version") == version))
    return said.select("content_hash", "sentiment", "opinions")


def users_due(store: TableStore, batch: Batch, release: Release, users: DataFrame) -> DataFrame:
    """`users` [user_id, from_day], and those of whom a text left a window since the last batch or was judged late."""
    every = [users.select("user_id", "from_day")]
    for subjects in _beside(store, batch, release, "subject_id", USER_OPINION_DAYS):
        links = device_links(store).select("user_id", "subject_id")
        every.append(subjects.select(F.col("owner").alias("user_id"), "from_day"))
        every.append(
            links.join(subjects.withColumnRenamed("owner", "subject_id"), "subject_id").select("user_id", "from_day")
        )
    return _earliest(every, "user_id")


def touched_products(store: TableStore, batch: Batch, release: Release, users: DataFrame) -> DataFrame:
    """Products whose texts may count anew: of subjects that a batch touches (`users`), of windows that ended since the
    last one, of texts judged late. [product_id, from_day], too many rather than too few."""
    said = texts(store).where(F.col("product_id").isNotNull())
    dirty = users.select(F.col("user_id").alias("subject_id"), "from_day")
    of_dirty = said.join(dirty, "subject_id").where(F.col("day") >= F.col("from_day"))
    brought = said.where(F.col("drop_id").isin(*batch.drop_ids)) if batch.drop_ids else said.limit(0)
    every = [rows.select("product_id", F.col("day").alias("from_day")) for rows in (of_dirty, brought)]
    windows = (0, *PRODUCT_OPINION_DAYS, *TREND_DAYS)
    for owners in _beside(store, batch, release, "product_id", windows):
        every.append(owners.select(F.col("owner").alias("product_id"), "from_day"))
    return _earliest(every, "product_id")


def _beside(store: TableStore, batch: Batch, release: Release, owner: str, windows: Sequence[int]) -> list[DataFrame]:
    """Owners [owner, from_day] of texts that a batch touches beside those of its drops."""
    if batch.previous_as_of is None:
        return []
    said = texts(store).where(F.col(owner).isNotNull()).withColumn("owner", F.col(owner))
    since = batch.previous_as_of.date()
    leaving = said.where(_leaves(since, max(batch.as_of, batch.previous_as_of).date(), windows))
    found = [leaving.select("owner", F.lit(since).alias("from_day"))]
    started = last_start(store, batch)
    if started is not None:
        new = judged_since(store, release, started)
        earlier = said.where(~F.col("drop_id").isin(list(batch.drop_ids)))
        found.append(earlier.join(new, "content_hash", "left_semi").select("owner", F.col("day").alias("from_day")))
    return found


def judged_since(store: TableStore, release: Release, since: dt.datetime) -> DataFrame:
    """Texts that were judged in files written after a moment: content_hash. A compaction makes all look new, which
    costs one recomputation and changes nothing."""
    name, version = release.encoder_for("opinions")
    rows = store.read(TEXT_JUDGEMENTS).where(F.col("_metadata.file_modification_time") > F.lit(since))
    return rows.where((F.col("encoder") == name) & (F.col("encoder_version") == version)).select("content_hash")


def _leaves(since: dt.date, over: dt.date, windows: Sequence[int]) -> Column:
    """Days that left a window (0: that ended) from `since` on and before `over`."""
    day = F.col("day")
    ranges = ((since - dt.timedelta(days=w), over - dt.timedelta(days=w)) for w in windows)
    return reduce(lambda a, b: a | b, ((day >= F.lit(a)) & (day < F.lit(b)) for a, b in ranges))


def _earliest(every: list[DataFrame], key: str) -> DataFrame:
    rows = reduce(DataFrame.unionByName, every)
    return rows.groupBy(key).agg(F.min("from_day").alias("from_day"))
