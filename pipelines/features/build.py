"""The feature step: for each batch of drops, daily sums and tiles, then every history they feed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.features.changes import device_links, dirty_subject_days, dirty_users
from pipelines.features.daily import build_daily
from pipelines.features.products import build_product_activity
from pipelines.features.recent_products import build_recent_products
from pipelines.features.scalars import build_scalars, expiring_users
from pipelines.governance.progress import Batch, finish, pending_batches, start
from pipelines.governance.runs import Run, StepReport, timed_step
from pipelines.tables.aggregates import USER_DAILY, USER_TILES
from pipelines.tables.features import (
    PRODUCT_ACTIVITY,
    PRODUCT_VECTORS,
    USER_FUSED,
    USER_OPINIONS,
    USER_RECENT_PRODUCTS,
    USER_TAGS,
)

if TYPE_CHECKING:
    from pipelines.releases.manifest import Release

JOB = "features"


def build_features(store: TableStore, run: Run, *releases: Release) -> StepReport:
    """Bring every feature table up to the run's time, for all the releases; without any, those that need no encoder.
    With nothing new it touches no table.

    A batch that was cut off is resumed as it was begun; each of its writes happens once.
    """
    with timed_step(JOB) as report:
        for batch in pending_batches(store, JOB, run):
            start(store, batch)
            _build(store, batch, releases, report)
            finish(store, batch)
    return report


def _build(store: TableStore, batch: Batch, releases: Sequence[Release], report: StepReport) -> None:
    days = dirty_subject_days(store, batch).persist()
    users = dirty_users(store, batch, days).persist()

    def timed(part: str, work: Callable[[], int | dict[str, int]]) -> None:
        started = time.perf_counter()
        written = work()
        for table, rows in (written if isinstance(written, dict) else {part: written}).items():
            report.add(table, "rows_written", rows)
        report.add(part, "seconds", time.perf_counter() - started)

    try:
        timed(USER_DAILY.name, lambda: build_daily(store, days))
        build_scalar_histories(store, batch, days, users, timed)
        if releases:
            build_vector_histories(store, batch, releases, days, users, timed)
            build_tag_histories(store, batch, releases, users, timed)
        report.add(None, "users_touched", users.count())
    finally:
        days.unpersist()
        users.unpersist()


Timed = Callable[[str, Callable[[], "int | dict[str, int]"]], None]


def build_scalar_histories(store: TableStore, batch: Batch, days: DataFrame, users: DataFrame, timed: Timed) -> None:
    """Histories of counts and amounts: of users with something new, and of those whose windows expired."""
    due = users_due(store, batch, users).persist()
    try:
        timed("scalars", lambda: build_scalars(store, batch, due))
    finally:
        due.unpersist()
    timed(USER_RECENT_PRODUCTS.name, lambda: build_recent_products(store, batch, users))
    timed(PRODUCT_ACTIVITY.name, lambda: build_product_activity(store, batch, days))


def build_vector_histories(
    store: TableStore, batch: Batch, releases: Sequence[Release], days: DataFrame, users: DataFrame, timed: Timed
) -> None:
    """Histories of vectors and of what heads make of them, of all the releases; what releases share is built once."""
    from pipelines.features.fused import build_fused
    from pipelines.features.interests import build_interests
    from pipelines.features.opinions import build_opinions
    from pipelines.features.product_vectors import build_product_vectors
    from pipelines.features.tiles import build_tiles
    from pipelines.releases.versions import own_histories

    timed(USER_TILES.name, lambda: build_tiles(store, batch, days))
    for number, release in enumerate(releases):
        tables = [table for table, _ in own_histories(release, releases[:number])]
        timed("interests", partial(build_interests, store, batch, release, users, tables))
        if USER_FUSED in tables:
            timed(USER_FUSED.name, partial(build_fused, store, batch, release, users))
        if PRODUCT_VECTORS in tables:
            timed(PRODUCT_VECTORS.name, partial(build_product_vectors, store, batch, release))
        if USER_OPINIONS in tables:
            timed("opinions", partial(build_opinions, store, batch, release, users))


def build_tag_histories(
    store: TableStore, batch: Batch, releases: Sequence[Release], users: DataFrame, timed: Timed
) -> None:
    """Tags of users with something new or expired, by each release's definition of them."""
    from pipelines.releases.versions import own_histories
    from pipelines.tags.build import build_tags

    wanted = [
        release
        for number, release in enumerate(releases)
        if USER_TAGS in (table for table, _ in own_histories(release, releases[:number]))
    ]
    if not wanted:
        return
    due = users_due(store, batch, users).persist()
    try:
        for release in wanted:
            timed("tags", partial(build_tags, store, batch, release, due))
    finally:
        due.unpersist()


def users_due(store: TableStore, batch: Batch, users: DataFrame) -> DataFrame:
    """`users` and those whose windows expired since the last batch, themselves or by a device: [user_id, from_day]."""
    expiring = expiring_users(store, batch)
    linked = expiring.withColumnRenamed("user_id", "subject_id").join(device_links(store), "subject_id")
    every = users.unionByName(expiring).unionByName(linked.select("user_id", "from_day"))
    return every.groupBy("user_id").agg(F.min("from_day").alias("from_day"))
