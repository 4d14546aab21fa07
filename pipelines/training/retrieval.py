"""How the offline store reads: which engine does the work, on which histories."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
from feast import FeatureView
from feast.data_source import DataSource
from feast.feature_view import DUMMY_ENTITY_ID, DUMMY_ENTITY_VAL
from feast.infra.offline_stores.offline_store import RetrievalMetadata
from feast.utils import compute_non_entity_date_range

from pipelines.point_in_time.engines import Engine, LocalEngine, SparkEngine
from pipelines.point_in_time.history_plan import History, HistoryView
from pipelines.point_in_time.instants import UTC_MICROS, utc_micros
from pipelines.point_in_time.join import Joined, joined_slices
from pipelines.point_in_time.latest_rows import latest_rows
from pipelines.point_in_time.spark_copies import opened_histories
from pipelines.settings import load_settings
from pipelines.training.entity_frames import TIMESTAMP
from pipelines.training.feature_views import require_delta
from pipelines.training.retrieval_job import DeltaRetrievalJob

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Join keys, features, event_timestamp, created_at: as the table has them.
Columns: TypeAlias = tuple[list[str], list[str], str, str | None]
RangeReader: TypeAlias = Callable[[History, datetime, datetime, Engine], pa.Table]
EngineName: TypeAlias = Literal["auto", "local", "spark"]


@dataclass(frozen=True)
class Retrieval:
    """The offline store's settings, and what they make of a request."""

    engine: EngineName
    local_limit_bytes: int
    staging: str | None
    entity_rows_at_once: int

    @contextmanager
    def joined(
        self, entities: pa.Table, timestamp: str, views: Sequence[HistoryView], asked: pa.Array | None = None
    ) -> Iterator[tuple[dict[str, int], Iterator[Joined]]]:
        """The version of each view's table, and the join of the entity rows in slices (see `joined_slices`)."""
        moments = entities.column(timestamp)
        with self.opened(views) as (histories, engine):
            versions = {history.view.name: history.version for history in histories}
            yield versions, joined_slices(entities, moments, histories, engine, self.entity_rows_at_once, asked)

    @contextmanager
    def opened(self, views: Sequence[HistoryView]) -> Iterator[tuple[list[History], Engine]]:
        """The views' histories, each at one version, and the engine to read them with."""
        session = None if self.engine == "local" or find_spec("pyspark") is None else spark_of_feast
        with opened_histories(views, session, self.staging) as histories:
            yield histories, self._engine_for(histories, session)

    def _engine_for(self, histories: Sequence[History], session: Callable[[], SparkSession] | None) -> Engine:
        large = sum(history.bytes for history in histories) > self.local_limit_bytes
        if session is not None and (self.engine == "spark" or large):
            return SparkEngine(session())
        return LocalEngine()

    def job(self, read: Callable[[], pa.Table], **options: Any) -> DeltaRetrievalJob:
        return DeltaRetrievalJob(read, spark_of_feast, self.staging, **options)

    def metadata(self, feature_refs: list[str], entities: pa.Table, timestamp: str) -> RetrievalMetadata:
        """What Feast remembers of a retrieval; its times are aware and UTC."""
        extremes = pc.min_max(utc_micros(entities.column(timestamp)))
        keys = [name for name in entities.column_names if name != timestamp]
        return RetrievalMetadata(feature_refs, keys, extremes["min"].as_py(), extremes["max"].as_py())

    def everybody(
        self,
        feature_views: Sequence[FeatureView],
        views: Sequence[HistoryView],
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> pa.Table:
        """Entity rows of every key with a row in the time range, as of its end; keys that a view lacks are NULL."""
        start, end = compute_non_entity_date_range(list(feature_views), start_date, end_date)
        tables = []
        with self.opened(views) as (histories, engine):
            for history in histories:
                rows = latest_rows(history.without_features(), start, end, engine)
                columns = {asked: rows.column(stored) for asked, stored in history.view.keys}
                tables.append(pa.table(columns))
        keys = pa.concat_tables(tables, promote_options="permissive")
        distinct = keys.group_by(keys.column_names).aggregate([]) if keys.column_names else keys
        moments = pa.repeat(pa.scalar(end, UTC_MICROS), max(len(distinct), 0 if keys.column_names else 1))
        return pa.table([*distinct.columns, moments], names=[*distinct.column_names, TIMESTAMP])

    def pulled(
        self, source: DataSource, columns: Columns, reader: RangeReader, start: datetime, end: datetime
    ) -> DeltaRetrievalJob:
        """Rows of a source by themselves, as materialisation and saved datasets read them."""
        keys, features, event, created = columns
        delta = require_delta(source, f"source '{source.name}'")
        names = features or [n for n, _ in delta.columns() if n not in {*keys, event, created}]
        view = HistoryView(
            name=source.name,
            location=delta.path,
            keys=tuple((key, key) for key in keys),
            event_timestamp=event,
            created_at=created or None,
            features=tuple((name, name) for name in names),
            where=delta.partition,
            schema=delta.declared_schema,
        )
        order = [*keys, *names, event, *([created] if created else [])]

        def read() -> pa.Table:
            with self.opened([view]) as ([history], engine):
                table = reader(history, start, end, engine).select(order)
            table = table.rename_columns([source.field_mapping.get(name, name) for name in order])
            if keys or features == []:
                return table
            # Feast gives a view without entities one entity of its own.
            return table.append_column(DUMMY_ENTITY_ID, pa.repeat(pa.scalar(DUMMY_ENTITY_VAL), len(table)))

        return self.job(read)


def spark_of_feast() -> SparkSession:
    """The active Spark session, else a new one with Delta, as the settings say."""
    from pipelines.spark import spark_session

    return spark_session(load_settings(), "feast")
