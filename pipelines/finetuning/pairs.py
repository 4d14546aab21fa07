"""What users did as pairs to learn from: queries with what was chosen after them, products of one session.

Cost ∝ events of the time asked for, shuffled once by session. A session's acts are paired with a few next ones each,
so that one of a thousand acts costs no more per act than one of three.
"""

from __future__ import annotations

from datetime import datetime
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.governance.runs import Run
from pipelines.identity.consent import with_allowed_purposes
from pipelines.identity.tombstones import without_erased
from pipelines.releases.compare.interests import PURPOSE
from pipelines.releases.compare.shop import CHOSEN
from pipelines.serving.consent_view import purposes_in_force
from pipelines.tables.definitions import INTEREST_WEIGHTS
from pipelines.tables.sources import CONSENTS, EVENTS, IDENTITIES, TOMBSTONES

# A query that one subject alone typed can name somebody.
MIN_SUBJECTS = 2
# With how many of the products that follow in its session a product is paired.
NEXT = 5
# Of each kind, the commonest: what a driver holds and minutes of training can use.
MOST_PAIRS = 1_000_000
_SESSION = ("subject_id", "session")


def allowed_acts(store: TableStore, run: Run, end: datetime) -> DataFrame:
    """Searches and acts of interest before `end`, known by then, of subjects who allowed personalisation when acting
    and allow it now: subject_id, session, at, known_at, event_id, event_type, product_id, query.

    Where the shop names no session, a subject's day is one.
    """
    events = store.read(EVENTS).where(F.col("event_type").isin(*INTEREST_WEIGHTS))
    known_at = F.coalesce("available_at", "event_timestamp")
    events = events.where((F.col("event_timestamp") < F.lit(end)) & (known_at <= F.lit(end)))
    consents, identities = store.read(CONSENTS), store.read(IDENTITIES)
    then = with_allowed_purposes(events, consents, identities, run.settings)
    then = then.where(F.array_contains("allowed_purposes", PURPOSE))
    subjects = then.select(F.col("subject_id").alias("user_id")).distinct()
    now = purposes_in_force(subjects, consents, identities, run).where(F.array_contains("purposes", PURPOSE))
    now = without_erased(now, store.read(TOMBSTONES), "user_id").select(F.col("user_id").alias("subject_id"))
    return then.join(now, "subject_id", "left_semi").select(
        "subject_id",
        F.coalesce("session_id", F.col("event_date").cast("string")).alias("session"),
        F.col("event_timestamp").alias("at"),
        known_at.alias("known_at"),
        "event_id",
        "event_type",
        "product_id",
        F.trim("query").alias("query"),
    )


def searched(acts: DataFrame) -> DataFrame:
    """`query, product_id, weight`: how often a product was chosen after a query and before the session's next one."""
    order = Window.partitionBy(*_SESSION).orderBy("at", "event_id")
    asked = F.when((F.col("event_type") == "search") & (F.length("query") > 0), F.col("query"))
    found = acts.withColumn("query", F.last(asked, ignorenulls=True).over(order))
    chosen = found.where(F.col("event_type").isin(*CHOSEN) & F.col("query").isNotNull())
    counted = chosen.where(F.col("product_id").isNotNull()).groupBy("query", "product_id")
    pairs = counted.agg(F.count(F.lit(1)).alias("weight"), F.collect_set("subject_id").alias("_subjects"))
    askers = pairs.select("query", F.explode("_subjects").alias("_subject")).groupBy("query")
    common = askers.agg(F.countDistinct("_subject").alias("_askers")).where(F.col("_askers") >= MIN_SUBJECTS)
    return _commonest(pairs.join(common, "query", "left_semi").select("query", "product_id", "weight"))


def together(acts: DataFrame) -> DataFrame:
    """`first, second, weight`: in how many sessions the second product soon followed the first, or came with it."""
    engaged = acts.where(F.col("product_id").isNotNull() & (F.col("event_type") != "search"))
    once = engaged.groupBy(*_SESSION, "product_id").agg(F.min("at").alias("at"))
    # A basket's lines are of one instant: among them the order is by chance, not by id.
    order = Window.partitionBy(*_SESSION).orderBy("at", F.xxhash64("session", "product_id"))
    following: list[Column] = [F.lead("product_id", step).over(order) for step in range(1, NEXT + 1)]
    paired = once.select(F.col("product_id").alias("first"), F.array_compact(F.array(*following)).alias("_next"))
    pairs = paired.select("first", F.explode("_next").alias("second"))
    return _commonest(pairs.groupBy("first", "second").agg(F.count(F.lit(1)).alias("weight")))


def _commonest(pairs: DataFrame) -> DataFrame:
    ties = reduce(lambda columns, name: [*columns, F.col(name)], pairs.columns[:2], [F.desc("weight")])
    return pairs.orderBy(*ties).limit(MOST_PAIRS)
