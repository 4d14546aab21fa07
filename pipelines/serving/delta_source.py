"""A Feast data source over a Delta table, known without Spark: its schema is read from the table's log.

A declared table's schema comes from its declaration, so that a registry can be applied before the table exists.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from feast import ValueType
from feast.data_source import DataSource
from feast.protos.feast.core.DataSource_pb2 import DataSource as DataSourceProto
from feast.repo_config import RepoConfig
from feast.type_map import pa_to_feast_value_type

from pipelines.point_in_time.delta_log import newest_version, read_snapshot
from pipelines.tables.arrow_types import arrow_schema
from pipelines.tables.features import HISTORIES, USER_CONSENT
from pipelines.tables.schema import CREATED_AT, EVENT_TIMESTAMP, WRITTEN_AT, Table

FEATURE_TABLES = {table.name: table for table in (*HISTORIES, USER_CONSENT)}
_TABLE_TAG = "table"


class DeltaSource(DataSource):
    """The rows of a Delta table at a folder or URI, or of one partition of it.

    `partition` are values that partition columns must have. Tags of a declared table's source name the table and the
    partition (purpose, encoder, encoder_version).
    """

    def __init__(self, *, name: str, path: str, partition: Mapping[str, str] | None = None, **options: Any) -> None:
        super().__init__(name=name, **options)
        self.path = path
        self.partition = dict(partition or {})

    @classmethod
    def of(cls, table: Table, home: str, partition: Mapping[str, str], *, name: str, owner: str) -> DeltaSource:
        """The source of a table's partition below a home (absolute path or URI)."""
        return cls(
            name=name,
            path=table.location(home),
            partition=partition,
            tags={_TABLE_TAG: table.name, **partition},
            description=table.comment,
            owner=owner,
            timestamp_field=EVENT_TIMESTAMP.name,
            created_timestamp_column=CREATED_AT.name,
        )

    @property
    def declared_table(self) -> Table:
        """The declared table the rows come from. Raises KeyError where the source is of another table."""
        return FEATURE_TABLES[self.tags[_TABLE_TAG]]

    @property
    def declared_schema(self) -> pa.Schema | None:
        """The declared table's columns, None where the table is not a declared one."""
        if self.tags.get(_TABLE_TAG) not in FEATURE_TABLES:
            return None
        return arrow_schema(self.declared_table)

    @staticmethod
    def from_proto(data_source: DataSourceProto) -> DeltaSource:
        place = json.loads(data_source.custom_options.configuration or "{}")
        return DeltaSource(
            name=data_source.name,
            path=place.get("path", ""),
            partition=place.get("partition"),
            tags=dict(data_source.tags),
            field_mapping=dict(data_source.field_mapping),
            description=data_source.description,
            owner=data_source.owner,
            timestamp_field=data_source.timestamp_field,
            created_timestamp_column=data_source.created_timestamp_column,
        )

    def _to_proto_impl(self) -> DataSourceProto:
        place = json.dumps({"path": self.path, "partition": self.partition}, sort_keys=True).encode()
        proto = DataSourceProto(
            name=self.name,
            type=DataSourceProto.CUSTOM_SOURCE,
            data_source_class_type=f"{type(self).__module__}.{type(self).__name__}",
            custom_options=DataSourceProto.CustomSourceOptions(configuration=place),
            field_mapping=self.field_mapping,
            tags=self.tags,
            description=self.description,
            owner=self.owner,
        )
        proto.timestamp_field = self.timestamp_field
        proto.created_timestamp_column = self.created_timestamp_column
        return proto

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DeltaSource):
            return False
        return bool(super().__eq__(other)) and (self.path, self.partition) == (other.path, other.partition)

    # Feast keeps sources in sets by name, as its own classes do.
    __hash__ = DataSource.__hash__

    def source_type(self) -> DataSourceProto.SourceType.ValueType:
        return DataSourceProto.CUSTOM_SOURCE

    def validate(self, config: RepoConfig) -> None:
        """A declared table need not be there yet; any other must. Raises ValueError where it is not."""
        if self.declared_schema is None and newest_version(self.path) is None:
            raise ValueError(f"source {self.name}: there is no Delta table at {self.path}")

    def get_table_column_names_and_types(self, config: RepoConfig) -> Iterable[tuple[str, str]]:
        return self.columns()

    def columns(self) -> list[tuple[str, str]]:
        """Every column that a row brings, with its Arrow type as text."""
        schema = self.declared_schema or read_snapshot(self.path).schema
        return [(f.name, _type_name(f.type)) for f in schema if f.name not in self.fixed_values()]

    def fixed_values(self) -> dict[str, str | datetime]:
        """What every row written to the source now has: the partition, and a declared table's `written_at`."""
        written = {} if self.declared_schema is None else {WRITTEN_AT.name: datetime.now(UTC)}
        return {**self.partition, **written}

    def get_table_query_string(self) -> str:
        """The rows as Spark SQL has them in a FROM clause."""
        where = " AND ".join(f"`{key}` = '{value}'" for key, value in self.partition.items())
        return f"(SELECT * FROM delta.`{self.path}` WHERE {where})" if where else f"delta.`{self.path}`"

    @staticmethod
    def source_datatype_to_feast_value_type() -> Callable[[str], ValueType]:
        return pa_to_feast_value_type


def _type_name(kind: pa.DataType) -> str:
    """As Feast reads it. What it has no type for it keeps as the nearest one it has."""
    if pa.types.is_list(kind):
        return f"list<item: {_type_name(kind.value_type)}>"
    if pa.types.is_date(kind):
        return "timestamp[us]"
    return "double" if pa.types.is_decimal(kind) else str(kind)
