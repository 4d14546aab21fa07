"""Decayed interests: S_T = S_prev * 2^(-dt / half_life) + the day's tiles x vectors, published as mean and weight.

Scalars are shuffled by user, vectors are gathered where they are summed. Cost ∝ the weights of the users touched:
their tiles since `from_day`, plus all their tiles where links changed. A modality's vectors are collected once.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.features.arrivals import with_late_vectors
from pipelines.features.interest_rows import PUBLISHED, PUBLISHED_VALUES, interest_rows
from pipelines.features.medoids import recent_actions
from pipelines.features.published import published, with_values
from pipelines.features.steps import (
    BASE_DAYS,
    bases,
    last_whole_day,
    link_changes,
    memberships,
    published_rows,
    purpose_tiles,
    step_weights,
)
from pipelines.features.subjects import subjects_of
from pipelines.features.summing import summed, with_places
from pipelines.features.vectors import VectorMatrix, vectors_of
from pipelines.governance.progress import Batch
from pipelines.identity.tombstones import without_erased
from pipelines.releases.manifest import Release
from pipelines.tables.aggregates import USER_TILES
from pipelines.tables.definitions import HALF_LIVES_DAYS, TILE_WEIGHTS
from pipelines.tables.features import (
    USER_REVIEW_INTEREST,
    USER_SEARCH_INTENT,
    USER_TEXT_INTEREST,
    USER_VIDEO_INTEREST,
    USER_VISUAL_INTEREST,
)
from pipelines.tables.schema import Table
from pipelines.tables.sources import TOMBSTONES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

MODALITIES = {
    "product_image": USER_VISUAL_INTEREST,
    "product_video": USER_VIDEO_INTEREST,
    "product_text": USER_TEXT_INTEREST,
    "query": USER_SEARCH_INTENT,
    "review": USER_REVIEW_INTEREST,
}
_KEY = ("user_id", "purpose", "day")


def build_interests(
    store: TableStore, batch: Batch, release: Release, dirty_users: DataFrame, tables: Collection[Table] | None = None
) -> dict[str, int]:
    """Write the interest rows that a batch adds or corrects, of all interests or those of `tables`; returns the rows
    written per table.

    `dirty_users` is (user_id, from_day). Users of contents whose vector arrived since the job's last batch are
    dirty too. Rows that equal the one in force are not written, so running it again changes nothing.
    """
    wanted = {m: table for m, table in MODALITIES.items() if tables is None or table in tables}
    dirty = with_late_vectors(store, batch, release, dirty_users)
    dirty = without_erased(dirty, store.read(TOMBSTONES), "user_id").persist()
    try:
        first_day = dirty.agg(F.min("from_day")).collect()[0][0]
        if first_day is None:
            return dict.fromkeys((t.name for t in wanted.values()), 0)
        members = memberships(subjects_of(store, dirty))
        members = without_erased(members, store.read(TOMBSTONES)).persist()
        changes = link_changes(members, last_whole_day(batch.as_of)).persist()
        who = _Touched(dirty, members, None if changes.isEmpty() else changes, first_day)
        return {
            table.name: _build_table(store, batch, release, modality, table, who) for modality, table in wanted.items()
        }
    finally:
        dirty.unpersist()


@dataclass(frozen=True)
class _Touched:
    """Whom a batch touches: dirty users, the subjects they sum, on which days those change, the first dirty day."""

    dirty: DataFrame
    members: DataFrame
    changes: DataFrame | None
    first_day: dt.date


def _build_table(store: TableStore, batch: Batch, release: Release, modality: str, table: Table, who: _Touched) -> int:
    encoder = release.encoder_for(table.depends_on or "")
    tiles = purpose_tiles(store.read(USER_TILES), modality, table, last_whole_day(batch.as_of))
    needed = tiles.join(who.members.select("subject_id"), "subject_id", "left_semi")
    matrix = vectors_of(store, modality, encoder, needed)
    if matrix is None:
        return 0
    last = old = None
    if store.exists(table):
        horizon = dt.datetime.combine(who.first_day - dt.timedelta(days=BASE_DAYS), dt.time(), dt.UTC)
        rows = published(store, table, encoder, horizon, PUBLISHED_VALUES)
        last = bases(rows, who.dirty)
        old = published_rows(rows, who.dirty, last, table.purposes)
        old = with_values(old, store.location(table), PUBLISHED_VALUES)
    weights = step_weights(tiles, who.members, who.changes, last, table.purposes)
    actions = None
    if "medoid_product_ids" in table.column_names:
        actions = recent_actions(store, who.members, table, modality, last_whole_day(batch.as_of))
    rows = interests(weights, old, matrix, batch, actions)
    return append_rows(store, rows, table, batch, encoder)


def append_rows(store: TableStore, rows: DataFrame, table: Table, batch: Batch, encoder: tuple[str, str]) -> int:
    """Append a batch's rows of an encoder version to a history, once; returns how many rows its commit wrote, 0 where
    it was made before."""
    before = store.version(table)
    store.append_once(versioned(rows, table, encoder), table, f"{batch.batch_id}/{table.name}/{'/'.join(encoder)}")
    after = store.version(table)
    return 0 if after is None or after == before else store.rows_written(table, after)


def versioned(rows: DataFrame, table: Table, encoder: tuple[str, str]) -> DataFrame:
    """Rows of an encoder version, with every column of the table: what is not there is null, except the wall clock."""
    rows = rows.withColumns({"encoder": F.lit(encoder[0]), "encoder_version": F.lit(encoder[1])})
    missing = {c.name: F.lit(None).cast(c.type) for c in table.columns if c.name not in rows.columns}
    missing["written_at"] = F.current_timestamp()
    return rows.withColumns(missing)


def interests(
    weights: DataFrame,
    published: DataFrame | None,
    matrix: VectorMatrix,
    batch: Batch,
    actions: DataFrame | None = None,
) -> DataFrame:
    """Interest rows of the steps: user_id, purpose, means and weights, event_timestamp, created_at.

    `weights` as of `step_weights`, `published` as of `published_rows` or None. With `actions`, as of
    `recent_actions`, medoids are added. Each user's rows come together in one task; only scalars and
    published rows are shuffled.
    """
    rows = with_places(weights, matrix)
    rows = rows.select(*_KEY, "row", *TILE_WEIGHTS, "elapsed_days", "reset", "quiet", "available_at")
    if published is not None:
        old = published.select(*_KEY, F.struct(*PUBLISHED.names).alias("published"))
        rows = rows.unionByName(old, allowMissingColumns=True)
    make = partial(interest_rows, as_of=None if batch.history else batch.as_of)
    return summed(rows, matrix, actions, HALF_LIVES_DAYS, make)
