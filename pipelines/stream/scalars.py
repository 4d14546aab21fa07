"""Rows of counts, amounts and last products of some profiles, by the functions that the feature runs use.

A window of w days holds the day so far and the w - 1 days before it: it is the day's end's row, known early.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import groupby

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from pipelines.features.activity import activity
from pipelines.features.history import empty
from pipelines.features.interest_rows import TIMESTAMP
from pipelines.features.recent_products import recent_rows
from pipelines.features.scalars import DAILY
from pipelines.features.subjects import FOREVER
from pipelines.features.value import value
from pipelines.features.windows import SCALE, window_rows
from pipelines.stream.base import Base
from pipelines.stream.open_days import OpenDays
from pipelines.stream.profiles import Profile
from pipelines.tables.definitions import PERSONAL
from pipelines.tables.features import USER_ACTIVITY, USER_RECENT_PRODUCTS, USER_VALUE
from pipelines.tables.schema import Table

Rows = dict[Table, pa.Table]
_FOR = [f"for_{purpose}" for purpose in PERSONAL]
_AMOUNTS = np.array([name in DAILY.amounts for name in DAILY.sums])
_OPEN_DAILY = pa.schema([
    ("subject", pa.int64()), ("day", pa.int32()), *((name, pa.bool_()) for name in _FOR),
    ("sums", pa.list_(pa.int64())), ("first", pa.int64()), ("lasts", pa.list_(pa.int64())),
])  # fmt: skip
_ACTIONS = pa.schema([
    ("subject", pa.int64()), ("event_id", pa.string()), ("product_id", pa.string()), ("kind", pa.string()),
    ("at", pa.int64()), ("day", pa.int32()), ("available", pa.int64()), ("content_id", pa.string()),
    *((name, pa.bool_()) for name in _FOR),
])  # fmt: skip


class ScalarRows:
    """Makes the rows; keeps the definitions' expressions, which take longer to build than to compute."""

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark

    @cached_property
    def _views(self) -> dict[Table, dict[str, Column]]:
        return {USER_ACTIVITY: activity(DAILY), USER_VALUE: value(DAILY)}

    @cached_property
    def _columns(self) -> list[Column]:
        structs = [
            F.struct(*(column.alias(name) for name, column in columns.items())).alias(table.name)
            for table, columns in self._views.items()
        ]
        return [F.col("entity").alias("user_id"), F.col("purpose"), *structs]

    @cached_property
    def _says_nothing(self) -> list[Column]:
        return [empty(table, table.name).alias(f"{table.name}_empty") for table in self._views]

    def rows(self, base: Base, open_days: OpenDays, profiles: Sequence[Profile]) -> Rows:
        """Rows of user_activity and user_value: user_id, purpose, features, event_timestamp. None of them is empty."""
        parts = [
            window_rows(DAILY, PERSONAL, midnight)(_daily(base, open_days, some))
            for midnight, some in _by_midnight(profiles)
        ]
        windows = self._spark.createDataFrame(pa.concat_tables(parts).unify_dictionaries())
        made = windows.select(*self._columns).select("*", *self._says_nothing).toArrow()
        return {table: self._rows_of(table, made, profiles) for table in self._views}

    def _rows_of(self, table: Table, made: pa.Table, profiles: Sequence[Profile]) -> pa.Table:
        told = made.filter(pc.invert(made[f"{table.name}_empty"]))
        columns = {name: pc.struct_field(told[table.name], name) for name in self._views[table]}
        return with_moments(pa.table({n: told[n] for n in ("user_id", "purpose")} | columns), profiles)


def recent_products(actions: pa.Table, profiles: Sequence[Profile]) -> Rows:
    """Rows of user_recent_products from the `actions` of the profiles (see `actions_of`)."""
    by_user = {profile.user: i for i, profile in enumerate(profiles)}
    parts = []
    for midnight, some in _by_midnight(profiles):
        mine = np.isin(actions["profile"].to_numpy(), [by_user[profile.user] for profile in some])
        found = recent_rows(midnight)(_held(actions.filter(pa.array(mine)), midnight))
        parts.append(found.filter(pc.greater(pc.list_value_length(found["last_product_ids"]), 0)))
    made = pa.concat_tables(parts).drop_columns(["midnight", "available"])
    return {USER_RECENT_PRODUCTS: with_moments(made, profiles)}


def actions_of(base: Base, open_days: OpenDays, profiles: Sequence[Profile]) -> pa.Table:
    """The newest product actions that profiles sum: profile (its place), user_id, and the columns of `Base.actions`."""
    pairs = [(place, member) for place, profile in enumerate(profiles) for member in profile.members]
    old, of_pair = base.actions.take([member for _, member in pairs])
    old = old.drop_columns("subject_id").add_column(0, "subject", pa.array(of_pair))
    new = [
        (i, a.event_id, a.product, a.kind, a.at, a.day, a.available, a.picture, *(p in a.purposes for p in PERSONAL))
        for i, (_, member) in enumerate(pairs)
        if member in open_days.subjects
        for a in open_days.subjects[member].actions
    ]
    rows = pa.concat_tables([old.select(_ACTIONS.names).cast(_ACTIONS), _table(new, _ACTIONS)])
    places = np.array([place for place, _ in pairs], dtype=np.int64)[rows["subject"].to_numpy()]
    users = pa.array([profile.user for profile in profiles]).take(pa.array(places))
    return rows.append_column("profile", pa.array(places)).append_column("user_id", users)


def with_moments(rows: pa.Table, profiles: Sequence[Profile]) -> pa.Table:
    """Rows with user_id, and the `event_timestamp` of their profiles."""
    at = {profile.user: profile.at for profile in profiles}
    moments = pa.array([at[user] for user in rows["user_id"].to_pylist()], pa.int64())
    return rows.append_column("event_timestamp", moments.cast(TIMESTAMP))


def _by_midnight(profiles: Sequence[Profile]) -> Iterator[tuple[int, list[Profile]]]:
    for midnight, some in groupby(sorted(profiles, key=lambda p: p.midnight), key=lambda p: p.midnight):
        yield midnight, list(some)


def _held(rows: pa.Table, midnight: int) -> pa.Table:
    """Acts that count from the wanted midnight on, which makes that the one moment of which a row is made."""
    constants = {"from_day": midnight - 1, "held_from": midnight, "held_until": FOREVER}
    for name, number in constants.items():
        rows = rows.append_column(name, pa.array(np.full(len(rows), number, dtype=np.int64)))
    return rows.append_column("purchase", pc.equal(rows["kind"], "purchase")) if "kind" in rows.column_names else rows


def _daily(base: Base, open_days: OpenDays, profiles: Sequence[Profile]) -> pa.Table:
    """Daily rows of the profiles' members as `window_rows` takes them, all of profiles with one midnight."""
    pairs = [(profile.user, member) for profile in profiles for member in profile.members]
    old, of_pair = base.daily.take([member for _, member in pairs])
    old = old.drop_columns("subject_id").add_column(0, "subject", pa.array(of_pair))
    new = [
        (i, day, *(p in purposes for p in PERSONAL), _whole(sums.sums), sums.first, sums.lasts)
        for i, (_, member) in enumerate(pairs)
        if member in open_days.subjects
        for (day, purposes), sums in open_days.subjects[member].days.items()
    ]
    rows = pa.concat_tables([old.select(_OPEN_DAILY.names).cast(_OPEN_DAILY), _table(new, _OPEN_DAILY)])
    place = rows["subject"].combine_chunks()
    rows = rows.append_column("entity", pa.array([user for user, _ in pairs]).take(place))
    rows = rows.append_column("subject_id", pa.array([member for _, member in pairs]).take(place))
    return _held(rows, profiles[0].midnight)


def _whole(sums: np.ndarray) -> np.ndarray:
    """Amounts as whole millionths, as the daily sums are packed."""
    return np.rint(np.where(_AMOUNTS, np.round(sums, 6) * SCALE, sums)).astype(np.int64)


def _table(rows: Sequence[tuple[object, ...]], schema: pa.Schema) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)


def merged(*rows: Mapping[Table, pa.Table]) -> Rows:
    """All tables' rows, without those that are empty."""
    return {table: found for some in rows for table, found in some.items() if found.num_rows}
