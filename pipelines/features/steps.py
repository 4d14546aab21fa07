"""The steps of decayed interests: on which days which weights enter a user's sum. Scalars only, no vectors.

A step of (user, purpose) is a day at whose end a row stands: a linked subject has tiles on it, the user's links
change, or a row was published before. Its weights are the day's tiles, for the sum is carried from the step before.
Where links change that does not hold: such a step is a `reset`, gets all tiles of the subjects linked at it, to be
decayed to it, and forgets the sum before it. A user without a published row to carry on from is summed from its
first tile; its steps before `from_day` are `quiet`: they are carried on from, but no rows are made of them.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pipelines.tables.definitions import TILE_WEIGHTS
from pipelines.tables.schema import Table

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

ALWAYS, NEVER = dt.date(1000, 1, 1), dt.date(9999, 12, 31)
# Rows published longer ago than this are not carried on from: the user is summed anew from tiles. It bounds how much
# history is scanned for the last sums, and changes no value.
BASE_DAYS = 64


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
    """Days at whose end a user's set of subjects differs from the day before: user_id, from_day, day, distinct."""
    edges = F.explode(F.array("linked_from", "linked_until")).alias("day")
    days = members.select("user_id", "from_day", edges)
    return days.where((F.col("day") > F.lit(ALWAYS)) & (F.col("day") <= F.lit(last_day))).distinct()


def purpose_tiles(tiles: DataFrame, modality: str, table: Table, last_day: dt.date) -> DataFrame:
    """The tiles of a modality up to a day, once per purpose of the table they were allowed for."""
    wanted = F.array_intersect("allowed_purposes", F.array(*(F.lit(p) for p in table.purposes)))
    return tiles.where((F.col("modality") == modality) & (F.col("day") <= F.lit(last_day))).select(
        "subject_id", F.explode(wanted).alias("purpose"), "day", "content_id", *TILE_WEIGHTS, "available_at"
    )


def bases(history: DataFrame, dirty_users: DataFrame) -> DataFrame:
    """The day of each dirty user's last published row before `from_day`: user_id, purpose, base_day."""
    rows = history.select("user_id", "purpose", _day_of_row()).join(dirty_users, "user_id")
    return rows.where("day < from_day").groupBy("user_id", "purpose").agg(F.max("day").alias("base_day"))


def published_rows(history: DataFrame, dirty_users: DataFrame, last: DataFrame, purposes: tuple[str, ...]) -> DataFrame:
    """The rows of dirty users from their last one before `from_day` on, with `day` and `is_base`.

    `history` holds the rows of one encoder version, `last` is as of `bases`. Every version of a row is there; the
    greatest created_at is the one in force.
    """
    keys = ["user_id", "purpose"]
    wanted = dirty_users.select("user_id", _each(purposes), "from_day").join(last, keys, "left")
    rows = history.withColumn("day", _day_of_row()).join(wanted, keys)
    rows = rows.where(F.col("day") >= F.coalesce("base_day", "from_day"))
    return rows.withColumn("is_base", F.coalesce(F.col("day") == F.col("base_day"), F.lit(False)))


def step_weights(
    tiles: DataFrame, members: DataFrame, changes: DataFrame | None, last: DataFrame | None, purposes: tuple[str, ...]
) -> DataFrame:
    """The weights of every step: user_id, purpose, day, content_id, weight_<h>d, elapsed_days, reset, quiet,
    available_at.

    The weights are as of `elapsed_days` before the day. content_id is null in the marker of a reset, which may have
    no weights of its own. `tiles` as of `purpose_tiles`,
    `members` as of `memberships`, `changes` as of `link_changes` or None where no link changes, `last` as of `bases`
    or None where nothing is published.
    """
    known = F.greatest("available_at", "link_known_at")
    owned = members.join(tiles, "subject_id").withColumn("available_at", known)
    is_linked = (F.col("day") >= F.col("linked_from")) & (F.col("day") < F.col("linked_until"))
    current = _from_base(owned.where(is_linked), last)
    weights = current.withColumns({"reset": F.lit(False), "elapsed_days": F.lit(0)}).select(*_COLUMNS)
    if changes is None:
        return weights
    at = _from_base(changes.select("user_id", "from_day", "day", _each(purposes)), last)
    markers = at.withColumns({name: F.lit(None).cast(type_) for name, type_ in _MARKER.items()})
    for rows in (_all_tiles_at(at, owned), markers):
        weights = weights.unionByName(rows.withColumn("reset", F.lit(True)).select(*_COLUMNS))
    return weights


_COLUMNS = ("user_id", "purpose", "day", "content_id", *TILE_WEIGHTS, "elapsed_days", "reset", "quiet", "available_at")
_MARKER = {
    "content_id": "string",
    **dict.fromkeys(TILE_WEIGHTS, "double"),
    "elapsed_days": "int",
    "available_at": "timestamp",
}


def _from_base(rows: DataFrame, last: DataFrame | None) -> DataFrame:
    """The rows that are not in a published sum already, with `quiet`."""
    if last is not None:
        rows = rows.join(last, ["user_id", "purpose"], "left")
        rows = rows.where(F.col("base_day").isNull() | (F.col("day") >= F.col("from_day")))
    return rows.withColumn("quiet", F.col("day") < F.col("from_day"))


def _all_tiles_at(at: DataFrame, owned: DataFrame) -> DataFrame:
    """All tiles of the subjects linked at the end of a day, on that day."""
    days = at.select("user_id", "purpose", F.col("day").alias("step"), "quiet")
    step = F.col("step")
    rows = owned.join(days, ["user_id", "purpose"]).where(F.col("day") <= step)
    rows = rows.where((step >= F.col("linked_from")) & (step < F.col("linked_until")))
    return rows.withColumn("elapsed_days", F.datediff("step", "day")).withColumn("day", step)


def _each(purposes: tuple[str, ...]) -> Column:
    return F.explode(F.array(*(F.lit(p) for p in purposes))).alias("purpose")


def _day_of_row() -> Column:
    return F.date_sub(F.to_date("event_timestamp"), 1).alias("day")
