"""Reading a history's Parquet files by themselves: keys and times of all rows, or all columns of few rows.

What a process needs to read them travels as plain values; nothing here knows Spark, or which engine calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from pipelines.errors import VersionGoneError
from pipelines.point_in_time.deletion_vectors import deleted_rows
from pipelines.point_in_time.delta_log import open_filesystem
from pipelines.point_in_time.slots import Ints
from pipelines.point_in_time.vector_pages import NotPlainError, VectorPages, holds_vectors

# Rows decoded at once: enough for numpy to be quick, little enough to bound memory.
_ROWS_AT_ONCE = 4_000_000

Range: TypeAlias = tuple[Any, Any]


@dataclass(frozen=True)
class FileColumn:
    """A column by its logical name, its name in the files and its type."""

    name: str
    physical: str
    type: pa.DataType


@dataclass(frozen=True)
class HistoryFile:
    """A data file of a table, or one of `parts` equal shares of its row groups.

    `number` is its rank by path among all files of the version: the same for every engine, whatever is skipped.
    """

    table: str
    number: int
    path: str
    size: int
    partition: Mapping[str, str | None]
    deletion_vector: Mapping[str, Any] | None
    part: int = 0
    parts: int = 1


@dataclass(frozen=True)
class Rows:
    """Some rows of a file: their numbers in it, ascending, and their columns."""

    numbers: Ints
    columns: list[pa.ChunkedArray]
    bytes_read: int


def read_rows(file: HistoryFile, columns: Sequence[FileColumn], bounds: Mapping[str, Range]) -> Iterator[Rows]:
    """The rows that are not deleted, in pieces; row groups without a value in `bounds` (by physical name) are skipped.

    Text comes dictionary-encoded where the file has it so. Raises VersionGoneError where the file is gone.
    """
    texts = [c.physical for c in columns if pa.types.is_string(c.type)]
    with _opened(file, texts) as parquet:
        deleted = _deleted(file)
        groups = [g for g in _groups(parquet, file) if _may_hold(parquet.metadata.row_group(g), bounds)]
        starts = _starts(parquet)
        for some in _pieces(parquet, groups):
            numbers = np.concatenate([np.arange(starts[g], starts[g + 1]) for g in some])
            table, size = _read(parquet, some, columns, file)
            if deleted is not None:
                kept = ~np.isin(numbers, deleted)
                numbers, table = numbers[kept], table.filter(pa.array(kept))
            yield Rows(numbers, table.columns, size)


def take_rows(file: HistoryFile, columns: Sequence[FileColumn], wanted: Ints) -> Rows:
    """The columns of the wanted row numbers (ascending) that lie in this part of the file."""
    tables, numbers, size = [_nothing(columns)], [np.empty(0, np.int64)], 0
    with _opened(file, []) as parquet, _source(file) as source:
        starts, vectors = _starts(parquet), VectorPages(parquet, source)
        for group in _groups(parquet, file):
            first, last = np.searchsorted(wanted, [starts[group], starts[group + 1]])
            if first < last:
                table, read = _taken(parquet, vectors, group, columns, file, wanted[first:last] - starts[group])
                tables.append(table)
                numbers.append(wanted[first:last])
                size += read
    return Rows(np.concatenate(numbers), pa.concat_tables(tables).columns, size)


def _taken(
    parquet: pq.ParquetFile,
    vectors: VectorPages,
    group: int,
    columns: Sequence[FileColumn],
    file: HistoryFile,
    rows: Ints,
) -> tuple[pa.Table, int]:
    """Some rows of a row group, and the bytes read of the file."""
    found: dict[str, pa.ChunkedArray] = {}
    before = vectors.bytes_read
    for column in columns:
        if holds_vectors(column.type) and column.physical in parquet.schema_arrow.names:
            with suppress(NotPlainError):
                lists = vectors.take(group, column.physical, rows)
                found[column.name] = pa.chunked_array([lists]).cast(column.type)
    table, size = _read(parquet, [group], [c for c in columns if c.name not in found], file)
    table = table.take(pa.array(rows))
    arrays = [found[c.name] if c.name in found else table.column(c.name) for c in columns]
    return pa.table(arrays, names=[c.name for c in columns]), size + vectors.bytes_read - before


def _source(file: HistoryFile) -> pa.NativeFile:
    system, _ = open_filesystem(file.table)
    try:
        return pa.memory_map(file.path) if _is_local(system) else system.open_input_file(file.path)
    except FileNotFoundError as error:
        raise VersionGoneError(
            f"file {file.path} of a version that is needed is gone: it was removed and vacuumed since"
        ) from error


def _is_local(system: fs.FileSystem) -> bool:
    return isinstance(system, fs.LocalFileSystem)


def _opened(file: HistoryFile, texts: Sequence[str]) -> pq.ParquetFile:
    remote = not _is_local(open_filesystem(file.table)[0])
    return pq.ParquetFile(
        _source(file), read_dictionary=list(texts), coerce_int96_timestamp_unit="us", pre_buffer=remote
    )


def _deleted(file: HistoryFile) -> Ints | None:
    if file.deletion_vector is None:
        return None
    system, path = open_filesystem(file.table)

    def read(name: str) -> bytes:
        with system.open_input_stream(name) as content:
            return bytes(content.read())

    return deleted_rows(file.deletion_vector, path, read)


def _groups(parquet: pq.ParquetFile, file: HistoryFile) -> range:
    count = parquet.metadata.num_row_groups
    return range(file.part * count // file.parts, (file.part + 1) * count // file.parts)


def _starts(parquet: pq.ParquetFile) -> Ints:
    counts = [parquet.metadata.row_group(g).num_rows for g in range(parquet.metadata.num_row_groups)]
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])


def _pieces(parquet: pq.ParquetFile, groups: Sequence[int]) -> Iterator[list[int]]:
    """Row groups that are decoded together."""
    piece: list[int] = []
    rows = 0
    for group in groups:
        count = parquet.metadata.row_group(group).num_rows
        if piece and rows + count > _ROWS_AT_ONCE:
            yield piece
            piece, rows = [], 0
        piece.append(group)
        rows += count
    if piece:
        yield piece


def _may_hold(group: pq.RowGroupMetaData, bounds: Mapping[str, Range]) -> bool:
    for position in range(group.num_columns):
        column = group.column(position)
        bound = bounds.get(column.path_in_schema)
        if bound is None or not column.is_stats_set or not column.statistics.has_min_max:
            continue
        least, greatest = _aware(column.statistics.min), _aware(column.statistics.max)
        if not overlap(least, greatest, bound):
            return False
    return True


def overlap(least: Any, greatest: Any, bound: Range) -> bool:
    """Whether values from `least` to `greatest` can lie in a range; None and values of other types bound nothing."""
    low, high = bound
    below = high is not None and isinstance(least, type(high)) and least > high
    above = low is not None and isinstance(greatest, type(low)) and greatest < low
    return not (below or above)


def _aware(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value


def _read(
    parquet: pq.ParquetFile, groups: list[int], columns: Sequence[FileColumn], file: HistoryFile
) -> tuple[pa.Table, int]:
    """The columns of whole row groups, and the bytes they take in the file."""
    present = set(parquet.schema_arrow.names)
    stored = [c.physical for c in columns if c.physical in present]
    table = parquet.read_row_groups(groups, columns=stored, use_threads=False)
    rows = sum(parquet.metadata.row_group(g).num_rows for g in groups)
    arrays = [_column(table, column, file, rows) for column in columns]
    return pa.table(arrays, names=[c.name for c in columns]), _size(parquet, groups, set(stored))


def _column(table: pa.Table, column: FileColumn, file: HistoryFile, rows: int) -> pa.ChunkedArray:
    if column.name in file.partition:
        value = pa.scalar(file.partition[column.name], pa.string()).cast(column.type)
        return pa.chunked_array([pa.repeat(value, rows)])
    if column.physical not in table.column_names:
        return pa.chunked_array([pa.nulls(rows, column.type)])  # the column is younger than the file
    values = table.column(column.physical)
    return values if pa.types.is_dictionary(values.type) else values.cast(column.type)


def _size(parquet: pq.ParquetFile, groups: Sequence[int], names: set[str]) -> int:
    size = 0
    for group in map(parquet.metadata.row_group, groups):
        for position in range(group.num_columns):
            column = group.column(position)
            if column.path_in_schema.partition(".")[0] in names:
                size += column.total_compressed_size
    return size


def _nothing(columns: Sequence[FileColumn]) -> pa.Table:
    return pa.schema([(c.name, c.type) for c in columns]).empty_table()
