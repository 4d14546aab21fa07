"""How far each view was taken into the online store, and which keys were touched since."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import unquote

from feast import FeatureStore, FeatureView
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.errors import OnlineStoreNotReadyError
from pipelines.frames import frame_of
from pipelines.serving.delta_source import DeltaSource
from pipelines.serving.repo import packed_store
from pipelines.tables.governance import MATERIALISED
from pipelines.tables.schema import Table
from pipelines.tables.sources import TOMBSTONES

_LOG_SCHEMA = "add STRUCT<path: STRING, partitionValues: MAP<STRING, STRING>, dataChange: BOOLEAN>"


@dataclass(frozen=True)
class Progress:
    """A view's rows were taken in up to a Delta version of its table and an event_timestamp (aware, UTC)."""

    view: str
    table_version: int
    as_of: datetime
    rows_ahead: bool
    written_at: datetime


def online_store_id(feast: FeatureStore) -> str:
    """Tells online stores apart: what was taken into one says nothing of another."""
    config = feast.config.online_store
    place = getattr(config, "path", None) or getattr(config, "connection_string", "")
    return hashlib.sha256(f"{config.type}|{place}".encode()).hexdigest()[:16]


def read_progress(store: TableStore, feast: FeatureStore) -> dict[str, Progress]:
    """Progress by view, and that of the erased.

    Empty where the online store was emptied or restored to another state since.
    """
    rows = store.read(MATERIALISED).where(F.col("online_store") == online_store_id(feast)).collect()
    progress = {
        r.view: Progress(r.view, r.table_version, _utc(r.as_of), r.rows_ahead, _utc(r.written_at))
        for r in sorted(rows, key=lambda r: r.written_at)
    }
    newest = max((p.written_at for p in progress.values()), default=None)
    if newest is None or packed_store(feast).keeper(feast.config).mark() != newest.isoformat():
        return {}
    erased = {name: done for name, done in progress.items() if name == TOMBSTONES.name}
    return erased | {
        view.name: progress[view.name]
        for view in feast.list_batch_feature_views()
        # A view that was deleted and came back (a rollback) lost its online rows meanwhile; so may have one whose
        # creation the registry does not tell, and it is taken in again.
        if view.name in progress
        and view.created_timestamp is not None
        # Feast's registry hands its times out naive and in UTC.
        and progress[view.name].written_at >= view.created_timestamp.replace(tzinfo=UTC)
    }


class Filling:
    """From before anything is written to the mark: tells whether the online store was emptied in between.

    A Redis that is restarted is empty and answers on; what was written before is gone, and a mark would say that
    everything is there.
    """

    def __init__(self, feast: FeatureStore) -> None:
        self._keeper = packed_store(feast).keeper(feast.config)
        self._mark = self._keeper.mark()
        if self._mark is None:
            # Leaves something of its own in an empty store; it is 0 again in one that was emptied.
            self._keeper.raise_generation()
        self._generation = self._keeper.read([], []).generation

    def require_unbroken(self) -> None:
        """Raises OnlineStoreNotReadyError."""
        now = self._keeper.read([], [])
        if now.mark != self._mark or now.generation < self._generation:
            raise OnlineStoreNotReadyError("the online store was emptied while it was filled; run: mmfs materialise")


def write_progress(store: TableStore, feast: FeatureStore, done: list[Progress], filling: Filling) -> None:
    """Record progress in the home, then its mark in the online store: a crash between them repeats the work.

    Raises OnlineStoreNotReadyError where the store was emptied meanwhile.
    """
    online = online_store_id(feast)
    rows = [(p.view, online, p.table_version, p.as_of, p.rows_ahead, p.written_at) for p in done]
    newest = max(p.written_at for p in done).isoformat()
    frame = frame_of(store.spark, rows, MATERIALISED.ddl).coalesce(1)
    filling.require_unbroken()
    store.append_once(frame, MATERIALISED, f"{online}/{newest}")
    # Once more: the record takes seconds.
    filling.require_unbroken()
    packed_store(feast).keeper(feast.config).set_mark(newest)


def touched_keys(
    store: TableStore, view: FeatureView, key: str, since: Progress, version: int, as_of: datetime
) -> DataFrame | None:
    """Keys with rows added since, or whose time has come since; None where Delta's log no longer tells."""
    source = view.batch_source
    assert isinstance(source, DeltaSource)
    table, spark = source.declared_table, store.spark
    try:
        files = _files_added(store, table, source.partition, since.table_version, version)
        # Keys alone are read, so rows that were deleted meanwhile do no harm: the winner is looked up in the table.
        reader = spark.read.option("recursiveFileLookup", "true")
        keys = reader.parquet(*files).select(key) if files else frame_of(spark, [], f"{key} string")
    except AnalysisException as error:
        if error.getCondition() == "PATH_NOT_FOUND":
            return None
        raise
    if since.rows_ahead:
        ahead = F.col("event_timestamp").between(F.lit(since.as_of), F.lit(as_of))
        keys = keys.union(partition_rows(store, source, version).where(ahead).select(key))
    return keys.distinct()


def partition_rows(store: TableStore, source: DeltaSource, version: int) -> DataFrame:
    """The history rows of a source at a version of its table."""
    rows = store.read_version(source.declared_table, version)
    for column, value in source.partition.items():
        rows = rows.where(F.col(column) == value)
    return rows


def _files_added(store: TableStore, table: Table, partition: dict[str, str], after: int, until: int) -> list[str]:
    location = store.location(table)
    logs = [f"{location}/_delta_log/{v:020d}.json" for v in range(after + 1, until + 1)]
    if not logs:
        return []
    added = store.spark.read.schema(_LOG_SCHEMA).json(logs).where("add.dataChange").select("add.*")
    for column, value in partition.items():
        added = added.where(F.col("partitionValues")[column] == value)
    return [f"{location}/{unquote(row.path)}" for row in added.select("path").collect()]


def _utc(value: datetime) -> datetime:
    # pyspark hands times out naive, in the process's local zone.
    return value.astimezone(UTC)
