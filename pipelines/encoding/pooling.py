"""A product's pictures or videos as one vector: the direction of the mean of the members' unit vectors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipelines.encoding.contents import MEMBER_MODALITY
from pipelines.encoding.worker import ARROW_RESULT, RESULT, unit_rows


def to_pool(product_contents: DataFrame, known: DataFrame, member_vectors: DataFrame) -> DataFrame:
    """Pooled contents without a row, or with more member vectors now than when they were pooled.

    `known` holds the rows of the pooled modalities, `member_vectors` (content_hash, modality, vector). Gives
    (content_hash, modality, pooled_before, members int, vectors array<binary>), the vectors in the members' order.
    """
    pooled = product_contents.where(F.col("modality").isin(*MEMBER_MODALITY))
    contents = pooled.groupBy(F.col("content_id").alias("content_hash"), "modality").agg(
        F.first("members").alias("members")
    )
    keys = ("content_hash", "modality")
    earlier = known.select(
        *keys,
        F.lit(True).alias("pooled_before"),
        F.try_element_at("details", F.lit("members_missing")).cast("int").alias("missing_before"),
    )
    complete = F.col("pooled_before") & (F.coalesce("missing_before", F.lit(0)) == 0)
    open_contents = contents.join(earlier, [*keys], "left").where(~F.coalesce(complete, F.lit(False)))
    gathered = _gathered(open_contents, member_vectors)
    missing = F.col("members") - F.size("vectors")
    return gathered.where(F.col("pooled_before").isNull() | (missing < F.col("missing_before")))


def _gathered(contents: DataFrame, member_vectors: DataFrame) -> DataFrame:
    member = F.create_map(*(F.lit(text) for pair in MEMBER_MODALITY.items() for text in pair))
    members = contents.select(
        F.col("content_hash").alias("pooled_id"),
        F.col("modality").alias("pooled_modality"),
        "pooled_before",
        "missing_before",
        member[F.col("modality")].alias("modality"),
        F.posexplode("members").alias("position", "content_hash"),
    )
    found = members.join(member_vectors, ["content_hash", "modality"], "left")
    in_order = F.array_sort(F.collect_list(F.struct("position", "vector")))
    return (
        found.groupBy("pooled_id", "pooled_modality")
        .agg(
            F.first("pooled_before").alias("pooled_before"),
            F.first("missing_before").alias("missing_before"),
            F.count(F.lit(1)).cast("int").alias("members"),
            in_order["vector"].alias("gathered"),
        )
        .select(
            F.col("pooled_id").alias("content_hash"),
            F.col("pooled_modality").alias("modality"),
            "pooled_before",
            "missing_before",
            "members",
            F.array_compact("gathered").alias("vectors"),
        )
    )


def pooled(rows: DataFrame) -> DataFrame:
    """Rows of `to_pool` -> rows as a worker gives them."""
    return rows.select("content_hash", "modality", "members", "vectors").mapInArrow(_pool_batches, RESULT)


def _pool_batches(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        if batch.num_rows:
            yield pool_batch(batch)


def pool_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    """All contents of a batch at once: vectors laid end to end, summed by content."""
    lists = batch.column("vectors")
    counts = np.asarray(lists.value_lengths().fill_null(0))
    members = batch.column("members").to_pylist()
    means = _means(lists.flatten().to_pylist(), counts)
    rows: list[dict[str, Any]] = []
    for i, (content, modality) in enumerate(
        zip(batch.column("content_hash").to_pylist(), batch.column("modality").to_pylist(), strict=True)
    ):
        vector = means.get(i)
        usable = vector is not None and bool(np.isfinite(vector).all())
        reason = "no_member_vector" if vector is None else "no_direction"
        rows.append(
            {
                "content_hash": content,
                "modality": modality,
                "status": "ok" if usable else "failed",
                "reason": None if usable else reason,
                "vector": vector.astype("<f4").tobytes() if usable and vector is not None else None,
                "dimensions": len(vector) if usable and vector is not None else None,
                "details": [("members", str(members[i])), ("members_missing", str(members[i] - int(counts[i])))],
            }
        )
    return pa.RecordBatch.from_pylist(rows, schema=ARROW_RESULT)


def _means(vectors: list[bytes], counts: np.ndarray) -> dict[int, np.ndarray]:
    """Unit mean by position in the batch, for contents that have vectors."""
    if not vectors:
        return {}
    matrix = np.frombuffer(b"".join(vectors), dtype="<f4").reshape(len(vectors), -1)
    filled = np.flatnonzero(counts)
    starts = np.concatenate([[0], np.cumsum(counts[filled])[:-1]])
    units = unit_rows(np.add.reduceat(matrix.astype(np.float64), starts, axis=0))
    return dict(zip(filled.tolist(), units, strict=True))
