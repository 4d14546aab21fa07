"""Product vectors: a row per product version at which one of a product's vectors changes.

Cost ∝ products that a batch's drops or newly arrived vectors touch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.features.arrivals import fresh_contents
from pipelines.features.history import publish
from pipelines.features.interest_rows import list_array
from pipelines.governance.progress import Batch
from pipelines.releases.manifest import Release
from pipelines.tables.aggregates import EMBEDDINGS
from pipelines.tables.features import PRODUCT_VECTORS
from pipelines.tables.sources import PRODUCT_CONTENTS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

VECTORS = {
    "product_image": "image_vector",
    "product_video": "video_vector",
    "product_text": "text_vector",
}
_KEYS = ("product_id", "encoder", "encoder_version", "event_timestamp", "inputs_available_at")


def build_product_vectors(store: TableStore, batch: Batch, release: Release) -> int:
    """Write the rows of products that a batch touches, where a vector changed; returns the number of rows."""
    name, version = release.encoder_for("clip")
    contents = store.read(PRODUCT_CONTENTS)
    fresh = fresh_contents(store, batch, release)
    touched = contents.where(F.col("drop_id").isin(list(batch.drop_ids))).select("product_id")
    if fresh is not None:
        touched = touched.unionByName(contents.join(fresh, ["content_id", "modality"]).select("product_id"))
    embeddings = store.read(EMBEDDINGS).where(
        (F.col("encoder") == name) & (F.col("encoder_version") == version) & (F.col("status") == "ok")
    )
    rows = product_vectors(contents.join(touched.distinct(), "product_id", "left_semi"), embeddings)
    return publish(store, rows.withColumns({"encoder": F.lit(name), "encoder_version": F.lit(version)}).select(
        *_KEYS, *VECTORS.values()), PRODUCT_VECTORS, batch, f"/{name}/{version}")  # fmt: skip


def product_vectors(contents: DataFrame, embeddings: DataFrame) -> DataFrame:
    """One row per product version: product_id, event_timestamp, inputs_available_at and the vectors.

    `embeddings` are those of one encoder version that have a vector.
    """
    vectors = embeddings.select(F.col("content_hash").alias("content_id"), "modality", "vector")
    by_version = (
        contents.where(F.col("modality").isin(list(VECTORS)))
        .join(vectors, ["content_id", "modality"], "left")
        .groupBy("product_id", F.col("valid_from").alias("event_timestamp"))
        .agg(
            F.max("available_at").alias("inputs_available_at"),
            *(F.max(F.when(F.col("modality") == m, F.col("vector"))).alias(c) for m, c in VECTORS.items()),
        )
    )
    arrays = ", ".join(f"{column} array<float>" for column in VECTORS.values())
    schema = f"product_id string, event_timestamp timestamp, inputs_available_at timestamp, {arrays}"
    return by_version.mapInArrow(_unpacked, schema)


def _unpacked(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Little-endian float32 bytes to lists of floats, whole columns at a time."""
    for batch in batches:
        if batch.num_rows == 0:
            continue
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        for column in VECTORS.values():
            columns[column] = _floats(columns[column])
        yield pa.RecordBatch.from_pydict(columns)


def _floats(column: pa.Array) -> pa.Array:
    there = column.is_valid().to_numpy(zero_copy_only=False)
    values = np.frombuffer(b"".join(column.drop_null().to_pylist()), dtype="<f4")
    matrix = np.zeros((len(column), len(values) // max(1, int(there.sum()))), dtype=np.float32)
    matrix[there] = values.reshape(int(there.sum()), -1) if there.any() else matrix[there]
    return list_array(matrix, there)
