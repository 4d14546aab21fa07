"""The steps of decayed interests: on which days which weights enter a user's sum. Scalars only, no vectors.

A step of (user, purpose) is a day at whose end a row stands: a linked subject has tiles on it, the user's links
change, or a row was published before. Its weights are the day's tiles, for the sum is carried from the step before.
Where that does not hold, because links changed or because nothing was published to carry on from, the step gets all
tiles of the subjects linked at it, decayed to it; such a step is a `reset` if it must forget the sum before it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pipelines.identity.links import linked_subjects
from pipelines.tables.features import HALF_LIVES_DAYS
from pipelines.tables.schema import Table

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

ALWAYS, NEVER = dt.date(1, 1, 1), dt.date(9999, 12, 31)
# Rows published longer ago than this are not carried on from: the user is summed anew from tiles. It bounds how much
# history is scanned for the last sums, and changes no value.
BASE_DAYS = 64
WEIGHTS = tuple(f"weight_{h}d" for h in HALF_LIVES_DAYS)


@dataclass(frozen=True)
class Steps:
    """What a table's rows are computed from.

    `weights`: user_id, purpose, day, content_id, weight_<h>d …, reset, available_at; content_id is null in the
    marker of a step without weights of its own.
    `published`: user_id, purpose, day, is_base, and the row's created_at, means and weights: rows that the steps
    carry on from (is_base), or that may have to be corrected.
    """

    weights: DataFrame
    published: DataFrame


def last_whole_day(as_of: dt.datetime) -> dt.date:
    """The last UTC day that is over at `as_of` (aware, UTC)."""
    return as_of.date() - dt.timedelta(days=1)


def memberships(dirty_users: DataFrame, identities: DataFrame) -> DataFrame:
    """Which subjects a user's profile sums: user_id, from_day, subject_id, linked_from, linked_until.

    Of days: the subject counts in rows at the end of day d where linked_from <= d < linked_until, that is where the
    link holds at the next 00:00 UTC. The user itself always counts.
    """
    own = dirty_users.select(
        "user_id",
        "from_day",
        F.col("user_id").alias("subject_id"),
        F.lit(ALWAYS).alias("linked_from"),
        F.lit(NEVER).alias("linked_until"),
    )
    devices = dirty_users.join(linked_subjects(identities), "user_id").select(
        "user_id",
        "from_day",
        "subject_id",
        _day_ending_after("linked_at").alias("linked_from"),
        F.coalesce(_day_ending_after("unlinked_at"), F.lit(NEVER)).alias("linked_until"),
    )
    return own.unionByName(devices.where("linked_from < linked_until"))


def _day_ending_after(instant: str) -> Column:
    """The first day whose end is not before the instant: at 00:00 sharp that is the day before."""
    return F.to_date(F.col(instant) - F.expr("interval 1 microsecond"))


def link_changes(members: DataFrame, last_day: dt.date) -> DataFrame:
    """Days at whose end a user's set of subjects differs from the day before: user_id, day, distinct."""
    days = [
        members.select("user_id", "from_day", F.col(edge).alias("day")).where(f"{edge} not in ({bounds})")
        for edge in ("linked_from", "linked_until")
        for bounds in [f"date'{ALWAYS.isoformat()}', date'{NEVER.isoformat()}'"]
    ]
    changes = reduce(lambda a, b: a.unionByName(b), days)
    return (
        changes.where((F.col("day") >= F.col("from_day")) & (F.col("day") <= F.lit(last_day)))
        .select("user_id", "day")
        .distinct()
    )


def purpose_tiles(tiles: DataFrame, modality: str, table: Table, last_day: dt.date) -> DataFrame:
    """The tiles of a modality up to a day, once per purpose of the table they were allowed for."""
    wanted = F.array_intersect("allowed_purposes", F.array(*(F.lit(p) for p in table.purposes)))
    return tiles.where((F.col("modality") == modality) & (F.col("day") <= F.lit(last_day))).select(
        "subject_id", F.explode(wanted).alias("purpose"), "day", "content_id", *WEIGHTS, "available_at"
    )


def published_rows(history: DataFrame, dirty_users: DataFrame, first_day: dt.date) -> DataFrame:
    """The rows of dirty users from their last one before `from_day` on, with `day` and `is_base`.

    `history` holds the rows of one encoder version. Every version of a row is there; the greatest created_at is the
    one in force. `first_day` is the least `from_day`: older rows than BASE_DAYS before it are not looked at.
    """
    horizon = dt.datetime.combine(first_day, dt.time()) - dt.timedelta(days=BASE_DAYS)
    recent = history.where(F.col("event_timestamp") > F.lit(horizon)).withColumn(
        "day", F.date_sub(F.to_date("event_timestamp"), 1)
    )
    times = recent.select("user_id", "purpose", "day").join(dirty_users, "user_id")
    bases = times.where("day < from_day").groupBy("user_id", "purpose").agg(F.max("day").alias("base_day"))
    since = dirty_users.join(bases, "user_id", "left").where("purpose is not null")
    based = recent.join(since, ["user_id", "purpose"]).where("day >= base_day")
    others = recent.join(dirty_users, "user_id").where("day >= from_day")
    others = others.join(bases, ["user_id", "purpose"], "left_anti").withColumn("base_day", F.lit(None).cast("date"))
    rows = based.unionByName(others)
    return rows.withColumn("is_base", F.coalesce(F.col("day") == F.col("base_day"), F.lit(False)))


def steps(
    tiles: DataFrame, members: DataFrame, published: DataFrame, purposes: tuple[str, ...], last_day: dt.date
) -> Steps:
    """The weights of every step of the members' users from their `from_day` on.

    `tiles` as of `purpose_tiles`, `members` as of `memberships`, `published` as of `published_rows`.
    """
    changes = link_changes(members, last_day)
    owned = members.join(tiles, "subject_id")
    is_linked = (F.col("day") >= F.col("linked_from")) & (F.col("day") < F.col("linked_until"))
    daily = owned.where(is_linked & (F.col("day") >= F.col("from_day"))).withColumn("reset", F.lit(False))
    resets = _all_tiles_at(changes, owned, ["user_id"], F.col("day") <= F.col("step")).withColumn("reset", F.lit(True))
    # A first step, with nothing to carry on from, also takes in what came before from_day.
    older = owned.where("day < from_day")
    opening = _all_tiles_at(
        _first_steps(daily, changes, published, purposes), older, ["user_id", "purpose"], F.lit(True)
    ).withColumn("reset", F.lit(False))
    markers = changes.select("user_id", F.explode(F.array(*(F.lit(p) for p in purposes))).alias("purpose"), "day")
    weights = daily.select(*_COLUMNS)
    for rows in (resets, opening):
        weights = weights.unionByName(rows.select(*_COLUMNS))
    marker_columns = {"content_id": "string", **dict.fromkeys(WEIGHTS, "double"), "available_at": "timestamp"}
    nothing = {name: F.lit(None).cast(type_) for name, type_ in marker_columns.items()}
    markers = markers.withColumns({**nothing, "reset": F.lit(True)})
    return Steps(weights.unionByName(markers.select(*_COLUMNS)), published)


_COLUMNS = ("user_id", "purpose", "day", "content_id", *WEIGHTS, "reset", "available_at")


def _all_tiles_at(at: DataFrame, owned: DataFrame, keys: list[str], which: Column) -> DataFrame:
    """Tiles of the subjects linked at the end of a day, decayed to it. `at`: keys and `day`, renamed to `step`."""
    joined = owned.join(at.withColumnRenamed("day", "step"), keys)
    chosen = joined.where(which & (F.col("step") >= F.col("linked_from")) & (F.col("step") < F.col("linked_until")))
    elapsed = F.datediff("step", "day")
    decayed = {
        f"weight_{h}d": F.col(f"weight_{h}d") * F.pow(F.lit(2.0), -elapsed / F.lit(float(h))) for h in HALF_LIVES_DAYS
    }
    return chosen.withColumns(decayed).withColumn("day", F.col("step"))


def _first_steps(daily: DataFrame, changes: DataFrame, published: DataFrame, purposes: tuple[str, ...]) -> DataFrame:
    """The first step of each (user, purpose) that has no base and no reset at it: user_id, purpose, day."""
    keys = ["user_id", "purpose"]
    changed = changes.select("user_id", F.explode(F.array(*(F.lit(p) for p in purposes))).alias("purpose"), "day")
    found = daily.select(*keys, "day").unionByName(changed)
    found = found.unionByName(published.where("not is_base").select(*keys, "day"))
    first = found.groupBy(*keys).agg(F.min("day").alias("day"))
    return first.join(published.where("is_base").select(*keys).distinct(), keys, "left_anti").join(
        changes, ["user_id", "day"], "left_anti"
    )
