"""features.user_recent_actions: each subject's newest product actions, for what is not additive.

At most RECENT_ACTIONS per subject and purpose set, newest first, of equal time the greater event_id first.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.identity.consent import with_allowed_purposes
from pipelines.identity.tombstones import without_erased
from pipelines.tables.features import INTEREST_WEIGHTS, RECENT_ACTIONS, USER_RECENT_ACTIONS
from pipelines.tables.sources import CONSENTS, EVENTS, IDENTITIES, TOMBSTONES


def build_recent_actions(store: TableStore, dirty_days: DataFrame) -> int:
    """Take in the actions of the dirty (subject_id, day) pairs and let go of those beyond the cap, in one commit.

    Returns the number of actions that the dirty subjects now have. Running it again changes nothing. An action
    that the cap let go of does not come back when a newer one changes its purpose set.
    """
    subjects = dirty_days.select("subject_id").distinct()
    existing = store.read(USER_RECENT_ACTIONS).join(subjects, "subject_id", "left_semi")
    untouched = existing.withColumn("day", F.to_date("event_timestamp")).join(
        dirty_days, ["subject_id", "day"], "left_anti"
    )
    new = product_actions(store, dirty_days)
    newest = Window.partitionBy("subject_id", "allowed_purposes").orderBy(F.desc("event_timestamp"), F.desc("event_id"))
    ranked = untouched.drop("day").unionByName(new).withColumn("stays", F.row_number().over(newest) <= RECENT_ACTIONS)
    source = ranked.persist()
    (
        store.ensure(USER_RECENT_ACTIONS)
        .alias("t")
        .merge(source.alias("s"), " AND ".join(f"t.`{k}` = s.`{k}`" for k in USER_RECENT_ACTIONS.keys))
        .whenMatchedDelete("NOT s.stays")
        .whenMatchedUpdate(set=_assignments())
        .whenNotMatchedInsert("s.stays", values=_assignments())
        .execute()
    )
    rows = source.where("stays").count()
    source.unpersist()
    return rows


def product_actions(store: TableStore, dirty_days: DataFrame) -> DataFrame:
    """The dirty pairs' events on products that say something of an interest, in the columns of the table."""
    weights = F.create_map(*(F.lit(x) for pair in INTEREST_WEIGHTS.items() for x in pair))
    events = (
        store.read(EVENTS)
        .where(F.col("product_id").isNotNull() & F.col("event_type").isin(list(INTEREST_WEIGHTS)))
        .withColumnRenamed("event_date", "day")
        .join(dirty_days, ["subject_id", "day"], "left_semi")
    )
    known = without_erased(events, store.read(TOMBSTONES))
    allowed = with_allowed_purposes(known, store.read(CONSENTS), store.read(IDENTITIES), store.settings)
    return store.conform(allowed.withColumn("weight", weights[F.col("event_type")]), USER_RECENT_ACTIONS)


def _assignments() -> dict[str, str | Column]:
    return {c: f"s.`{c}`" for c in USER_RECENT_ACTIONS.column_names}
