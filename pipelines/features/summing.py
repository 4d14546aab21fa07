"""Summing weighted vectors user by user: a user's rows come together in one task, vectors are gathered there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

import pyarrow as pa
from pyspark.sql import functions as F

from pipelines.features.interest_rows import in_step_order
from pipelines.features.kernel import Vectors
from pipelines.features.medoids import with_medoids
from pipelines.features.vectors import VectorMatrix, mapped
from pipelines.features.whole_groups import whole_groups

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# Of vectors that go back to the JVM at a time.
BATCH_BYTES = 16 * 2**20
# From whole users in the order of steps, and the vectors, rows as of `row_schema` without medoids.
MakeRows: TypeAlias = Callable[[pa.Table, Vectors], pa.Table]


def row_schema(half_lives: Sequence[int], *, has_medoids: bool) -> str:
    """Of the rows that are made, as DDL."""
    means = ", ".join(f"mean_{h}d array<float>, weight_{h}d double" for h in half_lives)
    schema = f"user_id string, purpose string, {means}, event_timestamp timestamp, created_at timestamp"
    return schema + (", medoid_product_ids array<string>, medoid_weights array<float>" if has_medoids else "")


def with_places(weights: DataFrame, matrix: VectorMatrix) -> DataFrame:
    """Weights with `row`, where their content's vector lies in the matrix; -1 where it has none."""
    return weights.join(matrix.rows, "content_id", "left").withColumn("row", F.coalesce("row", F.lit(-1)))


def summed(
    rows: DataFrame, matrix: VectorMatrix, actions: DataFrame | None, half_lives: Sequence[int], make: MakeRows
) -> DataFrame:
    """What `make` makes of each user's rows, `row_schema`; with `actions`, as of `recent_actions`, and medoids."""
    if actions is not None:
        rows = rows.unionByName(actions.join(matrix.rows, "content_id").drop("content_id"), allowMissingColumns=True)
    # Sorted by one number, which Spark does without comparing any texts; within users the worker sorts.
    ordered = rows.withColumn("user_hash", F.xxhash64("user_id")).repartition("user_hash")
    ordered = ordered.sortWithinPartitions("user_hash")
    schema = row_schema(half_lives, has_medoids=actions is not None)
    return ordered.mapInArrow(_worker(matrix, half_lives, make, actions is not None), schema)


def _worker(
    matrix: VectorMatrix, half_lives: Sequence[int], make: MakeRows, has_actions: bool
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    name = matrix.name
    rows_per_batch = max(1, BATCH_BYTES // (matrix.dimensions * 4 * len(half_lives)))

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        vectors = mapped(name)
        for table in whole_groups(batches, key="user_hash"):
            rows = in_step_order(table.drop_columns("user_hash"))
            found = rows.filter(rows["product_id"].is_null()) if has_actions else rows
            if not found.num_rows:
                continue
            made = make(found, vectors)
            if has_actions:
                made = with_medoids(made, rows.filter(rows["product_id"].is_valid()), vectors)
            yield from made.to_batches(max_chunksize=rows_per_batch)

    return run
