"""The rows a history holds of some users, vectors included, without reading everybody's vectors.

Spark finds the rows by keys and times alone, and where they lie; their vectors are then taken from the files' pages
in Python workers. So reading costs the keys of the whole history, but the vectors of the wanted rows only.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_type

from pipelines.delta import TableStore
from pipelines.errors import UnsupportedTableError
from pipelines.features.whole_groups import whole_groups
from pipelines.point_in_time.delta_log import DataFile, open_filesystem, read_snapshot
from pipelines.point_in_time.history_files import FileColumn, HistoryFile, take_rows
from pipelines.tables.schema import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# Of a file's rows that are fetched at a time: it bounds what a worker holds, 100 MB of three vectors each.
_ROWS_AT_ONCE = 16_384
_GLOB = re.compile(r"([\[\]{}*?\\])")
_KEYS = ("user_id", "purpose", "event_timestamp", "created_at")
_PLACE = ("file_path", "file_size", "row_index")


def published(
    store: TableStore, table: Table, encoder: tuple[str, str], since: dt.datetime, values: Sequence[FileColumn]
) -> DataFrame:
    """The rows at days' ends of a history that stand on an encoder version and are younger than `since`: user_id,
    purpose, event_timestamp, created_at and what `with_values` needs to know.

    Rows within a day are the stream's: what a day's end says follows from tiles, never from them.
    """
    location = store.location(table)
    files = _plain_files(location)
    of_encoder = {"encoder": encoder[0], "encoder_version": encoder[1]}.items()
    paths = [f.path for f in files or () if of_encoder <= f.partition.items() and _may_be_younger(f, since)]
    # Without a file Spark finds nothing by the partitions and statistics alone.
    if not paths:
        rows = store.read(table).where((F.col("encoder") == encoder[0]) & (F.col("encoder_version") == encoder[1]))
        return _younger(rows, since).select(*_KEYS, *(F.col(v.physical).alias(v.name) for v in values))
    keys = [column for column in table.columns if column.name in {*_KEYS, *table.partition_by}]
    _, root = open_filesystem(location)
    there = [_GLOB.sub(r"\\\1", location + path.removeprefix(root)) for path in paths]
    reader = store.spark.read.schema(", ".join(f"{c.name} {c.type}" for c in keys)).option("basePath", location)
    return _younger(places_in_files(reader.parquet(*there)), since)


def places_in_files(parquet: DataFrame) -> DataFrame:
    """The keys of rows of Parquet files, and where each lies."""
    return parquet.select(*_KEYS, *(F.col(f"_metadata.{name}").alias(name) for name in _PLACE))


def with_values(rows: DataFrame, location: str, values: Sequence[FileColumn]) -> DataFrame:
    """Rows of `published`, chosen by their keys, with `values` in place of where they lie.

    `location` is the table's. The rows come in no particular order.
    """
    if "row_index" not in rows.columns:
        return rows
    kept = [field for field in rows.schema if field.name not in _PLACE]
    names = [*(field.name for field in kept), *(column.name for column in values)]
    types = [*(field.dataType for field in kept), *(from_arrow_type(column.type) for column in values)]
    schema = ", ".join(f"{name} {type_.simpleString()}" for name, type_ in zip(names, types, strict=True))

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for some in whole_groups(batches, key="piece", rows=1):
            for path in pc.unique(some["file_path"]).to_pylist():
                found = some.filter(pc.equal(some["file_path"], path)).sort_by("row_index")
                yield from _with_values(found, location, values).select(names).to_batches()

    piece = F.xxhash64("file_path", (F.col("row_index") / _ROWS_AT_ONCE).cast("bigint"))
    in_files = rows.withColumn("piece", piece).repartition("piece").sortWithinPartitions("piece")
    return in_files.mapInArrow(run, schema)


def _with_values(rows: pa.Table, location: str, values: Sequence[FileColumn]) -> pa.Table:
    """Rows of one file, ascending by row_index, with their values."""
    _, path = open_filesystem(rows["file_path"][0].as_py())
    file = HistoryFile(location, 0, path, rows["file_size"][0].as_py(), {}, None)
    taken = take_rows(file, values, rows["row_index"].to_numpy())
    for column, array in zip(values, taken.columns, strict=True):
        rows = rows.append_column(column.name, array)
    return rows


def _plain_files(location: str) -> tuple[DataFile, ...] | None:
    """The table's files, if workers can read them by themselves and no row of them is deleted; else None, and Spark
    reads whole rows."""
    try:
        files = read_snapshot(location).files
    except UnsupportedTableError:
        return None
    return None if any(file.deletion_vector for file in files) else files


def _may_be_younger(file: DataFile, since: dt.datetime) -> bool:
    _, newest = file.instants("event_timestamp")
    return newest is None or newest > since


def _younger(rows: DataFrame, since: dt.datetime) -> DataFrame:
    at = F.col("event_timestamp")
    return rows.where((at > F.lit(since)) & (at == F.date_trunc("day", at)))
