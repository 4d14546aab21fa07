"""silver.product_contents: what each product version shows and says, as one id per modality."""

from __future__ import annotations

from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipelines.sources.texts import content_hash, normalised

_MODALITIES = {"product_image": "image_paths", "product_video": "video_paths"}
_VERSION = ("product_id", "valid_from", "available_at", "drop_id")


def product_contents(products: DataFrame, media: DataFrame) -> DataFrame:
    """Rows of silver.product_contents for product versions and the silver.media rows of their drop."""
    return _media_contents(products, media).unionByName(_text_contents(products))


def _media_contents(products: DataFrame, media: DataFrame) -> DataFrame:
    """A picture or video that could not be read is left out; a version without any has no row."""
    positions = (
        products.select(*_VERSION, F.lit(modality).alias("modality"), F.posexplode(paths))
        for modality, paths in _MODALITIES.items()
    )
    named = reduce(DataFrame.unionByName, positions)
    hashes = media.where(F.col("content_hash").isNotNull()).select(F.col("given_path").alias("col"), "content_hash")
    ordered = F.array_sort(F.collect_list(F.struct("pos", "content_hash")))
    members = named.join(hashes, "col").groupBy(*_VERSION, "modality").agg(ordered.alias("ordered"))
    return members.withColumn("members", F.col("ordered.content_hash")).select(
        *_VERSION,
        "modality",
        content_hash(F.array_join("members", ",")).alias("content_id"),
        "members",
        F.lit(None).cast("string").alias("text"),
    )


def _text_contents(products: DataFrame) -> DataFrame:
    """Title, brand and category path; the description is left out, as it is often another language or missing."""
    category = F.replace("category", F.lit("/"), F.lit(" "))
    text = products.select(*_VERSION, normalised(F.concat_ws(" ", "title", "brand", category)).alias("text"))
    return text.where(F.col("text").isNotNull()).select(
        *_VERSION,
        F.lit("product_text").alias("modality"),
        content_hash(F.col("text")).alias("content_id"),
        F.array().cast("array<string>").alias("members"),
        "text",
    )
