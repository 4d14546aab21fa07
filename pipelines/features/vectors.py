"""The vectors of a modality as one matrix that every worker maps from its own disk.

Joined by id to scalars in Spark, an id becomes a row number; the vectors themselves take part in no join or shuffle.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark import SparkFiles
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.errors import UnsupportedTableError, VectorsTooLargeError
from pipelines.point_in_time.partitions import read_partitions
from pipelines.tables.aggregates import EMBEDDINGS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pipelines.features.kernel import Vectors

# What one job may collect and ship: 131,072 vectors of 1,024 dimensions.
MATRIX_BYTES = 512 * 2**20


@dataclass(frozen=True)
class VectorMatrix:
    """A matrix of float32 vectors that travels by name. `rows` maps content_id to `row` (int)."""

    name: str
    dimensions: int
    count: int
    rows: DataFrame


def mapped(name: str) -> Vectors:
    """The (count, dimensions) matrix of that name, mapped read-only; called in a worker."""
    return cast("Vectors", np.load(SparkFiles.get(name), mmap_mode="r"))


def vectors_of(
    store: TableStore, modality: str, encoder: tuple[str, str], needed: DataFrame, limit: int = MATRIX_BYTES
) -> VectorMatrix | None:
    """The vectors of a modality and encoder version, or None where there are none.

    The whole catalogue where it fits `limit` bytes; else only the contents in `needed` (content_id). They are read
    once and shipped with `SparkContext.addFile`: each node holds one copy on its own disk, mapped by all its
    workers. Raises VectorsTooLargeError where even the needed ones exceed `limit`.
    """
    if not store.exists(EMBEDDINGS):
        return None
    partition = {"encoder": encoder[0], "encoder_version": encoder[1], "modality": modality}
    # Read by this process: Spark takes seconds to hand over as much.
    with suppress(UnsupportedTableError):
        location = store.location(EMBEDDINGS)
        lengths = read_partitions(location, ["dimensions"], **partition)["dimensions"]
        if _bytes(pc.sum(lengths).as_py()) <= limit:
            return _shipped(read_partitions(location, ["content_hash", "vector"], **partition))
    return _shipped(_needed(store, partition, needed, limit))


def _needed(store: TableStore, partition: Mapping[str, str], needed: DataFrame, limit: int) -> pa.Table:
    found = store.read(EMBEDDINGS).join(
        needed.select(F.col("content_id").alias("content_hash")).distinct(), "content_hash", "left_semi"
    )
    for column, value in partition.items():
        found = found.where(F.col(column) == value)
    total = _bytes(found.agg(F.sum("dimensions")).collect()[0][0])
    if total > limit:
        name, version, modality = partition.values()
        raise VectorsTooLargeError(
            f"the batch needs {total / 2**20:,.0f} MiB of {modality} vectors of {name} {version}, more than the "
            f"{limit / 2**20:,.0f} MiB that one job ships to its workers. Load the drops in smaller batches"
        )
    return found.select("content_hash", "vector").toArrow()


def _bytes(dimensions: int | None) -> int:
    """Of that many float32 numbers, of which there may be none."""
    return 4 * (dimensions or 0)


def _shipped(table: pa.Table) -> VectorMatrix | None:
    # A content that could not be encoded has no vector.
    table = table.filter(table["vector"].is_valid())
    if table.num_rows == 0:
        return None
    # Sorted, so that the same contents make the same file, which is shipped once per application.
    table = table.sort_by("content_hash").combine_chunks()
    matrix = np.frombuffer(b"".join(table["vector"].to_pylist()), dtype="<f4").reshape(table.num_rows, -1)
    spark = SparkSession.active()
    name = f"vectors-{hashlib.sha256(matrix.tobytes()).hexdigest()[:24]}.npy"
    # Written into the application's own folder of shipped files: it serves the file from there to executors that
    # come later, too, and removes it at its end.
    path = Path(SparkFiles.get(name))
    if not path.exists():
        np.save(path, matrix)
        spark.sparkContext.addFile(str(path))
    ids = pa.table({"content_id": table["content_hash"], "row": pa.array(np.arange(len(matrix), dtype=np.int32))})
    return VectorMatrix(name, matrix.shape[1], len(matrix), spark.createDataFrame(ids))
