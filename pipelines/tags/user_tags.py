"""user_tags: the rows of users at moments, from their acts and their published features.

Cost ∝ acts of these users and, per moment, one row of each history that a condition looks at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
from pyspark.sql import Window
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.features.subjects import subjects_of
from pipelines.identity.consent import with_allowed_purposes
from pipelines.identity.tombstones import without_erased
from pipelines.releases.manifest import Release
from pipelines.tables.definitions import INTEREST_WEIGHTS
from pipelines.tables.features import HISTORIES, PRODUCT_ACTIVITY, PRODUCT_TAGS
from pipelines.tables.sources import CONSENTS, EVENTS, IDENTITIES, TOMBSTONES
from pipelines.tags.about import Recogniser
from pipelines.tags.catalogue import FEATURES, Catalogue
from pipelines.tags.confidence import Floats
from pipelines.tags.definition import Definition
from pipelines.tags.tagging import COLUMNS, Tagger

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_USERS_PER_BUCKET = 2_000
_ROW = (
    "user_id string, purpose string, at bigint, known_at bigint, tags array<string>, confidences array<float>, "
    "evidence array<string>"
)
_NOTHING = pa.schema(
    [("user_id", pa.string()), ("purpose", pa.string()), ("at", pa.int64()), ("known_at", pa.int64()), *COLUMNS]
).empty_table()
# Of a product's versions, the one that holds at a moment; before the first one the first.
_IN_FORCE = "(version <= at or is_first) and (until is null or at < until)"
_HISTORY_OF = {table.name: table for table in HISTORIES}
# What an act on a product says of how much the shop's users look at it.
_POPULARITY = "views_30d + 4 * cart_adds_30d + 8 * purchases_30d"


class TagInputs(NamedTuple):
    """Frames of `tag_inputs`, both with `bucket`, and the tagger that takes them."""

    moments: DataFrame
    acts: DataFrame
    tagger: Tagger


def tagged(store: TableStore, release: Release, definition: Definition, moments: DataFrame) -> DataFrame:
    """Rows of user_tags for `moments` [user_id, purpose, event_timestamp, known_at]: these columns and the features.

    Nothing is taken from after event_timestamp, nor what was known after `known_at` only.
    """
    inputs = tag_inputs(store, release, definition, moments)
    tagger = inputs.tagger

    def run(asked: pa.Table, acts: pa.Table) -> pa.Table:
        parts = list(tagger.tagged(numbered(asked), acts))
        return pa.concat_tables(parts).select(_NOTHING.column_names) if parts else _NOTHING

    rows = inputs.moments.groupBy("bucket").cogroup(inputs.acts.groupBy("bucket")).applyInArrow(run, _ROW)
    instants = {"event_timestamp": F.timestamp_micros("at"), "known_at": F.timestamp_micros("known_at")}
    return rows.withColumns(instants).drop("at")


def tag_inputs(store: TableStore, release: Release, definition: Definition, moments: DataFrame) -> TagInputs:
    """What is needed to tag the moments: features as of each, acts of their users, and what is usual in the shop."""
    moments = moments.select(
        "user_id", "purpose", F.unix_micros("event_timestamp").alias("at"), F.unix_micros("known_at").alias("known_at")
    ).persist()
    users = moments.select("user_id").distinct().withColumn("from_day", F.lit("1970-01-01").cast("date"))
    about = _product_tags(store, release).persist()
    keys, times, usual = _usual(store, about, moments)
    buckets = max(store.settings.cores, -(-moments.select("user_id").distinct().count() // _USERS_PER_BUCKET))

    def with_bucket(frame: DataFrame) -> DataFrame:
        return frame.withColumn("bucket", F.pmod(F.xxhash64("user_id"), F.lit(buckets)))

    asked = moments
    for table in FEATURES:
        asked = _as_of(store, release, asked, table, definition.features_of(table))
    acts = _acts(store, definition, users, about)
    return TagInputs(
        with_bucket(asked),
        with_bucket(acts),
        Tagger(definition, keys, times, usual),
    )


def numbered(moments: pa.Table) -> pa.Table:
    """Feature columns under their own names, for Spark takes a dot for a struct's field."""
    return moments.rename_columns([name.replace("__", ".", 1) for name in moments.column_names])


def _as_of(store: TableStore, release: Release, moments: DataFrame, table: str, names: Sequence[str]) -> DataFrame:
    """`moments` with a history's features of the given names, as `<table>__<feature>`, in force at each.

    Of a part that the release does not have they are null.
    """
    history = _HISTORY_OF[table]
    if not names:
        return moments
    if not release.serves(history):
        return moments.withColumns({f"{table}__{name}": F.lit(None).cast("double") for name in names})
    rows = store.read(history)
    if history.depends_on:
        encoder, version = release.encoder_for(history.depends_on)
        rows = rows.where((F.col("encoder") == encoder) & (F.col("encoder_version") == version))
    rows = rows.select(
        "user_id",
        "purpose",
        F.unix_micros("event_timestamp").alias("true_at"),
        F.unix_micros("created_at").alias("made_at"),
        F.struct(*(_number(name, FEATURES[table][name]).alias(f"{table}__{name}") for name in names)).alias("value"),
    )
    keys = ("user_id", "purpose", "at", "known_at")
    found = (
        moments.select(*keys)
        .join(rows, ["user_id", "purpose"])
        .where("true_at <= at and made_at <= known_at")
        .groupBy(*keys)
        .agg(F.max_by("value", F.struct("true_at", "made_at")).alias("value"))
    )
    return moments.join(found.select(*keys, "value.*"), list(keys), "left")


def _number(name: str, type_: str) -> Column:
    return (F.unix_micros(name) if type_ == "timestamp" else F.col(name)).cast("double")


def _product_tags(store: TableStore, release: Release) -> DataFrame:
    """Every product version: product_id, version and until (microseconds; null: for ever), keys, shares."""
    name, version = release.encoder_for("tags")
    rows = store.read(PRODUCT_TAGS).where((F.col("encoder") == name) & (F.col("encoder_version") == version))
    newest = rows.groupBy("product_id", "event_timestamp").agg(
        F.max_by(F.struct(F.col("tags").alias("keys"), "shares"), "created_at").alias("about")
    )
    of_product = Window.partitionBy("product_id").orderBy("event_timestamp")
    return newest.select(
        "product_id",
        F.unix_micros("event_timestamp").alias("version"),
        F.unix_micros(F.lead("event_timestamp").over(of_product)).alias("until"),
        (F.row_number().over(of_product) == 1).alias("is_first"),
        "about.*",
    )


def _usual(store: TableStore, about: DataFrame, moments: DataFrame) -> tuple[tuple[str, ...], np.ndarray, Floats]:
    """The shop's shares of what its users looked at: keys, times (microseconds), and shares (times, keys).

    Of a time before anything was looked at they are zero.
    """
    times = moments.select("at").distinct()
    popularity = (
        store.read(PRODUCT_ACTIVITY)
        .select(
            "product_id", F.unix_micros("event_timestamp").alias("true_at"), F.expr(_POPULARITY).alias("popularity")
        )
        .join(F.broadcast(times), F.expr("true_at <= at"))
        .groupBy("product_id", "at")
        .agg(F.max_by("popularity", "true_at").alias("popularity"))
        .where("popularity > 0")
    )
    known = popularity.join(about, "product_id").where(_IN_FORCE)
    total = {row.at: row.total for row in known.groupBy("at").agg(F.sum("popularity").alias("total")).collect()}
    pairs = F.explode(F.arrays_zip("keys", "shares")).alias("pair")
    sums = (
        known.select("at", "popularity", pairs)
        .groupBy("at", F.col("pair.keys").alias("key"))
        .agg(F.sum(F.col("popularity") * F.col("pair.shares")).alias("weight"))
        .collect()
    )
    every = about.select(F.explode("keys").alias("key")).distinct().collect()
    keys = tuple(sorted({row.key for row in every}))
    moments_at = np.array(sorted(row.at for row in times.collect()), dtype=np.int64)
    usual = np.zeros((len(moments_at), len(keys)))
    place = {key: number for number, key in enumerate(keys)}
    for row in sums:
        usual[np.searchsorted(moments_at, row.at), place[row.key]] = row.weight / total[row.at]
    return keys, moments_at, usual


def _acts(store: TableStore, definition: Definition, users: DataFrame, about: DataFrame) -> DataFrame:
    """What the users and their subjects did with products and searched for, and what that is about."""
    subjects = subjects_of(store, users)
    events = (
        store.read(EVENTS)
        .where(F.col("event_type").isin(list(INTEREST_WEIGHTS)))
        .where("product_id is not null or query is not null")
        .select("subject_id", "event_type", "event_timestamp", "product_id", "query", "available_at")
        .join(subjects.select("subject_id").distinct(), "subject_id", "left_semi")
    )
    known = without_erased(events, store.read(TOMBSTONES))
    allowed = with_allowed_purposes(known, store.read(CONSENTS), store.read(IDENTITIES), store.settings)
    acts = allowed.join(subjects, "subject_id").select(
        "user_id",
        "event_type",
        F.unix_micros("event_timestamp").alias("at"),
        F.unix_micros(F.greatest("available_at", "link_available_at")).alias("available"),
        "held_from",
        "held_until",
        "allowed_purposes",
        "product_id",
        "query",
    )
    on_products = acts.where("product_id is not null").join(about, "product_id").where(_IN_FORCE)
    searched = acts.where("product_id is null").join(_searches(acts, definition.catalogue), "query")
    frames = [
        on_products.withColumn("item", F.col("product_id")),
        searched.withColumns({"item": F.col("query"), "version": F.lit(0).cast("bigint")}),
    ]
    names = ("user_id", "item", "version", "event_type", "at", "available", "held_from", "held_until")
    return reduce(
        lambda a, b: a.unionByName(b), (f.select(*names, "allowed_purposes", "keys", "shares") for f in frames)
    )


def _searches(acts: DataFrame, catalogue: Catalogue) -> DataFrame:
    """Distinct search texts and what they name: query, keys, shares."""
    texts = acts.where("product_id is null").select("query").distinct()
    recogniser = Recogniser(catalogue)
    return texts.mapInArrow(_recognised(recogniser), "query string, keys array<string>, shares array<float>")


def _recognised(recogniser: Recogniser) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            found: Sequence[dict[str, float]] = [recogniser.of_search(text) for text in batch["query"].to_pylist()]
            yield pa.RecordBatch.from_pydict(
                {
                    "query": batch["query"],
                    "keys": pa.array([list(about) for about in found], pa.list_(pa.string())),
                    "shares": pa.array([list(about.values()) for about in found], pa.list_(pa.float32())),
                }
            )

    return run
