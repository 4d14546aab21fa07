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

from pipelines.tables.features import HALF_LIVES_DAYS
from pipelines.tables.schema import Table

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

ALWAYS, NEVER = dt.date(1000, 1, 1), dt.date(9999, 12, 31)
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


def memberships(subjects: DataFrame) -> DataFrame:
    """Which subjects a user's profile sums: user_id, from_day, subject_id, linked_from, linked_until, link_known_at.

    `subjects` as of `subjects_of`. A subject counts in the row at the end of day d where
    linked_from <= d < linked_until, that is where the link holds at the next 00:00 UTC.
    """

    def last_day_before(midnight: str) -> Column:
        day = F.date_from_unix_date(F.col(midnight) - 1)
        return F.greatest(F.least(day, F.lit(NEVER)), F.lit(ALWAYS))

    return subjects.select(
        "user_id",
        "from_day",
        "subject_id",
        last_day_before("held_from").alias("linked_from"),
        last_day_before("held_until").alias("linked_until"),
        F.col("link_available_at").alias("link_known_at"),
    ).where("linked_from < linked_until")


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


def published_rows(
    history: DataFrame, dirty_users: DataFrame, purposes: tuple[str, ...], since: dt.date | None = None
) -> DataFrame:
    """The rows of dirty users from their last one before `from_day` on, with `day` and `is_base`.

    `history` holds the rows of one encoder version. Every version of a row is there; the greatest created_at is the
    one in force. Rows of days before `since` are not looked at.
    """
    recent = history.withColumn("day", F.date_sub(F.to_date("event_timestamp"), 1))
    if since is not None:
        recent = recent.where(F.col("event_timestamp") > F.lit(dt.datetime.combine(since, dt.time())))
    keys = ["user_id", "purpose"]
    bases = (
        recent.select(*keys, "day")
        .join(dirty_users, "user_id")
        .where("day < from_day")
        .groupBy(*keys)
        .agg(F.max("day").alias("base_day"))
    )
    each = F.explode(F.array(*(F.lit(p) for p in purposes))).alias("purpose")
    wanted = dirty_users.select("user_id", each, "from_day").join(bases, keys, "left")
    rows = recent.join(wanted, keys).where(F.col("day") >= F.coalesce("base_day", "from_day"))
    return rows.withColumn("is_base", F.coalesce(F.col("day") == F.col("base_day"), F.lit(False)))


def steps(
    tiles: DataFrame, members: DataFrame, published: DataFrame, purposes: tuple[str, ...], last_day: dt.date
) -> Steps:
    """The weights of every step of the members' users from their `from_day` on.

    `tiles` as of `purpose_tiles`, `members` as of `memberships`, `published` as of `published_rows`.
    """
    changes = link_changes(members, last_day)
    known = F.greatest("available_at", "link_known_at")
    owned = members.join(tiles, "subject_id").withColumn("available_at", known)
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
