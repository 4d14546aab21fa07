"""Reading the vectors of an encoder version."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.tables.aggregates import EMBEDDINGS


def embeddings_of(
    store: TableStore, encoder: str, version: str, modalities: Sequence[str], table_version: int | None = None
) -> DataFrame:
    """Rows of features.embeddings of an encoder version, failed ones included; prunes to their partitions.

    `table_version` fixes which rows are seen, also by a frame that is kept while the table is written.
    """
    rows = store.read(EMBEDDINGS) if table_version is None else store.read_version(EMBEDDINGS, table_version)
    return rows.where(
        (F.col("encoder") == encoder) & (F.col("encoder_version") == version) & F.col("modality").isin(*modalities)
    )


def embedding_vectors(store: TableStore, encoder: str, version: str, modalities: Sequence[str]) -> DataFrame:
    """(content_hash, modality, vector): float32 little-endian, unit length; contents without a vector left out."""
    found = embeddings_of(store, encoder, version, modalities)
    return found.where(F.col("status") == "ok").select("content_hash", "modality", "vector")
