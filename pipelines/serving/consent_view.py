"""What every subject allows at the run's time, as a small feature history that serving reads before all else."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.governance.runs import Run
from pipelines.identity.consent import with_allowed_purposes
from pipelines.identity.links import linked_subjects
from pipelines.settings import Settings
from pipelines.tables.features import USER_CONSENT
from pipelines.tables.sources import CONSENTS, IDENTITIES


def purposes_in_force(subjects: DataFrame, consents: DataFrame, identities: DataFrame, run: Run) -> DataFrame:
    """`user_id, purposes`: what each of the subjects (user_id) allows at the run's time, defaults included."""
    settings: Settings = run.settings
    asked = subjects.select(F.col("user_id").alias("subject_id")).distinct()
    at = asked.withColumn("event_timestamp", F.lit(run.as_of))
    allowed = with_allowed_purposes(at, consents, identities, settings)
    return allowed.select(F.col("subject_id").alias("user_id"), F.col("allowed_purposes").alias("purposes"))


def latest_consent(history: DataFrame) -> DataFrame:
    """The newest row of each subject of the table user_consent."""
    newest = F.max(F.struct("event_timestamp", "created_at", "purposes")).alias("n")
    return history.groupBy("user_id").agg(newest).select("user_id", "n.*")


def changed_consent(now: DataFrame, latest: DataFrame, run: Run) -> DataFrame:
    """Rows of user_consent for the subjects whose purposes differ from the newest row known of them."""
    at = F.lit(run.as_of)
    before = latest.select("user_id", *(F.col(c).alias(f"_{c}") for c in ("event_timestamp", "created_at", "purposes")))
    # A second change at the same time must still win over the first.
    created = F.when(
        (F.col("_event_timestamp") == at) & (F.col("_created_at") >= at),
        F.col("_created_at") + F.expr("INTERVAL 1 MICROSECOND"),
    ).otherwise(at)
    return (
        now.join(before, "user_id", "left")
        .where(~F.col("purposes").eqNullSafe(F.col("_purposes")))
        .select(
            "user_id",
            "purposes",
            at.alias("event_timestamp"),
            created.alias("created_at"),
            F.current_timestamp().alias("written_at"),
        )
    )


def update_user_consent(store: TableStore, run: Run, subjects: DataFrame) -> int:
    """Append what changed for the given subjects and for everybody known before; returns the rows appended."""
    consents, identities = store.read(CONSENTS), store.read(IDENTITIES)
    known = store.read(USER_CONSENT)
    everybody = subjects.select("user_id")
    for more in (known.select("user_id"), consents.select("user_id"), _devices(identities)):
        everybody = everybody.union(more)
    changed = changed_consent(
        purposes_in_force(everybody, consents, identities, run), latest_consent(known), run
    ).persist()
    try:
        rows = changed.count()
        if rows:
            version = store.version(USER_CONSENT)
            store.append_once(changed, USER_CONSENT, f"{run.run_id}/{version}")
        return rows
    finally:
        changed.unpersist()


def _devices(identities: DataFrame) -> DataFrame:
    return linked_subjects(identities).select(F.col("subject_id").alias("user_id"))
