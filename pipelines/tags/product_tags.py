"""product_tags: what every product version is about.

Cost ∝ the product versions that a batch's drops or newly arrived vectors touch, beside a sample of those with words
and pictures that is learned from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyspark.sql import Window
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.features.arrivals import fresh_contents
from pipelines.features.history import publish
from pipelines.features.product_vectors import product_vectors
from pipelines.governance.progress import Batch
from pipelines.releases.manifest import Release
from pipelines.tables.aggregates import EMBEDDINGS
from pipelines.tables.features import PRODUCT_TAGS
from pipelines.tables.sources import PRODUCT_CONTENTS, PRODUCTS
from pipelines.tags.about import PRICE_THIRDS, Product, Recogniser, captions_of
from pipelines.tags.captions import caption_vectors
from pipelines.tags.catalogue import Catalogue
from pipelines.tags.definition import Definition
from pipelines.tags.look_alikes import LookAlikes, fit_look_alikes

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

# So many labelled pictures are learned from at most: 40 MB at 512 dimensions.
_LEARNED_FROM = 20_000
_ROW = "product_id string, event_timestamp timestamp, inputs_available_at timestamp, tags array<string>, shares array<float>"  # fmt: skip  # noqa: E501


def build_product_tags(store: TableStore, batch: Batch, release: Release, definition: Definition) -> int:
    """Write the rows of product versions that a batch touches, where they changed; returns the number of rows."""
    versions = store.read(PRODUCTS)
    touched = versions.where(F.col("drop_id").isin(list(batch.drop_ids))).select("product_id")
    fresh = fresh_contents(store, batch, release)
    if fresh is not None:
        contents = store.read(PRODUCT_CONTENTS).join(fresh, ["content_id", "modality"])
        touched = touched.unionByName(contents.select("product_id"))
    touched = touched.distinct().persist()
    try:
        if touched.isEmpty():
            return 0
        name, version = release.encoder_for("tags")
        rows = product_tags(store, release, definition, touched)
        rows = rows.withColumns({"encoder": F.lit(name), "encoder_version": F.lit(version)})
        return publish(store, rows, PRODUCT_TAGS, batch, f"/{name}/{version}")
    finally:
        touched.unpersist()


def product_tags(store: TableStore, release: Release, definition: Definition, products: DataFrame) -> DataFrame:
    """One row per version of `products` (product_id): event_timestamp, inputs_available_at, tags, shares."""
    name, version = release.encoder_for("clip")
    embeddings = store.read(EMBEDDINGS).where(
        (F.col("encoder") == name) & (F.col("encoder_version") == version) & (F.col("status") == "ok")
    )
    pictures = product_vectors(store.read(PRODUCT_CONTENTS), embeddings).select(
        "product_id", F.col("event_timestamp").alias("valid_from"), "image_vector"
    )
    described = store.read(PRODUCTS).join(pictures, ["product_id", "valid_from"], "left")
    described = described.withColumn("price_third", _price_third())
    catalogue = definition.catalogue
    captions = caption_vectors(release.clip, captions_of(catalogue), store.settings)
    recogniser = Recogniser(catalogue, captions, _look_alikes(catalogue, described))
    return described.join(products, "product_id", "left_semi").mapInArrow(_worker(recogniser), _ROW)


def _look_alikes(catalogue: Catalogue, described: DataFrame) -> dict[str, LookAlikes]:
    """By facet, what is learned from a sample of the products whose words say their value."""
    by_words = Recogniser(catalogue)
    sample = described.where("image_vector is not null").orderBy(F.xxhash64("product_id")).limit(_LEARNED_FROM)
    columns = [name for name in described.columns if name not in {"image_paths", "video_paths"}]
    products = [_product(row) for row in sample.select(*columns).toArrow().to_pylist()]
    labels = [by_words.labels(product) for product in products]
    found = {}
    for facet in sorted({facet for of in labels for facet in of}):
        known = [(p.picture, p.category, of[facet]) for p, of in zip(products, labels, strict=True) if facet in of]
        pictures, categories, values = zip(*known, strict=True)
        # What a topic looks like is often what its category looks like: there it is not taken out.
        own = categories if facet in catalogue.facets else (None,) * len(pictures)
        learned = fit_look_alikes(pictures, own, values)
        if learned is not None:
            found[facet] = learned
    return found


def _price_third() -> Column:
    """Where a price lies among those of its category in the same currency; null without a price."""
    rank = F.percent_rank().over(Window.partitionBy("category", "currency").orderBy(F.col("price").asc_nulls_first()))
    low, middle, high = PRICE_THIRDS
    third = F.when(rank < 1 / 3, low).when(rank < 2 / 3, middle).otherwise(high)
    return F.when(F.col("price").isNotNull(), third)


def _worker(recogniser: Recogniser) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            rows = batch.to_pylist()
            found = [recogniser.of_product(_product(row)) for row in rows]
            yield pa.RecordBatch.from_pydict(
                {
                    "product_id": batch["product_id"],
                    "event_timestamp": batch["valid_from"],
                    "inputs_available_at": batch["available_at"],
                    "tags": pa.array([sorted(about) for about in found], pa.list_(pa.string())),
                    "shares": pa.array(
                        [[round(about[key], 3) for key in sorted(about)] for about in found], pa.list_(pa.float32())
                    ),
                }
            )

    return run


def _product(row: dict[str, object]) -> Product:
    vector = row["image_vector"]
    attributes = row["attributes"]
    return Product(
        title=str(row["title"] or ""),
        description=str(row["description"] or ""),
        category=_text(row["category"]),
        brand=_text(row["brand"]),
        attributes=dict(attributes) if isinstance(attributes, list | dict) else {},
        price_third=_text(row["price_third"]),
        picture=None if vector is None else np.asarray(vector, dtype=np.float32),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)
