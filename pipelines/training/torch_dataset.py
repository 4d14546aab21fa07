"""Training sets for PyTorch: Arrow batches straight from the file, vectors as tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from torch.utils.data import IterableDataset, get_worker_info

# Text stays a list of Python values, lists of several lengths a list of tensors.
Batch: TypeAlias = Mapping[str, "torch.Tensor | list[object]"]
_NO_INSTANT = np.iinfo(np.int64).min


class TrainingSetDataset(IterableDataset[Batch]):
    """Batches of a training set in Parquet, as dictionaries by column, of at most `batch_rows` rows.

    Numbers become (rows,) tensors of their type; of a column that has NULLs somewhere in the file, whole numbers and
    booleans are float64 in every batch (beyond 2**53 rounded) and a NULL is NaN. Instants are int64 microseconds since
    the epoch (NULL: the least int64). Lists of floats that are of one length are vectors: (rows, dimensions) float32
    or float64 tensors in which a NULL is a row of NaN, (rows, 0) where the file holds none. Lists of several lengths
    (`medoid_weights`) are lists of tensors, None for NULL; all else is a list of Python values. Which of the two a
    column is, its first row group with a value tells.

    Each worker of a DataLoader (which needs `batch_size=None`), and each of `shards` processes, reads consecutive
    rows of its own, as many as any other to within one row: what wants equally many batches everywhere (distributed
    training) has to allow for uneven ends. Raises ValueError for an unknown column, a shard that is none, and a vector
    of another length than the first ones.
    """

    def __init__(
        self, path: Path, batch_rows: int = 4096, columns: Sequence[str] | None = None, shard: int = 0, shards: int = 1
    ) -> None:
        if not 0 <= shard < shards:
            raise ValueError(f"shard {shard} of {shards}: shards are numbered from 0")
        self.path = path
        self.batch_rows = batch_rows
        self.shard, self.shards = shard, shards
        parquet = pq.ParquetFile(path, memory_map=True)
        there = parquet.schema_arrow.names
        if unknown := [name for name in columns or () if name not in there]:
            raise ValueError(f"{path} has no column {', '.join(unknown)}; it has {', '.join(there)}")
        self.columns = list(there if columns is None else columns)
        self._nullable = {name for name in self.columns if _may_be_null(parquet, name)}
        # The dimensions of each vector column, None for lists of several lengths.
        self.dimensions = {
            field.name: _dimensions(parquet, field.name)
            for field in parquet.schema_arrow
            if field.name in self.columns and _holds_floats(field.type)
        }

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        number, workers = (worker.id, worker.num_workers) if worker else (0, 1)
        for batch in self._mine(self.shard * workers + number, self.shards * workers):
            yield {name: self._values(name, column) for name, column in zip(batch.schema.names, batch, strict=True)}

    def _mine(self, number: int, readers: int) -> Iterator[pa.RecordBatch]:
        """The rows of one of so many readers."""
        parquet = pq.ParquetFile(self.path, memory_map=True)
        rows = parquet.metadata.num_rows
        first, end = rows * number // readers, rows * (number + 1) // readers
        sizes = [parquet.metadata.row_group(group).num_rows for group in range(parquet.num_row_groups)]
        starts = np.cumsum([0, *sizes])
        groups = [g for g, size in enumerate(sizes) if starts[g] < end and starts[g] + size > first]
        at = int(starts[groups[0]]) if groups else 0
        for batch in parquet.iter_batches(self.batch_rows, row_groups=groups, columns=self.columns):
            some = batch.slice(max(0, first - at), max(0, min(end, at + batch.num_rows) - max(first, at)))
            at += batch.num_rows
            if some.num_rows:
                yield some

    def _values(self, name: str, column: pa.Array) -> torch.Tensor | list[object]:
        kind = column.type
        if name in self.dimensions:
            dimensions = self.dimensions[name]
            return _ragged(column) if dimensions is None else _vectors(name, column, dimensions)
        if pa.types.is_timestamp(kind):
            micros = column.cast(pa.timestamp("us", tz=kind.tz), safe=False).cast(pa.int64())
            return _tensor(micros.fill_null(_NO_INSTANT))
        if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
            return _tensor(column.cast(pa.float64(), safe=False) if name in self._nullable else column)
        if pa.types.is_floating(kind):
            return _tensor(column)
        values: list[object] = column.to_pylist()
        return values


def _tensor(column: pa.Array) -> torch.Tensor:
    return torch.from_numpy(column.to_numpy(zero_copy_only=False).copy())


def _vectors(name: str, column: pa.Array, dimensions: int) -> torch.Tensor:
    result = np.full((len(column), dimensions), np.nan, column.type.value_type.to_pandas_dtype())
    present = column.drop_null()
    if pc.any(pc.not_equal(pc.list_value_length(present), dimensions)).as_py():
        raise ValueError(f"vectors of column '{name}' are not all of {dimensions} dimensions, as its first ones are")
    numbers = present.flatten().to_numpy(zero_copy_only=False)
    result[column.is_valid().to_numpy(zero_copy_only=False)] = numbers.reshape(len(present), dimensions)
    return torch.from_numpy(result)


def _ragged(column: pa.Array) -> list[object]:
    return [_tensor(some.values) if some.is_valid else None for some in column]


def _holds_floats(kind: pa.DataType) -> bool:
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return is_list and pa.types.is_floating(kind.value_type)


def _dimensions(parquet: pq.ParquetFile, name: str) -> int | None:
    """The one length of the first lists there are, None where they are of several; 0 where there is no list."""
    for group in range(parquet.num_row_groups):
        column = parquet.read_row_group(group, columns=[name]).column(0)
        lengths = pc.unique(pc.list_value_length(column.drop_null()))
        if len(lengths):
            return int(lengths[0].as_py()) if len(lengths) == 1 else None
    return 0


def _may_be_null(parquet: pq.ParquetFile, name: str) -> bool:
    """Whether a column of plain values has NULLs, by the file's statistics; where it has none, it may."""
    metadata = parquet.metadata
    places = [i for i in range(metadata.num_columns) if metadata.schema.column(i).path == name]
    chunks = (metadata.row_group(g).column(i) for g in range(metadata.num_row_groups) for i in places)
    return any(c.statistics is None or c.statistics.null_count is None or c.statistics.null_count > 0 for c in chunks)
