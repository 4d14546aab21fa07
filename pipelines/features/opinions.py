"""user_opinions and product_opinions: what texts say, by who wrote them and by what they are about.

Cost ∝ the texts of the users and products that a batch touches. A text becomes a dozen numbers before anything is
shuffled, and texts of one owner and day are added up in the task that read them, so a product with a million reviews
arrives as some rows a day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from encoders.heads.prototypes import ASPECTS
from pipelines.delta import TableStore
from pipelines.features.history import publish
from pipelines.features.opinion_entities import entity_function, made_ddl
from pipelines.features.opinion_rows import DAILY_DDL, MILLION, NEVER, SIDES, SLOTS, SUMS, by_day
from pipelines.features.opinion_texts import judged_texts, touched_products, users_due
from pipelines.features.scalars import last_midnight
from pipelines.features.subjects import EVER, FOREVER, subjects_of
from pipelines.governance.progress import Batch
from pipelines.releases.manifest import Release
from pipelines.tables.aggregates import TEXT_JUDGEMENTS
from pipelines.tables.definitions import PERSONAL, PRODUCT_OPINION_DAYS, TREND_DAYS, USER_OPINION_DAYS
from pipelines.tables.features import PRODUCT_OPINIONS, USER_OPINIONS
from pipelines.tables.schema import Table

PURPOSES = {USER_OPINIONS: PERSONAL, PRODUCT_OPINIONS: ("personalisation",)}
"""A product's row counts what may be used to personalise."""
WINDOWS = {
    USER_OPINIONS: USER_OPINION_DAYS,
    PRODUCT_OPINIONS: tuple(sorted({*PRODUCT_OPINION_DAYS, *TREND_DAYS})),
}


def build_opinions(store: TableStore, batch: Batch, release: Release, users: DataFrame) -> dict[str, int]:
    """Bring both histories up to the batch's time, of `users` [user_id, from_day] and of the products that their texts
    are about, and of those whose windows expired; rows written per table."""
    if not release.serves(TEXT_JUDGEMENTS) or not store.exists(TEXT_JUDGEMENTS):
        return {USER_OPINIONS.name: 0, PRODUCT_OPINIONS.name: 0}
    ways: tuple[tuple[Table, DataFrame, Callable[[TableStore, Release, DataFrame], DataFrame]], ...] = (
        (USER_OPINIONS, users_due(store, batch, release, users), user_days),
        (PRODUCT_OPINIONS, touched_products(store, batch, release, users), product_days),
    )
    written = {}
    for table, entities, days_of in ways:
        due = entities.persist()
        try:
            # Most batches of a shop in which few write touch nobody here.
            is_idle = due.isEmpty()
            written[table.name] = 0 if is_idle else _publish(store, batch, release, table, days_of(store, release, due))
        finally:
            due.unpersist()
    return written


def _publish(store: TableStore, batch: Batch, release: Release, table: Table, days: DataFrame) -> int:
    name, version = release.encoder_for("opinions")
    rows = opinion_rows(days, table, last_midnight(batch)).withColumns(
        {"encoder": F.lit(name), "encoder_version": F.lit(version)}
    )
    rows = rows.persist()
    try:
        return publish(store, rows, table, batch, f"/{name}/{version}")
    finally:
        rows.unpersist()


def user_days(store: TableStore, release: Release, users: DataFrame) -> DataFrame:
    """Sums of days for `users` [user_id, from_day], their own and of the subjects linked to them."""
    subjects = subjects_of(store, users)
    texts = judged_texts(store, release, "subject_id")
    texts = texts.join(subjects.select(F.col("subject_id").alias("owner")).distinct(), "owner", "left_semi")
    owned = _summed_by_day(texts).join(subjects.withColumnRenamed("subject_id", "owner"), "owner")
    known = F.greatest("known", F.coalesce(F.unix_micros("link_available_at"), F.lit(NEVER)))
    return owned.withColumns({"known": known, "entity": F.col("user_id"), "from_day": F.unix_date("from_day")})


def product_days(store: TableStore, release: Release, products: DataFrame) -> DataFrame:
    """Sums of days for `products` [product_id, from_day]."""
    of = products.select(F.col("product_id").alias("owner"), F.unix_date("from_day").alias("from_day"))
    texts = judged_texts(store, release, "product_id").join(of, "owner", "left_semi")
    return (
        _summed_by_day(texts)
        .join(of, "owner")
        .withColumns({"entity": F.col("owner"), "held_from": F.lit(EVER), "held_until": F.lit(FOREVER)})
    )


def _summed_by_day(texts: DataFrame) -> DataFrame:
    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if batch.num_rows:
                yield from by_day(pa.Table.from_batches([batch])).to_batches()

    return texts.mapInArrow(run, DAILY_DDL)


_ENTITY = ("entity", "from_day", "held_from", "held_until", "owner", "day", "known", "purposes", "sums",
           "last_negative", "quotes")  # fmt: skip


def opinion_rows(days: DataFrame, table: Table, to_midnight: int | None, asked: DataFrame | None = None) -> DataFrame:
    """Rows of a table: of every moment up to `to_midnight` at which one may change, or of those `asked` for.

    `days` as of `user_days` or `product_days`; `asked` has entity, purpose, midnight (days since 1970-01-01) and
    created (microseconds), and gives the rows their created_at. The others have inputs_available_at.
    """
    rows = days.select(*_ENTITY, F.lit(None).cast("string").alias("purpose"))
    if asked is None:
        rows = rows.withColumns({name: F.lit(None).cast("bigint") for name in ("midnight", "created")})
    else:
        rows = rows.unionByName(asked, allowMissingColumns=True)
    whole = rows.withColumn("entity_hash", F.xxhash64("entity")).repartition("entity_hash")
    windows = WINDOWS[table]
    function = entity_function(windows, PURPOSES[table], to_midnight)
    made = whole.sortWithinPartitions("entity_hash").mapInArrow(function, made_ddl(windows))
    key = [F.col("entity").alias(table.join_key)]
    return made.select(
        *key,
        *(["purpose"] if "purpose" in table.keys else []),
        F.timestamp_seconds(F.col("midnight") * 86_400).alias("event_timestamp"),
        _instant(F.col("available")).alias("inputs_available_at"),
        F.timestamp_micros("created").alias("created_at"),
        *(column.alias(name) for name, column in _features(table).items()),
    )


def _features(table: Table) -> dict[str, Column]:
    """The columns of a table, from rows as of `made_ddl`."""
    found = {}
    windows = USER_OPINION_DAYS if table is USER_OPINIONS else PRODUCT_OPINION_DAYS
    for days in windows:
        found[f"texts_judged_{days}d"] = _sum("texts", days)
        found[f"negative_share_{days}d"] = F.try_divide(_sum("negative", days), _sum("texts", days))
        found |= {f"{slot}_{days}d": _sum(slot, days) for slot in SLOTS}
    if table is PRODUCT_OPINIONS:
        found |= {f"sentiment_mean_{w}d": _mean(_sum("sentiment", w), _sum("texts", w)) for w in windows}
        found |= {f"{aspect}_blamed_trend": _trend(f"{aspect}_blamed") for aspect in ASPECTS}
        return found | {f"{slot}_quotes": F.get("quotes", F.lit(place)) for place, slot in enumerate(SLOTS)}
    found["sentiment_mean"] = _mean(F.get("decayed", F.lit(1)), F.get("decayed", F.lit(0)))
    found |= {f"aspects_{side}": _most_often_first(side, max(windows)) for side in SIDES}
    return found | {"last_negative_at": _instant(F.col("last_negative"))}


def _sum(name: str, days: int) -> Column:
    return F.get(f"w{days}", F.lit(SUMS.index(name)))


def _mean(millionths: Column, texts: Column) -> Column:
    """Rounded, so that the order of summation cannot make a difference."""
    return F.round(F.try_divide(millionths, texts) / F.lit(MILLION), 6)


def _trend(slot: str) -> Column:
    recent, both = TREND_DAYS
    before = F.try_divide(_sum(slot, both) - _sum(slot, recent), _sum("texts", both) - _sum("texts", recent))
    return F.try_divide(_sum(slot, recent), _sum("texts", recent)) - before


def _most_often_first(side: str, days: int) -> Column:
    """Names of the aspects that were said at all; equally frequent ones in the order of their declaration."""
    named = [
        F.struct((-_sum(f"{aspect}_{side}", days)).alias("rank"), F.lit(at).alias("place"), F.lit(aspect).alias("name"))
        for at, aspect in enumerate(ASPECTS)
    ]
    occurring = F.filter(F.array_sort(F.array(*named)), lambda item: item["rank"] < 0)
    return F.transform(occurring, lambda item: item["name"])


def _instant(micros: Column) -> Column:
    return F.timestamp_micros(F.when(micros != NEVER, micros))
