"""The vectors that a job ships to its workers."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.sql import DataFrame

from pipelines.errors import VectorsTooLargeError
from pipelines.features.vectors import VectorMatrix, mapped, vectors_of
from pipelines.tables.aggregates import EMBEDDINGS
from tests.hand_made_home import Home

CLIP = ("clip", "1")


def _embedding(content: str, *values: float, version: str = "1", modality: str = "product_image") -> dict[str, object]:
    row = {"content_hash": content, "modality": modality, "encoder": "clip", "encoder_version": version}
    if not values:
        return {**row, "status": "failed", "reason": "corrupt"}
    return {**row, "status": "ok", "vector": np.array(values, "<f4").tobytes(), "dimensions": len(values)}


@pytest.fixture
def shop(home: Home) -> Home:
    # Two commits, so that the vectors lie in several files.
    home.write(EMBEDDINGS, _embedding("b", 3, 4), _embedding("c", 5, 6), _embedding("broken"))
    home.write(
        EMBEDDINGS,
        _embedding("a", 1, 2),
        _embedding("a", 9, 9, version="2"),
        _embedding("t", 7, 7, modality="product_text"),
    )
    return home


def _needed(home: Home, *contents: str) -> DataFrame:
    return home.store.spark.createDataFrame([(content,) for content in contents], "content_id string")


def _found(matrix: VectorMatrix | None) -> dict[str, list[float]]:
    assert matrix is not None
    vectors = mapped(matrix.name)
    assert vectors.dtype == np.float32
    assert vectors.shape == (matrix.count, matrix.dimensions)
    return {row.content_id: vectors[row.row].tolist() for row in matrix.rows.collect()}


def test_the_whole_catalogue_where_it_fits(shop: Home) -> None:
    matrix = vectors_of(shop.store, "product_image", CLIP, _needed(shop, "a"))
    assert _found(matrix) == {"a": [1, 2], "b": [3, 4], "c": [5, 6]}


def test_else_what_the_batch_needs(shop: Home) -> None:
    matrix = vectors_of(shop.store, "product_image", CLIP, _needed(shop, "c", "a", "c", "broken", "t"), limit=16)
    assert _found(matrix) == {"a": [1, 2], "c": [5, 6]}
    with pytest.raises(VectorsTooLargeError, match="smaller batches"):
        vectors_of(shop.store, "product_image", CLIP, _needed(shop, "a", "b", "c"), limit=16)


def test_a_table_that_only_spark_can_read_gives_what_the_batch_needs(shop: Home) -> None:
    location = shop.store.location(EMBEDDINGS)
    shop.store.spark.sql(f"ALTER TABLE delta.`{location}` SET TBLPROPERTIES ('delta.checkpointPolicy' = 'v2')")
    assert _found(vectors_of(shop.store, "product_image", CLIP, _needed(shop, "b"))) == {"b": [3, 4]}


def test_none_where_there_are_none(shop: Home) -> None:
    assert vectors_of(shop.store, "query", CLIP, _needed(shop, "a")) is None
    assert vectors_of(shop.store, "product_image", ("clip", "3"), _needed(shop, "a")) is None


def test_none_before_anything_was_encoded(home: Home) -> None:
    assert vectors_of(home.store, "query", CLIP, _needed(home, "a")) is None
