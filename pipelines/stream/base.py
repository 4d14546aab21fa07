"""What the last feature run left, in memory: what the stream adds to. Read anew after each run.

Cost of reading ∝ daily rows of the last 90 days, newest actions and newest interest rows of all users.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.features.interest_rows import DAY_MICROSECONDS, PUBLISHED_VALUES
from pipelines.features.interests import MODALITIES
from pipelines.features.medoids import newest_first
from pipelines.features.published import published, with_values
from pipelines.features.scalars import DAILY
from pipelines.features.tiles import interest_events, with_contents
from pipelines.features.windows import packed
from pipelines.identity.consent import allowed_by
from pipelines.identity.links import linked_subjects
from pipelines.identity.tombstones import without_erased
from pipelines.releases.manifest import Release
from pipelines.stream.acts import PICTURE
from pipelines.stream.grouped import Grouped
from pipelines.tables.aggregates import USER_DAILY, USER_TILES
from pipelines.tables.definitions import PERSONAL, RECENT_ACTIONS, TILE_WEIGHTS, WINDOWS_DAYS
from pipelines.tables.governance import PROGRESS
from pipelines.tables.schema import Table
from pipelines.tables.sources import EVENTS, IDENTITIES, PRODUCT_CONTENTS, TOMBSTONES

_BEGINNING = dt.datetime(1, 1, 1, tzinfo=dt.UTC)
FEATURES = "features"
Version = tuple[str, str]


@dataclass(frozen=True)
class Done:
    """The drops that feature runs took in, and the midnight (days since 1970) that histories reach up to."""

    drop_ids: tuple[str, ...]
    midnight: int


@dataclass(frozen=True)
class Link:
    """A device of a user: instants in microseconds, `until` None while it holds."""

    subject: str
    since: int
    until: int | None

    def holds(self, at: int) -> bool:
        return self.since <= at and (self.until is None or at < self.until)


@dataclass(frozen=True)
class Links:
    """Whose acts count for whom."""

    of_user: Mapping[str, Sequence[Link]]
    of_subject: Mapping[str, Sequence[tuple[str, Link]]]

    def members(self, user: str, at: int) -> frozenset[str]:
        """The subjects that a user's profile sums at a moment."""
        return frozenset({user, *(link.subject for link in self.of_user.get(user, ()) if link.holds(at))})

    def profiles(self, subject: str, at: int) -> set[str]:
        """The users that sum a subject at a moment, itself among them."""
        return {subject, *(user for user, link in self.of_subject.get(subject, ()) if link.holds(at))}


@dataclass(frozen=True)
class Base:
    """See the module. `interests` holds, by history and encoder version, the rows in force at days' ends.

    daily: subject_id and the columns of `packed`; actions: see `_actions`; tiles: those since `done.midnight`.
    """

    done: Done
    links: Links
    daily: Grouped
    actions: Grouped
    tiles: Grouped
    interests: Mapping[tuple[str, Version], Grouped]


def done_by_features(store: TableStore) -> Done | None:
    """What the feature runs so far have done; None where there was none."""
    rows = store.read(PROGRESS).where((F.col("job") == FEATURES) & (F.col("state") == "finished")).collect()
    if not rows:
        return None
    drops = {drop for row in rows for drop in row.drop_ids}
    as_of = max(row.as_of.astimezone(dt.UTC) for row in rows)
    return Done(tuple(sorted(drops)), (as_of.date() - dt.date(1970, 1, 1)).days)


def read_base(store: TableStore, done: Done, releases: Sequence[Release], statements: DataFrame) -> Base:
    """Everything but the open acts. `statements` as of `statements_of_subjects`."""
    versions = {
        (table.name, release.encoder_for(table.depends_on or "")): table
        for release in releases
        for table in MODALITIES.values()
    }
    return Base(
        done,
        _links(store),
        Grouped(_daily(store, done).toArrow(), "subject_id"),
        Grouped(_actions(store, done, statements).toArrow(), "subject_id"),
        Grouped(_tiles(store, done).toArrow(), "subject_id"),
        {(name, version): _interests(store, table, version) for (name, version), table in versions.items()},
    )


def open_events(store: TableStore, done: Done, statements: DataFrame) -> DataFrame:
    """Silver's events that no feature run took in, with `allowed_purposes`."""
    events = store.read(EVENTS).where(~F.col("drop_id").isin(list(done.drop_ids)))
    return allowed_by(without_erased(events, store.read(TOMBSTONES)), statements, store.settings)


def _links(store: TableStore) -> Links:
    of_user: dict[str, list[Link]] = defaultdict(list)
    of_subject: dict[str, list[tuple[str, Link]]] = defaultdict(list)
    times = (F.unix_micros(name).alias(name) for name in ("linked_at", "unlinked_at"))
    found = without_erased(linked_subjects(store.read(IDENTITIES)), store.read(TOMBSTONES))
    for row in found.select("user_id", "subject_id", *times).collect():
        link = Link(row.subject_id, row.linked_at, row.unlinked_at)
        of_user[row.user_id].append(link)
        of_subject[row.subject_id].append((row.user_id, link))
    return Links(of_user, of_subject)


def _daily(store: TableStore, done: Done) -> DataFrame:
    """Daily rows by subject; those that have left every window as one row without sums."""
    rows = store.read(USER_DAILY).where(F.col("drop_id").isin(list(done.drop_ids)))
    rows = without_erased(rows, store.read(TOMBSTONES))
    oldest = F.date_from_unix_date(F.lit(done.midnight - max(WINDOWS_DAYS)))
    old = rows.where(F.col("day") < oldest).groupBy("subject_id", "allowed_purposes")
    ever = old.agg(
        F.max("day").alias("day"),
        F.min("first_event_at").alias("first_event_at"),
        *(F.max(name).alias(name) for name in DAILY.lasts),
    ).withColumns({name: F.lit(0) for name in DAILY.sums})
    every = rows.where(F.col("day") >= oldest).unionByName(ever, allowMissingColumns=True)
    return every.select("subject_id", *packed(DAILY, PERSONAL))


def _actions(store: TableStore, done: Done, statements: DataFrame) -> DataFrame:
    """Each subject's newest product actions, and the newest on products with pictures: subject_id, event_id,
    product_id, kind, at, day, available, content_id of the product's pictures (or null), for_<purpose>."""
    taken = store.read(EVENTS).where(F.col("drop_id").isin(list(done.drop_ids)))
    events = interest_events(taken).where(F.col("product_id").isNotNull())
    known = without_erased(events, store.read(TOMBSTONES))
    allowed = allowed_by(known, statements, store.settings)
    pictures = with_contents(allowed, store.read(PRODUCT_CONTENTS)).where(F.col("modality") == PICTURE)
    rows = allowed.join(pictures.select("event_id", "content_id"), "event_id", "left")
    whose = ("subject_id", "allowed_purposes")
    newest = Window.partitionBy(*whose).orderBy(F.desc("event_timestamp"), F.desc("event_id"))
    has_picture = F.col("content_id").isNotNull()
    pictured = Window.partitionBy(*whose, has_picture).orderBy(*newest_first())
    ranked = rows.withColumns({"rank": F.row_number().over(newest), "of_pictured": F.row_number().over(pictured)})
    kept = (F.col("rank") <= RECENT_ACTIONS) | (has_picture & (F.col("of_pictured") <= RECENT_ACTIONS))
    return ranked.where(kept).select(
        "subject_id",
        "event_id",
        "product_id",
        F.col("event_type").alias("kind"),
        F.unix_micros("event_timestamp").alias("at"),
        F.unix_date("event_date").alias("day"),
        F.unix_micros("available_at").alias("available"),
        "content_id",
        *(F.array_contains("allowed_purposes", p).alias(f"for_{p}") for p in PERSONAL),
    )


def _tiles(store: TableStore, done: Done) -> DataFrame:
    """Tiles of days that were not over at the last run, whose weights no interest row holds yet."""
    since = F.date_from_unix_date(F.lit(done.midnight))
    tiles = store.read(USER_TILES).where((F.col("day") >= since) & F.col("drop_id").isin(list(done.drop_ids)))
    rows = without_erased(tiles, store.read(TOMBSTONES))
    return rows.select("subject_id", F.unix_date("day").alias("day"), "modality", "content_id", "allowed_purposes",
                       *TILE_WEIGHTS)  # fmt: skip


def _interests(store: TableStore, table: Table, version: Version) -> Grouped:
    """Of each user the row in force at the newest day's end: user_id, purpose, at (microseconds), means, weights."""
    if not store.exists(table):
        columns = {"user_id": pa.string(), "purpose": pa.string(), "at": pa.int64()}
        return Grouped(pa.schema([*columns.items(), *((v.name, v.type) for v in PUBLISHED_VALUES)]).empty_table(),
                       "user_id")  # fmt: skip
    rows = published(store, table, version, _BEGINNING, PUBLISHED_VALUES)
    rows = without_erased(rows, store.read(TOMBSTONES), "user_id")
    newest = Window.partitionBy("user_id", "purpose").orderBy(F.desc("event_timestamp"), F.desc("created_at"))
    rows = rows.withColumn("rank", F.row_number().over(newest)).where("rank = 1").drop("rank")
    found = with_values(rows, store.location(table), PUBLISHED_VALUES)
    at = F.unix_micros("event_timestamp").alias("at")
    return Grouped(found.select("user_id", "purpose", at, *(v.name for v in PUBLISHED_VALUES)).toArrow(), "user_id")


def midnight_after(at: int) -> int:
    """The end of the day that a moment (microseconds) lies in, in days since 1970; a midnight is its own."""
    return -(-at // DAY_MICROSECONDS)
