"""Arrow tables into Delta tables, by Spark: its writer alone keeps concurrent writers and table features right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from feast.errors import SavedDatasetLocationAlreadyExists

from pipelines.point_in_time.delta_log import newest_version
from pipelines.point_in_time.instants import utc_micros

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def spark_frame(spark: SparkSession, table: pa.Table) -> DataFrame:
    """The rows as a Spark frame. Types that Spark lacks become the nearest ones: naive timestamps are UTC."""
    columns = [_spark_column(column) for column in table.columns]
    return spark.createDataFrame(pa.table(columns, names=table.column_names))


def _spark_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_timestamp(kind):
        return utc_micros(column)
    if pa.types.is_null(kind):
        return column.cast(pa.string())  # Delta writes no column without a type
    return column.cast(kind.value_type) if pa.types.is_dictionary(kind) else column


def replace_table(spark: SparkSession, table: pa.Table, path: str, *, allow_overwrite: bool) -> None:
    """Make the rows a Delta table. Raises SavedDatasetLocationAlreadyExists where one is there already."""
    if not allow_overwrite and newest_version(path) is not None:
        raise SavedDatasetLocationAlreadyExists(location=path)
    writer = spark_frame(spark, table).write.format("delta").mode("overwrite")
    writer.option("overwriteSchema", "true").save(path)


def append_rows(spark: SparkSession, rows: DataFrame, path: str) -> None:
    """Append rows, in the types the table has; a column it lacks is added, a table that is not there is made."""
    if newest_version(path) is not None:
        there = {field.name: field.dataType for field in spark.read.format("delta").load(path).schema}
        rows = rows.select(*(rows[f"`{c}`"].cast(there[c]) if c in there else rows[f"`{c}`"] for c in rows.columns))
    rows.write.format("delta").mode("append").option("mergeSchema", "true").save(path)
