"""user_opinions and product_opinions: what reviews say, by who wrote them and by what they are about.

Cost ∝ the judged reviews of the users and products that a batch touches.
"""

from __future__ import annotations

import datetime as dt

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from encoders.heads.prototypes import ASPECTS
from pipelines.delta import TableStore
from pipelines.features.history import publish
from pipelines.features.products import PURPOSE, touched_products
from pipelines.features.scalars import last_midnight
from pipelines.features.subjects import EVER, FOREVER, subjects_of
from pipelines.features.windows import Measures, windowed
from pipelines.governance.progress import Batch
from pipelines.identity.consent import with_allowed_purposes
from pipelines.identity.tombstones import without_erased
from pipelines.releases.manifest import Release
from pipelines.tables.aggregates import REVIEW_JUDGEMENTS
from pipelines.tables.definitions import OPINION_WINDOWS_DAYS
from pipelines.tables.features import PRODUCT_OPINIONS, USER_OPINIONS
from pipelines.tables.schema import Table
from pipelines.tables.sources import CONSENTS, IDENTITIES, REVIEWS, TOMBSTONES

_SAID = {"praised": "aspects_praised", "blamed": "aspects_blamed"}
_LONGEST = max(OPINION_WINDOWS_DAYS)
DAILY = Measures(
    sums=("reviews_judged", "score_sum", *(f"{aspect}_{said}" for said in _SAID for aspect in ASPECTS), "days"),
    amounts=frozenset({"score_sum"}),
    windows=OPINION_WINDOWS_DAYS,
    lasts=("available_at",),
    once="days",
)


def build_user_opinions(store: TableStore, batch: Batch, release: Release, users: DataFrame) -> int:
    """Bring the opinions of `users` [user_id, from_day], those whose windows expired among them, up to the batch's
    time; rows written."""
    if not _is_judged(store, release):
        return 0
    subjects = subjects_of(store, users).persist()
    written = _reviews(store).join(subjects, "subject_id", "left_semi")
    owned = _daily(_judged(store, release, written), "subject_id").join(subjects, "subject_id")
    known = F.greatest("available_at", "link_available_at")
    placed = owned.withColumn("available_at", known).withColumnRenamed("user_id", "entity")
    steps = windowed(placed, DAILY, USER_OPINIONS.purposes, last_midnight(batch), users.count())
    rows = _publish(store, batch, release, steps.withColumnRenamed("entity", "user_id"), USER_OPINIONS)
    subjects.unpersist()
    return rows


def build_product_opinions(store: TableStore, batch: Batch, release: Release, dirty_days: DataFrame) -> int:
    """Bring the opinions on every product that changed up to the batch's time; rows written."""
    if not _is_judged(store, release):
        return 0
    touched = touched_products(store, batch, dirty_days).persist()
    first = touched.agg(F.min("from_day")).collect()[0][0]
    if first is None:
        return 0
    recent = _reviews(store).where(F.col("day") >= F.lit(first - dt.timedelta(days=_LONGEST)))
    about = recent.join(touched, "product_id", "left_semi")
    daily = _daily(_judged(store, release, about), "product_id").join(touched, "product_id")
    placed = daily.withColumnRenamed("product_id", "entity").withColumns(
        {
            "subject_id": F.col("entity"),
            "held_from": F.lit(EVER),
            "held_until": F.lit(FOREVER),
        }
    )
    steps = windowed(placed, DAILY, (PURPOSE,), last_midnight(batch), touched.count())
    written = _publish(store, batch, release, steps.withColumnRenamed("entity", "product_id"), PRODUCT_OPINIONS)
    touched.unpersist()
    return written


def _is_judged(store: TableStore, release: Release) -> bool:
    return release.serves(REVIEW_JUDGEMENTS) and store.exists(REVIEW_JUDGEMENTS)


def _reviews(store: TableStore) -> DataFrame:
    rows = store.read(REVIEWS).withColumnRenamed("user_id", "subject_id")
    return rows.select(
        "review_id",
        "subject_id",
        "product_id",
        F.to_date("event_timestamp").alias("day"),
        "event_timestamp",
        "available_at",
    )


def _judged(store: TableStore, release: Release, reviews: DataFrame) -> DataFrame:
    """`reviews` with their judgement and `allowed_purposes`."""
    name, version = release.encoder_for("opinions")
    said = store.read(REVIEW_JUDGEMENTS).where((F.col("encoder") == name) & (F.col("encoder_version") == version))
    known = without_erased(reviews, store.read(TOMBSTONES))
    allowed = with_allowed_purposes(known, store.read(CONSENTS), store.read(IDENTITIES), store.settings)
    return allowed.join(said.select("review_id", "score", *_SAID.values()), "review_id")


def _daily(judged: DataFrame, by: str) -> DataFrame:
    """Sums per subject or product, day and allowed purposes, as `windowed` takes them."""
    counts = [
        F.count_if(F.array_contains(column, aspect)).alias(f"{aspect}_{said}")
        for said, column in _SAID.items()
        for aspect in ASPECTS
    ]
    return judged.groupBy(by, "day", "allowed_purposes").agg(
        F.count(F.lit(1)).alias("reviews_judged"),
        # Rounded, so that the order of summation cannot make a difference.
        F.sum(F.round("score", 6)).alias("score_sum"),
        *counts,
        F.lit(1).alias("days"),
        F.min("event_timestamp").alias("first_event_at"),
        F.max("available_at").alias("available_at"),
    )


def _publish(store: TableStore, batch: Batch, release: Release, steps: DataFrame, table: Table) -> int:
    name, version = release.encoder_for("opinions")
    keys = [column for column in ("user_id", "purpose", "product_id") if column in table.keys]
    rows = steps.select(
        *keys,
        F.lit(name).alias("encoder"),
        F.lit(version).alias("encoder_version"),
        F.col("midnight").cast("timestamp").alias("event_timestamp"),
        DAILY.last("available_at").alias("inputs_available_at"),
        *(column.alias(column_name) for column_name, column in opinions(DAILY).items()),
    ).persist()
    written = publish(store, rows, table, batch)
    rows.unpersist()
    return written


def opinions(measures: Measures) -> dict[str, Column]:
    """The columns of both tables, from a frame of `windowed`."""
    over = measures.over
    counts = {f"{aspect}_{said}_90d": over(f"{aspect}_{said}", _LONGEST) for said in _SAID for aspect in ASPECTS}
    return {
        **{f"reviews_judged_{w}d": over("reviews_judged", w) for w in OPINION_WINDOWS_DAYS},
        **{
            f"sentiment_mean_{w}d": F.try_divide(over("score_sum", w), over("reviews_judged", w))
            for w in OPINION_WINDOWS_DAYS
        },
        **counts,
        **{f"aspects_{said}_90d": _most_often_first(said, counts) for said in _SAID},
    }


def _most_often_first(said: str, counts: dict[str, Column]) -> Column:
    """Names of the aspects that were said at all; equally frequent ones in the order of their declaration."""
    named = [
        F.struct(
            (-counts[f"{aspect}_{said}_90d"]).alias("rank"), F.lit(place).alias("place"), F.lit(aspect).alias("name")
        )
        for place, aspect in enumerate(ASPECTS)
    ]
    occurring = F.filter(F.array_sort(F.array(*named)), lambda item: item["rank"] < 0)
    return F.transform(occurring, lambda item: item["name"])
