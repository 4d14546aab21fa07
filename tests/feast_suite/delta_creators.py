"""What Feast's universal offline-store suite asks of a store: tables made of pandas frames, places to write to.

Feast's test package is named `tests` as ours is, so these modules are imported by their bare names; see `run.py`.
"""

from __future__ import annotations

import shutil
import tempfile
import uuid
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
from tests.universal.feature_repos.universal.data_source_creator import DataSourceCreator

from pipelines.serving.delta_source import DeltaSource
from pipelines.spark import tune_for_small_tables
from pipelines.training.delta_writing import replace_table
from pipelines.training.feast_destinations import DeltaLoggingDestination, SavedDatasetDeltaStorage
from pipelines.training.offline_store import DeltaOfflineStoreConfig
from pipelines.training.retrieval import spark_of_feast


class DeltaDataSourceCreator(DataSourceCreator):
    """Delta tables below a folder of its own, read by one engine."""

    engine: Literal["local", "spark"]

    def __init__(self, project_name: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(project_name)
        self._folder = Path(tempfile.mkdtemp(prefix="feast-suite-"))

    def create_data_source(
        self,
        df: pd.DataFrame,
        destination_name: str,
        created_timestamp_column: str | None = "created_ts",
        field_mapping: dict[str, str] | None = None,
        timestamp_field: str = "ts",
    ) -> DeltaSource:
        mapping = field_mapping or {"ts_1": "ts"}
        stored = {mapped: name for name, mapped in mapping.items()}.get(timestamp_field, timestamp_field)
        # The suite mixes naive times, which are UTC, with times of several zones in one column.
        for name in {timestamp_field, stored} & set(df.columns):
            df[name] = pd.to_datetime(df[name], utc=True)
        name = self.get_prefixed_table_name(destination_name)
        path = str(self._folder / name)
        spark = spark_of_feast()
        tune_for_small_tables(spark)
        replace_table(spark, pa.Table.from_pandas(df, preserve_index=False), path, allow_overwrite=True)
        source = DeltaSource(
            name=name,
            path=path,
            timestamp_field=timestamp_field,
            created_timestamp_column=created_timestamp_column,
            field_mapping=mapping,
        )
        # By this attribute the suite knows that SQL can name the table.
        vars(source)["table"] = source.get_table_query_string()
        return source

    def create_offline_store_config(self) -> DeltaOfflineStoreConfig:
        # The suite's expected rows know no creation time: all its histories are created after the moments asked for.
        return DeltaOfflineStoreConfig(
            engine=self.engine, late_rows=True, staging_location=str(self._folder / "exports")
        )

    def create_saved_dataset_destination(self) -> SavedDatasetDeltaStorage:
        return SavedDatasetDeltaStorage(str(self._folder / f"persisted_{uuid.uuid4().hex}"))

    def create_logged_features_destination(self) -> DeltaLoggingDestination:
        return DeltaLoggingDestination(str(self._folder / f"logged_{uuid.uuid4().hex}"))

    def get_prefixed_table_name(self, suffix: str) -> str:
        return f"{self.project_name}_{suffix}"

    def teardown(self) -> None:
        shutil.rmtree(self._folder)


class LocalDeltaDataSourceCreator(DeltaDataSourceCreator):
    engine = "local"


class SparkDeltaDataSourceCreator(DeltaDataSourceCreator):
    engine = "spark"
