"""The scalar histories of users: activity, value and review profile, all from one pass over the daily sums."""

from __future__ import annotations

from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.features.activity import activity
from pipelines.features.history import publish
from pipelines.features.review_profile import review_profile
from pipelines.features.subjects import subjects_of
from pipelines.features.value import value
from pipelines.features.windows import Measures, windowed
from pipelines.governance.progress import Batch
from pipelines.tables.aggregates import DAILY_SUM_NAMES, USER_DAILY
from pipelines.tables.definitions import PERSONAL, WINDOWS_DAYS
from pipelines.tables.features import USER_ACTIVITY, USER_REVIEW_PROFILE, USER_VALUE

DAILY = Measures(
    sums=DAILY_SUM_NAMES,
    amounts=frozenset(c.name for c in USER_DAILY.columns if c.type == "double"),
    windows=WINDOWS_DAYS,
    lasts=("last_event_at", "last_purchase_at", "last_review_at", "available_at"),
    once="active_days",
)


def build_scalars(store: TableStore, batch: Batch, users: DataFrame) -> dict[str, int]:
    """Bring the scalar histories of `users` [user_id, from_day] up to the batch's time; rows written per table.

    Cost ∝ the daily rows of these users and of the subjects linked to them.
    """
    daily = store.read(USER_DAILY).join(subjects_of(store, users), "subject_id")
    known = F.greatest("available_at", "link_available_at")
    rows = windowed(
        daily.withColumn("available_at", known).withColumnRenamed("user_id", "entity"),
        DAILY,
        PERSONAL,
        last_midnight(batch),
        users.count(),
    ).persist()
    views = {USER_ACTIVITY: activity(DAILY), USER_VALUE: value(DAILY), USER_REVIEW_PROFILE: review_profile(DAILY)}
    written = {table.name: publish(store, _view(rows, columns), table, batch) for table, columns in views.items()}
    rows.unpersist()
    return written


def last_midnight(batch: Batch) -> int:
    """The last 00:00 UTC up to which histories reach after the batch, in days since 1970-01-01."""
    reached = max(batch.as_of, batch.previous_as_of or batch.as_of)
    return (reached.replace(tzinfo=None) - datetime(1970, 1, 1)).days


def expiring_users(store: TableStore, batch: Batch) -> DataFrame:
    """Users of whom days left a window since the job's last batch, without any new act: [user_id, from_day].

    Reads only the files that may hold those days.
    """
    daily = store.read(USER_DAILY).select("subject_id", "day")
    if batch.previous_as_of is None:
        return daily.select(F.col("subject_id").alias("user_id"), F.col("day").alias("from_day")).limit(0)
    before = batch.previous_as_of.date()
    since = F.lit(before)
    over = F.lit(max(batch.as_of.date(), before))
    leaves = F.lit(False)
    for days in WINDOWS_DAYS:
        leaves = leaves | ((F.col("day") >= F.date_sub(since, days)) & (F.col("day") < F.date_sub(over, days)))
    subjects = daily.where(leaves).select(F.col("subject_id").alias("user_id")).distinct()
    return subjects.withColumn("from_day", since)


def _view(rows: DataFrame, columns: dict[str, Column]) -> DataFrame:
    return rows.select(
        F.col("entity").alias("user_id"),
        "purpose",
        F.col("midnight").cast("timestamp").alias("event_timestamp"),
        DAILY.last("available_at").alias("inputs_available_at"),
        *(column.alias(name) for name, column in columns.items()),
    )
