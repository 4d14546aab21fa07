"""Daily sums per subject: features.user_daily, what every window is summed from.

Cost ∝ the acts of the subject-days that a batch touches, plus rewriting the files that hold those days.
"""

from __future__ import annotations

import datetime as dt

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.identity.consent import with_allowed_purposes
from pipelines.identity.tombstones import without_erased
from pipelines.settings import Settings
from pipelines.tables.aggregates import DAILY_SUM_NAMES, USER_DAILY
from pipelines.tables.definitions import CHANNELS, COUNTED_EVENTS, DAYPARTS
from pipelines.tables.sources import CONSENTS, EVENTS, IDENTITIES, MESSAGES, REVIEWS, TOMBSTONES

_GROUP = ("subject_id", "day", "allowed_purposes", "drop_id")
_LAST = ("last_event_at", "last_purchase_at", "last_review_at", "available_at")


def build_daily(store: TableStore, dirty_days: DataFrame) -> int:
    """Sum the dirty (subject_id, day) pairs anew from silver and replace them in one commit.

    Returns the number of rows those pairs now have. Running it again changes nothing.
    """
    days = sorted(r.day for r in dirty_days.select("day").distinct().collect())
    if not days:
        return 0
    new = _daily_of(store, dirty_days, days).persist()
    old = store.read(USER_DAILY).where(F.col("day").isin(days))
    kept = old.join(dirty_days, ["subject_id", "day"], "left_anti")
    literals = ", ".join(f"DATE'{day}'" for day in days)
    # A day stays in one file, so that the next rewriting of a day touches few.
    rows_of_days = kept.unionByName(store.conform(new, USER_DAILY)).repartition("day")
    store.replace_where(rows_of_days, USER_DAILY, f"day IN ({literals})")
    rows = new.count()
    new.unpersist()
    return rows


def _daily_of(store: TableStore, dirty_days: DataFrame, days: list[dt.date]) -> DataFrame:
    consents, identities = store.read(CONSENTS), store.read(IDENTITIES)

    def allowed(acts: DataFrame) -> DataFrame:
        dirty = acts.where(F.col("day").isin(days)).join(dirty_days, ["subject_id", "day"], "left_semi")
        known = without_erased(dirty, store.read(TOMBSTONES))
        return with_allowed_purposes(known, consents, identities, store.settings)

    events = store.read(EVENTS).withColumnRenamed("event_date", "day")
    reviews, messages = (
        store.read(table).withColumnRenamed("user_id", "subject_id").withColumn("day", F.to_date("event_timestamp"))
        for table in (REVIEWS, MESSAGES)
    )
    return add_up(
        event_sums(allowed(events), store.settings),
        review_sums(allowed(reviews)),
        message_sums(allowed(messages)),
    )


def event_sums(events: DataFrame, settings: Settings) -> DataFrame:
    """Sums of silver events with `day` and `allowed_purposes`."""
    kind, hour, value = F.col("event_type"), F.hour("event_timestamp"), _line_value(settings)
    purchase, at = kind == "purchase", F.col("event_timestamp")
    return (
        _with_session_marks(events)
        .groupBy(*_GROUP)
        .agg(
            *(F.count_if(kind == event).alias(column) for event, column in COUNTED_EVENTS.items()),
            F.count(F.lit(1)).alias("events"),
            F.count_if("opens_session").alias("sessions"),
            F.sum("dwell_seconds").alias("dwell_seconds"),
            *(F.count_if((hour >= a) & (hour < b)).alias(f"{p}_events") for p, (a, b) in DAYPARTS.items()),
            F.count_if(F.weekday("event_timestamp") >= 5).alias("weekend_events"),
            *(F.count_if(F.col("channel") == c).alias(f"{c}_events") for c in CHANNELS),
            F.count_if("opens_order").alias("orders"),
            F.sum(F.when(purchase, value)).alias("spend"),
            F.sum(F.when(purchase, _discount(settings))).alias("discount"),
            F.sum(F.when(kind == "return", value)).alias("returned_value"),
            F.min(at).alias("first_event_at"),
            F.max(at).alias("last_event_at"),
            F.max(F.when(purchase, at)).alias("last_purchase_at"),
            F.max("available_at").alias("available_at"),
        )
    )


def review_sums(reviews: DataFrame) -> DataFrame:
    """Sums of silver reviews with `subject_id`, `day` and `allowed_purposes`."""
    rating = F.col("rating")
    return reviews.groupBy(*_GROUP).agg(
        F.count(F.lit(1)).alias("reviews"),
        F.sum(rating.cast("double")).alias("rating_sum"),
        F.count(rating).alias("rated_reviews"),
        F.count_if(rating <= 2).alias("negative_reviews"),
        F.min("event_timestamp").alias("first_event_at"),
        F.max("event_timestamp").alias("last_event_at"),
        F.max("event_timestamp").alias("last_review_at"),
        F.max("available_at").alias("available_at"),
    )


def message_sums(messages: DataFrame) -> DataFrame:
    """Sums of silver messages with `subject_id`, `day` and `allowed_purposes`."""
    return messages.groupBy(*_GROUP).agg(
        F.count(F.lit(1)).alias("messages"),
        F.count_if(F.col("channel") == "service").alias("service_messages"),
        F.min("event_timestamp").alias("first_event_at"),
        F.max("event_timestamp").alias("last_event_at"),
        F.max("available_at").alias("available_at"),
    )


def add_up(*parts: DataFrame) -> DataFrame:
    """One row per group of the parts' rows, in the columns of user_daily. A day with any act is an active day."""
    rows = parts[0]
    for part in parts[1:]:
        rows = rows.unionByName(part, allowMissingColumns=True)
    # Cents and seconds: rounded, so that the order of summation cannot make a difference.
    sums = (F.round(F.coalesce(F.sum(c), F.lit(0)), 6).alias(c) for c in DAILY_SUM_NAMES if c != "active_days")
    return rows.groupBy(*_GROUP).agg(
        *sums,
        F.lit(1).alias("active_days"),
        F.min("first_event_at").alias("first_event_at"),
        *(F.max(c).alias(c) for c in _LAST),
    )


def _with_session_marks(events: DataFrame) -> DataFrame:
    """Mark the event with which a session, and an order, of the day begins.

    A session that two drops brought in pieces counts once: with the drop of its first event.
    """
    session = F.coalesce(F.concat(F.lit("session "), "session_id"), F.concat(F.lit("event "), "event_id"))
    within = Window.partitionBy("subject_id", "day", "allowed_purposes", "session").orderBy(
        "event_timestamp", "event_id"
    )
    so_far = within.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    purchase = F.col("event_type") == "purchase"
    return (
        events.withColumn("session", session)
        .withColumn("opens_session", (F.row_number().over(within) == 1) & F.col("session_id").isNotNull())
        .withColumn("opens_order", purchase & (F.count_if(purchase).over(so_far) == 1))
    )


def _line_value(settings: Settings) -> Column:
    """Quantity x price of an event in the shop's currency; another currency's is not summed.

    An event without a quantity is of one unit, one without a currency is in the shop's.
    """
    value = F.coalesce("quantity", F.lit(1)).cast("double") * F.col("price").cast("double")
    if settings.currency is None:
        return value
    return F.when(F.coalesce(F.col("currency") == settings.currency, F.lit(True)), value)


def _discount(settings: Settings) -> Column:
    total: Column = F.lit(0.0)
    for name in settings.discount_attributes:
        amount = F.try_element_at("attributes", F.lit(name)).try_cast("double")
        total = total + F.when(F.abs(amount) < float("inf"), F.abs(amount)).otherwise(0.0)
    return total
