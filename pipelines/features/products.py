"""product_activity: how a product does, and what it costs.

Cost ∝ the events, from 90 days before the first change on, of products with something new or an expiry.
"""

from __future__ import annotations

import datetime as dt
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.features.history import publish
from pipelines.features.scalars import last_midnight
from pipelines.features.subjects import EVER, FOREVER, first_midnight_from
from pipelines.features.windows import Measures, windowed
from pipelines.governance.progress import Batch
from pipelines.identity.consent import with_allowed_purposes
from pipelines.identity.tombstones import without_erased
from pipelines.tables.features import PRODUCT_ACTIVITY
from pipelines.tables.sources import CONSENTS, EVENTS, IDENTITIES, PRODUCTS, REVIEWS, TOMBSTONES

PURPOSE = "personalisation"
WINDOWS = (7, 30, 90)
COUNTED = {
    "views": ("view", "click"),
    "cart_adds": ("add_to_cart",),
    "purchases": ("purchase",),
    "returns": ("return",),
}
DAILY = Measures(
    sums=(*COUNTED, "units", "reviews", "rating_sum", "rated_reviews", "days"),
    amounts=frozenset(),
    windows=WINDOWS,
    lasts=("available_at",),
    once="days",
)


def build_product_activity(store: TableStore, batch: Batch, dirty_days: DataFrame) -> int:
    """Bring the history of every product that changed up to the batch's time; rows written."""
    touched = touched_products(store, batch, dirty_days).persist()
    first = touched.agg(F.min("from_day")).collect()[0][0]
    if first is None:
        return 0
    daily = product_daily(store, touched, first - dt.timedelta(days=max(WINDOWS)))
    with_prices = daily.unionByName(_price_days(store, touched, daily), allowMissingColumns=True)
    placed = with_prices.join(touched, "product_id").select(
        F.col("product_id").alias("entity"),
        F.col("product_id").alias("subject_id"),
        F.lit(EVER).alias("held_from"),
        F.lit(FOREVER).alias("held_until"),
        F.lit(None).cast("timestamp").alias("first_event_at"),
        F.array(F.lit(PURPOSE)).alias("allowed_purposes"),
        *("from_day", "day", *DAILY.sums, "available_at"),
    )
    steps = windowed(placed, DAILY, (PURPOSE,), last_midnight(batch), touched.count())
    rows = _with_price(_counts(steps), store.read(PRODUCTS)).persist()
    written = publish(store, rows, PRODUCT_ACTIVITY, batch)
    rows.unpersist()
    touched.unpersist()
    return written


def touched_products(store: TableStore, batch: Batch, dirty_days: DataFrame) -> DataFrame:
    """Products with new or expiring acts or a new price: [product_id, from_day], see `dirty_users`."""
    acts, versions = _acts(store), store.read(PRODUCTS)
    price_day = F.date_sub(F.to_date("valid_from"), 1).alias("from_day")
    touched = [
        acts.join(dirty_days, ["subject_id", "day"], "left_semi").select("product_id", F.col("day").alias("from_day")),
        versions.where(F.col("drop_id").isin(list(batch.drop_ids))).select("product_id", price_day),
    ]
    if batch.previous_as_of is not None:
        since, over = batch.previous_as_of.date(), max(batch.as_of, batch.previous_as_of).date()
        touched += [
            acts.where(_ends_or_leaves(since, over)).select("product_id", F.lit(since).alias("from_day")),
            versions.where(F.col("valid_from") > F.lit(batch.previous_as_of)).select("product_id", price_day),
        ]
    return reduce(DataFrame.unionByName, touched).groupBy("product_id").agg(F.min("from_day").alias("from_day"))


def product_daily(store: TableStore, touched: DataFrame, since: dt.date) -> DataFrame:
    """Sums per product and day, from a day on, of acts that were allowed for personalisation."""
    acts = _acts(store).where(F.col("day") >= F.lit(since)).join(touched, "product_id", "left_semi")
    known = without_erased(acts, store.read(TOMBSTONES))
    allowed = with_allowed_purposes(known, store.read(CONSENTS), store.read(IDENTITIES), store.settings)
    kind, rating, counts = F.col("event_type"), F.col("rating"), F.array_contains("allowed_purposes", PURPOSE)

    def count(condition: Column) -> Column:
        return F.count_if(counts & condition)

    return allowed.groupBy("product_id", "day").agg(
        *(count(kind.isin(list(types))).alias(name) for name, types in COUNTED.items()),
        F.sum(F.when(counts & (kind == "purchase"), F.coalesce("quantity", F.lit(1)))).alias("units"),
        count(kind == "review").alias("reviews"),
        F.sum(F.when(counts, rating)).alias("rating_sum"),
        count(rating.isNotNull()).alias("rated_reviews"),
        F.lit(1).alias("days"),
        F.max(F.when(counts, F.col("available_at"))).alias("available_at"),
    )


def _acts(store: TableStore) -> DataFrame:
    columns = ("subject_id", "product_id", "event_type", "event_timestamp", "day", "quantity", "rating", "available_at")
    events = store.read(EVENTS).withColumns({"day": F.col("event_date"), "rating": F.lit(None).cast("int")})
    reviews = store.read(REVIEWS).withColumns(
        {
            "subject_id": F.col("user_id"),
            "event_type": F.lit("review"),
            "day": F.to_date("event_timestamp"),
            "quantity": F.lit(None).cast("int"),
        }
    )
    return events.select(*columns).unionByName(reviews.select(*columns)).where(F.col("product_id").isNotNull())


def _ends_or_leaves(since: dt.date, over: dt.date) -> Column:
    """Days that ended, or left a window, after `since` and up to `over`."""
    day = F.col("day")
    ranges = ((since - dt.timedelta(days=w), over - dt.timedelta(days=w)) for w in (0, *WINDOWS))
    return reduce(lambda a, b: a | b, ((day >= F.lit(a)) & (day < F.lit(b)) for a, b in ranges))


def _price_days(store: TableStore, touched: DataFrame, daily: DataFrame) -> DataFrame:
    """A day without acts before each change of a price, so that there is a step at its end."""
    versions = store.read(PRODUCTS).join(touched, "product_id", "left_semi")
    day = F.date_from_unix_date(first_midnight_from(F.col("valid_from")) - 1).alias("day")
    return versions.select("product_id", day).distinct()


def _counts(steps: DataFrame) -> DataFrame:
    over = DAILY.over
    return steps.select(
        F.col("entity").alias("product_id"),
        F.col("midnight").cast("timestamp").alias("event_timestamp"),
        DAILY.last("available_at").alias("inputs_available_at"),
        *(
            over(name, w).alias(f"{name}_{w}d")
            for name in ("views", "cart_adds", "purchases", "units")
            for w in (7, 30)
        ),
        over("returns", 30).alias("returns_30d"),
        over("reviews", 90).alias("reviews_90d"),
        F.try_divide(over("rating_sum", 90), over("rated_reviews", 90)).alias("rating_mean_90d"),
    )


def _with_price(rows: DataFrame, products: DataFrame) -> DataFrame:
    """The price in force at each step; null while the product, or its price, is unknown."""
    version = products.select(
        F.col("product_id").alias("of_product"),
        F.col("price").cast("double").alias("price"),
        "valid_from",
        "valid_to",
        F.col("available_at").alias("price_available_at"),
    )
    at = F.col("event_timestamp")
    holds = (F.col("valid_from") <= at) & (F.col("valid_to").isNull() | (at < F.col("valid_to")))
    priced = rows.join(version, (F.col("product_id") == F.col("of_product")) & holds, "left")
    known = F.greatest("inputs_available_at", "price_available_at")
    return priced.withColumn("inputs_available_at", known)
