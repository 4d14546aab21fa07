"""Training sets for PyTorch: Arrow batches straight from the file, vectors as tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch.utils.data import IterableDataset, get_worker_info

# Text stays a list of Python values.
Batch: TypeAlias = Mapping[str, "torch.Tensor | list[object]"]


class TrainingSetDataset(IterableDataset[Batch]):
    """Batches of a training set in Parquet, as dictionaries by column.

    Numbers become (rows,) tensors of their type (float where there are NULLs, which are NaN), booleans too, instants
    int64 microseconds since the epoch (NULL: the least int64), vectors (rows, dimensions) float32 or float64 tensors in
    which a NULL vector is a row of NaN, all else lists. Each worker of a DataLoader (which needs `batch_size=None`),
    and each of `shards` processes, reads row groups of its own. Raises ValueError for vectors of several lengths.
    """

    def __init__(
        self, path: Path, batch_rows: int = 4096, columns: Sequence[str] | None = None, shard: int = 0, shards: int = 1
    ) -> None:
        self.path = path
        self.batch_rows = batch_rows
        self.columns = list(columns) if columns is not None else None
        self.shard, self.shards = shard, shards
        self.dimensions = _dimensions(path, self.columns)

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        number, workers = (worker.id, worker.num_workers) if worker else (0, 1)
        parquet = pq.ParquetFile(self.path, memory_map=True)
        mine = range(self.shard * workers + number, parquet.num_row_groups, self.shards * workers)
        for batch in parquet.iter_batches(self.batch_rows, row_groups=list(mine), columns=self.columns):
            yield {name: self._values(name, column) for name, column in zip(batch.schema.names, batch, strict=True)}

    def _values(self, name: str, column: pa.Array) -> torch.Tensor | list[object]:
        kind = column.type
        if pa.types.is_list(kind) and pa.types.is_floating(kind.value_type):
            return _vectors(name, column, self.dimensions.get(name, 0))
        if pa.types.is_timestamp(kind):
            micros = column.cast(pa.timestamp("us", tz=kind.tz)).cast(pa.int64())
            return torch.from_numpy(micros.fill_null(np.iinfo(np.int64).min).to_numpy(zero_copy_only=False).copy())
        if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
            numbers = column.cast(pa.float64()) if column.null_count and not pa.types.is_floating(kind) else column
            return torch.from_numpy(numbers.to_numpy(zero_copy_only=False).copy())
        values: list[object] = column.to_pylist()
        return values


def _vectors(name: str, column: pa.Array, dimensions: int) -> torch.Tensor:
    dtype = column.type.value_type.to_pandas_dtype()
    result = np.full((len(column), dimensions), np.nan, dtype)
    present = column.is_valid().to_numpy(zero_copy_only=False)
    numbers = column.drop_null().flatten().to_numpy(zero_copy_only=False)
    if len(numbers) != present.sum() * dimensions:
        raise ValueError(f"vectors of column '{name}' are not all of {dimensions} dimensions")
    result[present] = numbers.reshape(-1, dimensions)
    return torch.from_numpy(result)


def _dimensions(path: Path, columns: Sequence[str] | None) -> dict[str, int]:
    """The length of each vector column: that of its first vector, 0 where there is none."""
    parquet = pq.ParquetFile(path, memory_map=True)
    found: dict[str, int] = {}
    for field in parquet.schema_arrow:
        is_vector = pa.types.is_list(field.type) and pa.types.is_floating(field.type.value_type)
        if is_vector and (columns is None or field.name in columns):
            batches = parquet.iter_batches(columns=[field.name])
            lengths = (len(v) for batch in batches for v in batch.column(0) if v.is_valid)
            found[field.name] = next(lengths, 0)
    return found
