"""A Feast data source over a declared Delta table, known without Spark.

Feast's own SparkSource starts a Spark session to validate itself and to infer its schema. A declared table needs
neither: serving machines and laptops apply and read the registry without pyspark.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from feast import ValueType
from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkOptions, SparkSource
from feast.protos.feast.core.DataSource_pb2 import DataSource as DataSourceProto
from feast.repo_config import RepoConfig
from feast.type_map import spark_to_feast_value_type

from pipelines.tables.features import HISTORIES, USER_CONSENT
from pipelines.tables.schema import CREATED_AT, EVENT_TIMESTAMP, Table

FEATURE_TABLES = {table.name: table for table in (*HISTORIES, USER_CONSENT)}
_TABLE_TAG = "table"


class DeltaSource(SparkSource):
    """The rows of one partition of a feature history, as Spark SQL.

    Its tags name the table and the partition (purpose, encoder, encoder_version).
    """

    def __init__(self, *, name: str, query: str, tags: dict[str, str], **options: Any) -> None:
        with warnings.catch_warnings():
            # Feast calls every Spark source experimental, at each construction.
            warnings.simplefilter("ignore", RuntimeWarning)
            super().__init__(name=name, query=query, tags=tags, **options)

    @classmethod
    def of(cls, table: Table, home: str, partition: Mapping[str, str], *, name: str, owner: str) -> DeltaSource:
        """The source of a table's partition below a home (absolute path or URI)."""
        columns = [c.name for c in table.columns if c.name not in partition and c.name != "written_at"]
        where = " AND ".join(f"`{key}` = '{value}'" for key, value in partition.items())
        query = f"SELECT {', '.join(f'`{c}`' for c in columns)} FROM delta.`{table.location(home)}`"
        return cls(
            name=name,
            query=f"{query} WHERE {where}" if where else query,
            tags={_TABLE_TAG: table.name, **partition},
            description=table.comment,
            owner=owner,
            timestamp_field=EVENT_TIMESTAMP.name,
            created_timestamp_column=CREATED_AT.name,
        )

    @property
    def declared_table(self) -> Table:
        """The table the rows come from."""
        return FEATURE_TABLES[self.tags[_TABLE_TAG]]

    @property
    def partition(self) -> dict[str, str]:
        """The values of the partition columns that select the rows."""
        return {key: value for key, value in self.tags.items() if key != _TABLE_TAG}

    @staticmethod
    def from_proto(data_source: DataSourceProto) -> DeltaSource:
        return DeltaSource(
            name=data_source.name,
            query=SparkOptions.from_proto(data_source.spark_options).query,
            tags=dict(data_source.tags),
            field_mapping=dict(data_source.field_mapping),
            description=data_source.description,
            owner=data_source.owner,
            timestamp_field=data_source.timestamp_field,
            created_timestamp_column=data_source.created_timestamp_column,
        )

    def _to_proto_impl(self) -> DataSourceProto:
        proto = super()._to_proto_impl()
        # A custom type makes Feast load the class named here, not SparkSource.
        proto.type = DataSourceProto.CUSTOM_SOURCE
        proto.data_source_class_type = f"{type(self).__module__}.{type(self).__name__}"
        return proto

    def validate(self, config: RepoConfig) -> None:
        """Only declared tables can be named; whether rows are there yet does not matter to a registry."""
        if self.tags.get(_TABLE_TAG) not in FEATURE_TABLES:
            raise ValueError(f"source {self.name}: no declared table {self.tags.get(_TABLE_TAG)!r}")

    def get_table_column_names_and_types(self, config: RepoConfig) -> Iterable[tuple[str, str]]:
        return [(c.name, c.type) for c in self.declared_table.columns if c.name not in self.partition]

    def get_table_query_string(self) -> str:
        return f"({self.query})"

    @staticmethod
    def source_datatype_to_feast_value_type() -> Callable[[str], ValueType]:
        return spark_to_feast_value_type
