"""What Feast hands out for a retrieval: run when its result is asked for."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from feast.infra.offline_stores.offline_store import RetrievalJob, RetrievalMetadata
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.saved_dataset import SavedDatasetStorage

from pipelines.errors import SettingsError
from pipelines.point_in_time.delta_log import open_filesystem
from pipelines.training.delta_writing import replace_table, spark_frame
from pipelines.training.feast_destinations import SavedDatasetDeltaStorage

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# Rows of a file of `to_remote_storage`.
_FILE_ROWS = 1_000_000


class DeltaRetrievalJob(RetrievalJob):
    """A retrieval of our offline store. `read` makes the rows before on-demand transformations."""

    def __init__(
        self,
        read: Callable[[], pa.Table],
        session: Callable[[], SparkSession],
        staging: str | None,
        *,
        full_feature_names: bool = False,
        on_demand_feature_views: list[OnDemandFeatureView] | None = None,
        metadata: RetrievalMetadata | None = None,
    ) -> None:
        self._read = read
        self._session = session
        self._staging = staging
        self._full_feature_names = full_feature_names
        self._on_demand_feature_views = on_demand_feature_views or []
        self._metadata = metadata

    @property
    def full_feature_names(self) -> bool:
        return self._full_feature_names

    @property
    def on_demand_feature_views(self) -> list[OnDemandFeatureView]:
        return self._on_demand_feature_views

    @property
    def metadata(self) -> RetrievalMetadata | None:
        return self._metadata

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:
        return self._read()

    def _to_df_internal(self, timeout: int | None = None) -> pd.DataFrame:
        return self._read().to_pandas()

    def to_spark_df(self) -> DataFrame:
        """The result as a Spark frame; row order is that of the entity rows."""
        return spark_frame(self._session(), self.to_arrow())

    def persist(self, storage: SavedDatasetStorage, allow_overwrite: bool = False, timeout: int | None = None) -> None:
        """Write the result as a Delta table. Raises SavedDatasetLocationAlreadyExists where one is there."""
        if not isinstance(storage, SavedDatasetDeltaStorage):
            raise SettingsError(f"saved datasets are kept in SavedDatasetDeltaStorage, not {type(storage).__name__}")
        replace_table(self._session(), self.to_arrow(), storage.path, allow_overwrite=allow_overwrite)

    def supports_remote_storage_export(self) -> bool:
        return self._staging is not None

    def to_remote_storage(self) -> list[str]:
        """Write the result as Parquet files below `staging_location`; their paths or URIs."""
        if self._staging is None:
            raise SettingsError("offline_store: set staging_location, a folder or URI, to export results")
        folder = f"{self._staging.rstrip('/')}/{uuid.uuid4().hex}"
        system, path = open_filesystem(folder)
        system.create_dir(path, recursive=True)
        table = self.to_arrow()
        names = [f"part-{n:05d}.parquet" for n in range(max(1, -(-len(table) // _FILE_ROWS)))]
        for number, name in enumerate(names):
            pq.write_table(table.slice(number * _FILE_ROWS, _FILE_ROWS), f"{path}/{name}", filesystem=system)
        return [f"{folder}/{name}" for name in names]
