"""The histories of a new encoder version, from the tiles of every day: one row for each row of the version it follows.

The pairs (event_timestamp, created_at) are those of the version that stands, so whoever joins point-in-time finds
the same rows at the same moments. Tiles are read once for each table; vectors are gathered where they are summed.
Cost ∝ tiles + rows of the standing history. Each table is replaced in one commit, so doing it again changes nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.errors import PromotionRefusedError
from pipelines.features.fused_rows import backfilled_fused
from pipelines.features.interest_rows import VECTOR
from pipelines.features.interests import MODALITIES, versioned
from pipelines.features.medoids import recent_actions
from pipelines.features.product_vectors import VECTORS as PRODUCT_COLUMNS
from pipelines.features.product_vectors import product_vectors
from pipelines.features.published import published, with_values
from pipelines.features.steps import ALWAYS, link_changes, memberships, purpose_tiles, step_weights
from pipelines.features.subjects import subjects_of
from pipelines.features.summing import row_schema, summed, with_places
from pipelines.features.vectors import VectorMatrix, vectors_of
from pipelines.features.whole_groups import whole_groups
from pipelines.governance.runs import Run
from pipelines.identity.tombstones import without_erased
from pipelines.point_in_time.history_files import FileColumn
from pipelines.releases.backfill_rows import backfilled_interests
from pipelines.releases.manifest import Release
from pipelines.releases.opinion_backfill import backfilled_opinions, first_opinions
from pipelines.releases.tag_backfill import backfilled_tags, first_tags
from pipelines.tables.aggregates import EMBEDDINGS, USER_TILES
from pipelines.tables.definitions import HALF_LIVES_DAYS
from pipelines.tables.features import PRODUCT_VECTORS, USER_FUSED
from pipelines.tables.schema import Table
from pipelines.tables.sources import PRODUCT_CONTENTS, TOMBSTONES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Version = tuple[str, str]
_BEGINNING = dt.datetime(1, 1, 1, tzinfo=dt.UTC)
_PAIR = ("event_timestamp", "created_at")
_KEY = ("user_id", "purpose", "day")


def begin_history(store: TableStore, run: Run, table: Table, candidate: Release) -> None:
    """Write the candidate's version of a history that the standing release has not, up to the run's time."""
    part = table.depends_on or ""
    first = first_tags if part == "tags" else first_opinions
    replace_version(store, first(store, table, candidate, run), table, candidate.encoder_for(part))


def backfill(store: TableStore, table: Table, standing: Release, candidate: Release) -> None:
    """Write the candidate's version of a history, replacing what an earlier attempt wrote.

    Raises PromotionRefusedError where the candidate has no vector for it; VectorsTooLargeError.
    """
    part = table.depends_on or ""
    old, new = standing.encoder_for(part), candidate.encoder_for(part)
    pairs = pairs_of(store, table, old)
    if table is PRODUCT_VECTORS:
        rows = _product_vectors(store, pairs, new)
    elif part == "tags":
        rows = backfilled_tags(store, table, pairs, candidate)
    elif part == "opinions":
        rows = backfilled_opinions(store, table, pairs, candidate)
    elif table is USER_FUSED:
        rows = _fused(store, pairs, candidate)
    else:
        modality = next(name for name, of in MODALITIES.items() if of is table)
        rows = interest_history(store, table, modality, pairs, new)
    replace_version(store, rows, table, new)


def pairs_of(store: TableStore, table: Table, version: Version) -> DataFrame:
    """Keys and both times of a version's rows, without those of whoever was erased; no vector is read."""
    if table.entity == "product":
        return store.read(table).where(version_predicate(version)).select("product_id", *_PAIR)
    pairs = published(store, table, version, _BEGINNING, ()).select("user_id", "purpose", *_PAIR)
    return without_erased(pairs, store.read(TOMBSTONES), "user_id")


def replace_version(store: TableStore, rows: DataFrame, table: Table, version: Version) -> None:
    """Make these the only rows of a version, in one commit."""
    store.replace_where(versioned(rows, table, version), table, version_predicate(version))


def version_predicate(version: Version) -> str:
    """Of the partitions that hold a version's rows, in SQL."""
    name, number = (quoted(text) for text in version)
    return f"encoder = '{name}' AND encoder_version = '{number}'"


def quoted(text: str) -> str:
    """What stands between the quotes of a literal of Spark SQL."""
    return text.replace("\\", "\\\\").replace("'", "\\'")


def half_lives_of(table: Table) -> tuple[int, ...]:
    """Those that an interest history has columns for, in days."""
    return tuple(h for h in HALF_LIVES_DAYS if f"mean_{h}d" in table.column_names)


def interest_history(store: TableStore, table: Table, modality: str, pairs: DataFrame, version: Version) -> DataFrame:
    """The rows of an interest history for the given pairs, by the vectors of an encoder version."""
    asked = pairs.withColumn("day", F.date_sub(F.to_date("event_timestamp"), 1)).drop("event_timestamp")
    users = pairs.select("user_id").distinct().withColumn("from_day", F.lit(ALWAYS))
    last_day = asked.agg(F.max("day")).collect()[0][0]
    if last_day is None:
        return store.spark.createDataFrame([], row_schema(half_lives_of(table), has_medoids=False))
    members = without_erased(memberships(subjects_of(store, users)), store.read(TOMBSTONES))
    changes = link_changes(members, last_day)
    tiles = purpose_tiles(store.read(USER_TILES), modality, table, last_day)
    matrix = vectors_of(store, modality, version, tiles)
    if matrix is None:
        raise PromotionRefusedError(f"encoder {'/'.join(version)} has no vector for any {modality} of the home")
    weights = step_weights(tiles, members, None if changes.isEmpty() else changes, None, table.purposes)
    actions = None
    if "medoid_product_ids" in table.column_names:
        actions = recent_actions(store, members, table, modality, last_day)
    return _interests(weights, asked, matrix, half_lives_of(table), actions)


def _interests(
    weights: DataFrame, asked: DataFrame, matrix: VectorMatrix, half_lives: Sequence[int], actions: DataFrame | None
) -> DataFrame:
    rows = with_places(weights, matrix)
    of_weights = [f"weight_{h}d" for h in half_lives]
    rows = rows.select(*_KEY, "row", *of_weights, "elapsed_days", "reset", "available_at")
    rows = rows.unionByName(asked.select(*_KEY, "created_at"), allowMissingColumns=True)
    return summed(rows, matrix, actions, half_lives, partial(backfilled_interests, half_lives=half_lives))


def _fused(store: TableStore, pairs: DataFrame, candidate: Release) -> DataFrame:
    """From the candidate's interests, those that it shares with other releases included."""
    vector = FileColumn("vector", "mean_30d", VECTOR)
    day = F.date_sub(F.to_date("event_timestamp"), 1).alias("day")
    rows = pairs.select("user_id", "purpose", day, F.lit(len(MODALITIES)).alias("source"), "created_at")
    for number, table in enumerate(MODALITIES.values()):
        if not store.exists(table):
            continue
        history = published(store, table, candidate.encoder_for(table.depends_on or ""), _BEGINNING, [vector])
        history = with_values(
            history.where(F.col("purpose").isin(*USER_FUSED.purposes)), store.location(table), [vector]
        )
        one = history.select("user_id", "purpose", day, F.lit(number).alias("source"), "created_at", "vector")
        rows = rows.unionByName(one, allowMissingColumns=True)
    ordered = rows.repartition("user_id").sortWithinPartitions("user_id", "purpose", "day", "source", "created_at")
    sizes = (candidate.clip.dimensions, candidate.review.dimensions)

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for some in whole_groups(batches, rows=4096):
            yield from backfilled_fused(some, sizes).to_batches(max_chunksize=2048)

    schema = "user_id string, purpose string, vector array<float>, modalities_observed array<string>, "
    return ordered.mapInArrow(run, schema + "event_timestamp timestamp, created_at timestamp")


def _product_vectors(store: TableStore, pairs: DataFrame, version: Version) -> DataFrame:
    embeddings = store.read(EMBEDDINGS).where(version_predicate(version)).where("status = 'ok'")
    rows = product_vectors(store.read(PRODUCT_CONTENTS), embeddings)
    found = rows.select("product_id", "event_timestamp", *PRODUCT_COLUMNS.values())
    return pairs.join(found, ["product_id", "event_timestamp"], "left")
