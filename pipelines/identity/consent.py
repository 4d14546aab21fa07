"""What a subject allowed at the moment it acted.

A user's own word of that moment decides, purpose by purpose; where it says nothing, the setting's default. A device
is bound by every user it was linked to at that moment, all of whom must allow; linked to nobody it gets the default.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from pipelines.identity.links import linked_subjects
from pipelines.settings import PURPOSES, Settings


def with_allowed_purposes(
    events: DataFrame, consents: DataFrame, identities: DataFrame, settings: Settings
) -> DataFrame:
    """`events` (subject_id, event_timestamp, …) with `allowed_purposes`, a sorted array<string>.

    `consents` and `identities` are the silver tables. One join on subject_id: the statements about a subject are
    few and are carried as one array, so a subject with many events costs no more per event than any other.
    """
    return allowed_by(events, statements_of_subjects(consents, identities), settings)


def allowed_by(events: DataFrame, statements: DataFrame, settings: Settings) -> DataFrame:
    """The same from `statements_of_subjects`, for who asks often and keeps them."""
    joined = events.join(statements, "subject_id", "left")
    at = F.col("event_timestamp")
    allowed = F.array(*(F.when(_allowed(p, at, settings), F.lit(p)) for p in sorted(PURPOSES)))
    return joined.withColumn("allowed_purposes", F.array_compact(allowed)).drop("_users")


def statements_of_subjects(consents: DataFrame, identities: DataFrame) -> DataFrame:
    """`subject_id, _users`: who speaks for the subject, from when to when, and all they ever said."""
    said = consents.groupBy("user_id").agg(
        F.collect_list(F.struct("purpose", "granted", "valid_from", "valid_to")).alias("said")
    )
    always = F.lit(None).cast("timestamp")
    own = said.select(F.col("user_id").alias("subject_id"), always.alias("start"), always.alias("end"), "said")
    devices = (
        linked_subjects(identities)
        .join(said, "user_id", "left")
        .select("subject_id", F.col("linked_at").alias("start"), F.col("unlinked_at").alias("end"), "said")
    )
    speakers = own.unionByName(devices)
    return speakers.groupBy("subject_id").agg(F.collect_list(F.struct("start", "end", "said")).alias("_users"))


def _allowed(purpose: str, at: Column, settings: Settings) -> Column:
    default = F.lit(getattr(settings.consent_default, purpose) == "allow")

    def speaks(user: Column) -> Column:
        return _within(at, user["start"], user["end"])

    def allows(user: Column) -> Column:
        in_force = F.filter(
            user["said"], lambda s: (s["purpose"] == purpose) & _within(at, s["valid_from"], s["valid_to"])
        )
        # try_element_at: NULL for an empty or missing list.
        return F.coalesce(F.try_element_at(in_force, F.lit(1))["granted"], default)

    speakers = F.filter(F.coalesce(F.col("_users"), F.array()), speaks)
    return F.when(F.size(speakers) == 0, default).otherwise(F.forall(speakers, allows))


def _within(at: Column, start: Column, end: Column) -> Column:
    return (start.isNull() | (at >= start)) & (end.isNull() | (at < end))
