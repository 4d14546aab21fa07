"""What is there to encode: contents from silver, each once, by the id under which its vector is kept.

Every function gives (content_hash, modality, paths array<string>, text string); one of the last two is null.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, StringType

from encoders.heads.judge import parts_of
from pipelines.delta import TableStore
from pipelines.sources.texts import content_hash, review_content
from pipelines.tables.sources import EVENTS, MEDIA, MESSAGES, PRODUCT_CONTENTS, REVIEWS

MEMBER_MODALITY = {"product_image": "image", "product_video": "video"}
"""What the members of a product's pooled content are."""
MODALITIES = {"clip": ("image", "video", "product_text", "query"), "review": ("review", "clause")}
"""What each encoder of a release encodes; the pooled modalities follow from the members."""
# The same bytes may lie at many places; a worker tries these in order.
_PATHS_TRIED = 5


def contents_for(
    store: TableStore, part: str, drop_ids: Sequence[str] | None, *, with_clauses: bool = False
) -> DataFrame:
    """All contents of a release's part that the rows of some drops name; None: of all drops.

    `with_clauses`: also the clauses of reviews and messages, for heads to judge.
    """

    def read(table: object) -> DataFrame:
        rows = store.read(table)  # type: ignore[arg-type]
        return rows if drop_ids is None else rows.where(F.col("drop_id").isin(*drop_ids))

    if part == "clip":
        products = read(PRODUCT_CONTENTS)
        found = [
            media_members(products, store.read(MEDIA)),
            product_texts(products),
            queries(read(EVENTS)),
        ]
    else:
        texts = once_each(reviews(read(REVIEWS)).unionByName(messages(read(MESSAGES))))
        found = [texts, clauses(texts)] if with_clauses else [texts]
    return once_each(reduce(DataFrame.unionByName, found))


def media_members(product_contents: DataFrame, media: DataFrame) -> DataFrame:
    """Pictures and videos of products, with the places where their bytes lie."""
    member = F.create_map(*(F.lit(text) for pair in MEMBER_MODALITY.items() for text in pair))
    members = (
        product_contents.where(F.col("modality").isin(*MEMBER_MODALITY))
        .select(member[F.col("modality")].alias("modality"), F.explode("members").alias("content_hash"))
        .distinct()
    )
    readable = media.where(F.col("content_hash").isNotNull() & F.col("media_path").isNotNull())
    places = readable.groupBy("content_hash").agg(
        F.slice(F.array_sort(F.collect_set("media_path")), 1, _PATHS_TRIED).alias("paths")
    )
    # A member without a place stays: it becomes a row that says so.
    return members.join(places, "content_hash", "left").select(
        "content_hash",
        "modality",
        F.coalesce("paths", F.array().cast("array<string>")).alias("paths"),
        F.lit(None).cast("string").alias("text"),
    )


def product_texts(product_contents: DataFrame) -> DataFrame:
    rows = product_contents.where((F.col("modality") == "product_text") & F.col("text").isNotNull())
    return rows.select(*_text_columns(F.col("content_id"), "product_text", F.col("text")))


def queries(events: DataFrame) -> DataFrame:
    """Search texts: silver has them normalised, and their hash is their id."""
    rows = events.where(F.length(F.trim("query")) > 0)
    return rows.select(*_text_columns(content_hash(F.col("query")), "query", F.col("query")))


def reviews(rows: DataFrame) -> DataFrame:
    text = review_content(F.col("title"), F.col("text"))
    return rows.where(F.col("content_hash").isNotNull()).select(*_text_columns(F.col("content_hash"), "review", text))


def messages(rows: DataFrame) -> DataFrame:
    """In one space with the reviews, and under the same modality."""
    return rows.where(F.col("content_hash").isNotNull()).select(
        *_text_columns(F.col("content_hash"), "review", F.col("text"))
    )


def clauses(texts: DataFrame) -> DataFrame:
    """The clauses of texts that have several; a text of one clause is judged by its own vector."""
    cut = texts.select(F.explode(_clauses_of_several("text")).alias("text"))
    return cut.select(*_text_columns(content_hash(F.col("text")), "clause", F.col("text")))


@F.arrow_udf(ArrayType(StringType()))  # type: ignore[attr-defined]
def _clauses_of_several(texts: pa.Array) -> pa.Array:
    parts = (parts_of(text) for text in texts.to_pylist())
    found = [[part.text for part in some] if len(some) > 1 else [] for some in parts]
    return pa.array(found, pa.list_(pa.string()))


def once_each(contents: DataFrame) -> DataFrame:
    """One row per content and modality, whichever product, user or table it came from."""
    return contents.groupBy("content_hash", "modality").agg(F.max("paths").alias("paths"), F.max("text").alias("text"))


def _text_columns(content: Column, modality: str, text: Column) -> tuple[Column, ...]:
    return (
        content.alias("content_hash"),
        F.lit(modality).alias("modality"),
        F.lit(None).cast("array<string>").alias("paths"),
        text.alias("text"),
    )
