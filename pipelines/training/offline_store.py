"""Feast's offline store over Delta tables: `type: pipelines.training.offline_store.DeltaOfflineStore`.

Point-in-time retrieval is the join of `join.py`; what each row gets is said in docs/point-in-time.md. Reading needs
neither pyspark nor a JVM unless the Spark engine is chosen; writing is Spark's.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from feast import FeatureView, OnDemandFeatureView
from feast.data_source import DataSource
from feast.feature_logging import LoggingConfig, LoggingSource
from feast.infra.offline_stores.offline_store import OfflineStore, RetrievalJob
from feast.infra.offline_stores.offline_utils import get_pyarrow_schema_from_batch_source
from feast.infra.registry.base_registry import BaseRegistry
from feast.repo_config import FeastConfigBaseModel, RepoConfig
from feast.utils import _get_requested_feature_views_to_features_dict, _get_requested_on_demand_feature_views

from pipelines.errors import FeatureViewError, SettingsError
from pipelines.point_in_time.latest_rows import all_rows, latest_rows
from pipelines.training.delta_writing import append_rows, spark_frame
from pipelines.training.entity_frames import (
    EntityRows,
    entity_table,
    require_columns,
    timestamp_column,
    with_instants,
)
from pipelines.training.feast_destinations import DeltaLoggingDestination
from pipelines.training.feature_views import history_view, join_keys, require_delta
from pipelines.training.retrieval import Retrieval, spark_of_feast


class DeltaOfflineStoreConfig(FeastConfigBaseModel):
    """`offline_store` in feature_store.yaml."""

    type: Literal["pipelines.training.offline_store.DeltaOfflineStore"] = (
        "pipelines.training.offline_store.DeltaOfflineStore"
    )
    # auto: Spark for histories of more than `local_limit_bytes`, where pyspark is installed.
    engine: Literal["auto", "local", "spark"] = "auto"
    local_limit_bytes: int = 4 * 2**30
    # Larger entity frames are joined in slices: what a slice asks for is sent to every process.
    entity_rows_at_once: int = 10_000_000
    # Where results are exported to, and where Spark copies tables that our own reader of the log does not know.
    staging_location: str | None = None
    # Whether a row counts from its event_timestamp on even if it was created later: this leaks, and is what stock
    # Feast does unless filter_by_created_timestamp is asked for.
    late_rows: bool = False


def retrieval_of(store: DeltaOfflineStoreConfig) -> Retrieval:
    """How a configured store reads."""
    return Retrieval(store.engine, store.local_limit_bytes, store.staging_location, store.entity_rows_at_once)


class DeltaOfflineStore(OfflineStore):
    """See the module. Methods are static because Feast calls them so."""

    supports_filter_by_created_timestamp = True

    @staticmethod
    def get_historical_features(
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: EntityRows | None,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        filter_by_created_timestamp: bool = False,
        **dates: datetime,
    ) -> RetrievalJob:
        """Without `entity_df`: every key with a row from start_date to end_date, as of end_date.

        Late rows never count unless the store is configured so; `filter_by_created_timestamp` then leaves them out.
        """
        retrieval = _retrieval(config)
        on_demand = _get_requested_on_demand_feature_views(feature_refs, project, registry)
        chosen, _ = _get_requested_feature_views_to_features_dict(feature_refs, feature_views, on_demand)
        late = config.offline_store.late_rows and not filter_by_created_timestamp
        views = [
            history_view(view, features, full_names=full_feature_names, late_rows=late)
            for view, features in chosen.items()
        ]
        if entity_df is None:
            entities = retrieval.everybody(feature_views, views, **dates)
        else:
            entities = entity_table(entity_df, spark_of_feast)
        name = timestamp_column(entities)
        require_columns(entities, {asked for view in chosen for asked, _ in join_keys(view)})
        entities = with_instants(entities, name)

        def read() -> pa.Table:
            with retrieval.joined(entities, name, views) as (_, slices):
                return pa.concat_tables(joined.table() for joined in slices)

        return retrieval.job(
            read,
            full_feature_names=full_feature_names,
            on_demand_feature_views=OnDemandFeatureView.get_requested_odfvs(feature_refs, project, registry),
            metadata=retrieval.metadata(feature_refs, entities, name),
        )

    @staticmethod
    def pull_latest_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None,
        start_date: datetime,
        end_date: datetime,
    ) -> RetrievalJob:
        columns = (join_key_columns, feature_name_columns, timestamp_field, created_timestamp_column)
        return _retrieval(config).pulled(data_source, columns, latest_rows, start_date, end_date)

    @staticmethod
    def pull_all_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> RetrievalJob:
        columns = (join_key_columns, feature_name_columns, timestamp_field, created_timestamp_column)
        start, end = start_date or datetime.min.replace(tzinfo=UTC), end_date or datetime.max.replace(tzinfo=UTC)
        return _retrieval(config).pulled(data_source, columns, all_rows, start, end)

    @staticmethod
    def offline_write_batch(
        config: RepoConfig, feature_view: FeatureView, table: pa.Table, progress: Callable[[int], Any] | None
    ) -> None:
        source = require_delta(feature_view.batch_source, f"feature view '{feature_view.name}'")
        _, names = get_pyarrow_schema_from_batch_source(config, source)
        if names != table.column_names:
            raise FeatureViewError(
                f"table {source.path} has the columns {names} in this order, given: {table.column_names}"
            )
        for column, value in source.fixed_values().items():
            table = table.append_column(column, pa.repeat(pa.scalar(value), len(table)))
        spark = spark_of_feast()
        append_rows(spark, spark_frame(spark, table), source.path)
        if progress:
            progress(len(table))

    @staticmethod
    def write_logged_features(
        config: RepoConfig,
        data: pa.Table | Path,
        source: LoggingSource,
        logging_config: LoggingConfig,
        registry: BaseRegistry,
    ) -> None:
        destination = logging_config.destination
        if not isinstance(destination, DeltaLoggingDestination):
            raise SettingsError(f"features are logged to DeltaLoggingDestination, not {type(destination).__name__}")
        spark = spark_of_feast()
        rows = pq.read_table(data) if isinstance(data, Path) else data
        append_rows(spark, spark_frame(spark, rows), destination.path)


def _retrieval(config: RepoConfig) -> Retrieval:
    return retrieval_of(config.offline_store)
