"""The vectors of a modality as one matrix that every worker maps from its own disk.

Joined by id to scalars in Spark, an id becomes a row number; the vectors themselves take part in no join or shuffle.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import pyarrow as pa
from pyspark import SparkFiles
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from pipelines.errors import VectorsTooLargeError

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
    embeddings: DataFrame, modality: str, encoder: tuple[str, str], needed: DataFrame, limit: int = MATRIX_BYTES
) -> VectorMatrix | None:
    """The vectors of a modality and encoder version, or None where there are none.

    The whole catalogue where it fits `limit` bytes; else only the contents in `needed` (content_id). They are
    collected once and shipped with `SparkContext.addFile`: each node holds one copy on its own disk, mapped by all
    its workers. Raises VectorsTooLargeError where even the needed ones exceed `limit`.
    """
    name, version = encoder
    found = embeddings.where(
        (F.col("encoder") == name)
        & (F.col("encoder_version") == version)
        & (F.col("modality") == modality)
        & (F.col("status") == "ok")
    ).select(F.col("content_hash").alias("content_id"), "vector", "dimensions")
    size = F.sum(F.col("dimensions").cast("bigint") * 4)
    total = found.agg(size).collect()[0][0]
    if not total:
        return None
    if total > limit:
        found = found.join(needed.select("content_id").distinct(), "content_id", "left_semi")
        total = found.agg(size).collect()[0][0] or 0
    if total > limit:
        raise VectorsTooLargeError(
            f"the batch needs {total / 2**20:,.0f} MiB of {modality} vectors of {name} {version}, more than the "
            f"{limit / 2**20:,.0f} MiB that one job ships to its workers. Load the drops in smaller batches"
        )
    return _shipped(found.select("content_id", "vector").toArrow())


def _shipped(table: pa.Table) -> VectorMatrix | None:
    if table.num_rows == 0:
        return None
    # Sorted, so that the same contents make the same file, which is shipped once per application.
    table = table.sort_by("content_id").combine_chunks()
    matrix = np.frombuffer(b"".join(table["vector"].to_pylist()), dtype="<f4").reshape(table.num_rows, -1)
    spark = SparkSession.active()
    name = f"vectors-{hashlib.sha256(matrix.tobytes()).hexdigest()[:24]}.npy"
    # Written into the application's own folder of shipped files: it serves the file from there to executors that
    # come later, too, and removes it at its end.
    path = Path(SparkFiles.get(name))
    if not path.exists():
        np.save(path, matrix)
        spark.sparkContext.addFile(str(path))
    ids = pa.table({"content_id": table["content_id"], "row": pa.array(np.arange(len(matrix), dtype=np.int32))})
    return VectorMatrix(name, matrix.shape[1], len(matrix), spark.createDataFrame(ids))
