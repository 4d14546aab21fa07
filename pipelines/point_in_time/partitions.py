"""Whole partitions of a Delta table as one Arrow table, read from its files without Spark."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from pipelines.point_in_time.delta_log import read_snapshot
from pipelines.point_in_time.history_files import FileColumn, HistoryFile, read_rows


def read_partitions(location: str, columns: Sequence[str], **where: str) -> pa.Table:
    """Some columns of all rows of the partitions that have the given values, of the table's newest version.

    Raises TableNotFoundError, VersionGoneError, UnsupportedTableError.
    """
    snapshot = read_snapshot(location)
    wanted = [FileColumn(name, snapshot.physical[name], snapshot.schema.field(name).type) for name in columns]
    schema = pa.schema([(column.name, column.type) for column in wanted])
    parts = [schema.empty_table()]
    for number, file in enumerate(snapshot.files):
        if any(file.partition[column] != value for column, value in where.items()):
            continue
        source = HistoryFile(location, number, file.path, file.size, file.partition, file.deletion_vector)
        parts += [pa.table(found.columns, names=columns).cast(schema) for found in read_rows(source, wanted, {})]
    return pa.concat_tables(parts)
