"""Vectors that arrived after the tiles of their contents: whose interests they correct, and from which day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import Column
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.features.changes import device_links
from pipelines.governance.progress import Batch, marked
from pipelines.releases.manifest import Release
from pipelines.tables.aggregates import EMBEDDINGS, USER_TILES
from pipelines.tables.governance import PROGRESS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def with_late_vectors(store: TableStore, batch: Batch, release: Release, dirty_users: DataFrame) -> DataFrame:
    """`dirty_users` (user_id, from_day) and the users of contents whose vector has arrived since the last batch."""
    fresh = fresh_contents(store, batch, release)
    if fresh is None:
        return dirty_users
    earlier = store.read(USER_TILES).where(~F.col("drop_id").isin(list(batch.drop_ids)))
    touched = (
        earlier.join(F.broadcast(fresh), ["content_id", "modality"])
        .groupBy("subject_id")
        .agg(F.min("day").alias("from_day"))
    )
    users = dirty_users.select("user_id", "from_day").unionByName(_users_of(store, touched))
    return users.groupBy("user_id").agg(F.min("from_day").alias("from_day"))


def fresh_contents(store: TableStore, batch: Batch, release: Release) -> DataFrame | None:
    """Contents (content_id, modality) of the release whose vector has arrived since the last batch; None: none.

    Arrival is taken from the time the embeddings' files were written, for `created_at` is a run's time, which may be
    set: files newer than the start of the job's last finished batch, or than the backfill of the encoder's version,
    which took them in. A compaction of that table makes every vector look new, which costs one recomputation and
    changes nothing.
    """
    last = last_start(store, batch)
    if last is None or not store.exists(EMBEDDINGS):
        return None
    versions = {release.encoder_for(part) for part in release.encoders}
    backfilled = marked(store, [backfill_job(version) for version in versions])
    since = {version: max(last, backfilled.get(backfill_job(version), last)) for version in versions}
    fresh = _written_after(store.read(EMBEDDINGS), since)
    return None if fresh.isEmpty() else fresh


def backfill_job(version: tuple[str, str]) -> str:
    """The job whose mark says up to when a version's vectors are in the histories that a promotion wrote."""
    return "backfill/" + "/".join(version)


def last_start(store: TableStore, batch: Batch) -> dt.datetime | None:
    """When the job's last finished batch was begun, by the wall clock; None before its first."""
    others = store.read(PROGRESS).where((F.col("job") == batch.job) & (F.col("batch_id") != batch.batch_id))
    finished = others.where("state = 'finished'").select("batch_id")
    started = others.where("state = 'started'").join(finished, "batch_id", "left_semi")
    micros = started.agg(F.unix_micros(F.max("written_at"))).collect()[0][0]
    return None if micros is None else dt.datetime.fromtimestamp(micros / 1e6, dt.UTC)


def _written_after(embeddings: DataFrame, since: Mapping[tuple[str, str], dt.datetime]) -> DataFrame:
    """Contents with a vector of one of the versions in a file written after the version's time."""
    at = F.col("_metadata.file_modification_time")
    newer = [
        (F.col("encoder") == name) & (F.col("encoder_version") == version) & (at > F.lit(time))
        for (name, version), time in since.items()
    ]
    return (
        embeddings.where(reduce(Column.__or__, newer) & (F.col("status") == "ok"))
        .select(F.col("content_hash").alias("content_id"), "modality")
        .distinct()
    )


def _users_of(store: TableStore, touched: DataFrame) -> DataFrame:
    """Users that sum the subjects: themselves, and whom a device was linked to."""
    own = touched.select(F.col("subject_id").alias("user_id"), "from_day")
    linked = device_links(store).select("user_id", "subject_id", "linked_at").join(touched, "subject_id")
    # A link made at 00:00 sharp holds for the row of that instant, which ends the day before.
    since = F.date_sub(F.to_date("linked_at"), 1)
    return own.unionByName(linked.select("user_id", F.greatest("from_day", since).alias("from_day")))
