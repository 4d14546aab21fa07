"""user_recent_products: what a user looked at and bought last, which is not additive.

A product action is an event on a product that says something of an interest (see INTEREST_WEIGHTS). Newest first;
of equal time the greater event_id comes first. A product acted on twice is there twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.features.history import publish
from pipelines.features.scalars import last_midnight
from pipelines.features.sliding import NEVER, Ints
from pipelines.features.subjects import subjects_of
from pipelines.features.windows import ENTITIES_PER_BUCKET
from pipelines.governance.progress import Batch
from pipelines.identity.consent import with_allowed_purposes
from pipelines.identity.tombstones import without_erased
from pipelines.tables.definitions import INTEREST_WEIGHTS, LAST_PRODUCTS, PERSONAL, RECENT_ACTIONS
from pipelines.tables.features import USER_RECENT_PRODUCTS
from pipelines.tables.sources import CONSENTS, EVENTS, IDENTITIES, TOMBSTONES

_SCHEMA = (
    "user_id string, purpose string, midnight date, last_product_ids array<string>, "
    "last_purchased_product_ids array<string>, available bigint"
)


@dataclass(frozen=True)
class _Actions:
    """Actions of one bucket of users, sorted by user, time and event_id."""

    user: Ints
    product: Ints
    day: Ints
    purchase: NDArray[np.bool_]
    held_from: Ints
    held_until: Ints
    available: Ints

    def __getitem__(self, rows: slice | Ints | NDArray[np.bool_]) -> _Actions:
        return _Actions(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class _Found:
    user: int
    midnight: Ints
    products: Ints
    product_counts: Ints
    bought: Ints
    bought_counts: Ints
    available: Ints


def build_recent_products(store: TableStore, batch: Batch, users: DataFrame) -> int:
    """Bring the history of `users` [user_id, from_day] up to the batch's time; rows written.

    Cost ∝ the product actions of these users.
    """
    actions = product_actions(store, subjects_of(store, users))
    buckets = max(2, -(-users.count() // ENTITIES_PER_BUCKET))
    packed = actions.select(
        F.pmod(F.xxhash64("user_id"), F.lit(buckets)).alias("bucket"),
        "user_id",
        "event_id",
        "product_id",
        F.unix_date("from_day").alias("from_day"),
        F.unix_micros("event_timestamp").alias("at"),
        F.unix_date("event_date").alias("day"),
        (F.col("event_type") == "purchase").alias("purchase"),
        "held_from",
        "held_until",
        F.unix_micros(F.greatest("available_at", "link_available_at")).alias("available"),
        *(F.array_contains("allowed_purposes", p).alias(f"for_{p}") for p in PERSONAL),
    )
    found = packed.groupBy("bucket").applyInArrow(recent_rows(last_midnight(batch)), _SCHEMA)
    rows = found.withColumns(
        {
            "event_timestamp": F.col("midnight").cast("timestamp"),
            "inputs_available_at": F.timestamp_micros(F.when(F.col("available") != NEVER, F.col("available"))),
        }
    ).persist()
    written = publish(store, rows, USER_RECENT_PRODUCTS, batch)
    rows.unpersist()
    return written


def product_actions(store: TableStore, subjects: DataFrame) -> DataFrame:
    """The subjects' events on products, with allowed purposes; one row per user that they count for."""
    events = (
        store.read(EVENTS)
        .where(F.col("product_id").isNotNull() & F.col("event_type").isin(list(INTEREST_WEIGHTS)))
        .select("event_id", "subject_id", "event_type", "event_timestamp", "event_date", "product_id", "available_at")
        .join(subjects.select("subject_id").distinct(), "subject_id", "left_semi")
    )
    known = without_erased(events, store.read(TOMBSTONES))
    allowed = with_allowed_purposes(known, store.read(CONSENTS), store.read(IDENTITIES), store.settings)
    return allowed.join(subjects, "subject_id")


def recent_rows(to_midnight: int) -> Callable[[pa.Table], pa.Table]:
    """From product actions of whole users (columns as `build_recent_products` packs them) the rows of `_SCHEMA`."""

    def compute(table: pa.Table) -> pa.Table:
        table = table.sort_by([("user_id", "ascending"), ("at", "ascending"), ("event_id", "ascending")])
        users = table["user_id"].combine_chunks().dictionary_encode()
        products = table["product_id"].combine_chunks().dictionary_encode()
        actions = _Actions(
            users.indices.to_numpy().astype(np.int64),
            products.indices.to_numpy().astype(np.int64),
            *(np.asarray(table[c]) for c in ("day", "purchase", "held_from", "held_until", "available")),
        )
        from_midnight = np.asarray(table["from_day"]) + 1
        edges = np.searchsorted(actions.user, np.arange(len(users.dictionary) + 1))
        parts = []
        for purpose in PERSONAL:
            allowed = np.asarray(table[f"for_{purpose}"])
            found = [
                step
                for a, b in pairwise(edges)
                for step in _of_user(actions[a:b], allowed[a:b], from_midnight[a:b].min(), to_midnight)
            ]
            if found:
                parts.append(_as_table(found, users.dictionary, products.dictionary, purpose))
        return pa.concat_tables(parts) if parts else pa.table({n: pa.array([], t) for n, t in _ARROW.items()})

    return compute


def _of_user(actions: _Actions, allowed: NDArray[np.bool_], from_midnight: int, to_midnight: int) -> Iterator[_Found]:
    """A user's lists at every midnight at which they may change, one piece per stretch of unchanged links."""
    ends = actions.day + 1
    midnights = np.unique(np.concatenate([ends[ends >= actions.held_from], actions.held_from, actions.held_until]))
    midnights = midnights[(midnights >= from_midnight) & (midnights <= to_midnight)]
    bounds = np.unique(np.concatenate([actions.held_from, actions.held_until]))
    stretch = np.searchsorted(bounds, midnights, side="right")
    for which in np.unique(stretch):
        at = midnights[stretch == which]
        counts = allowed & (actions.held_from <= at[0]) & (at[0] < actions.held_until)
        yield _newest(actions[counts], at, int(actions.user[0]))


def _newest(actions: _Actions, at: Ints, user: int) -> _Found:
    upper = np.searchsorted(actions.day, at)
    back = upper[:, None] - 1 - np.arange(RECENT_ACTIONS)
    there = back >= 0
    row = np.maximum(back, 0)
    if not len(actions.day):
        nothing = np.zeros(0, dtype=np.int64)
        none = np.zeros(len(at), dtype=np.int64)
        return _Found(user, at, nothing, none, nothing, none, np.full(len(at), NEVER))
    products = actions.product[row]
    shown = there & (np.arange(RECENT_ACTIONS) < LAST_PRODUCTS)
    bought = there & actions.purchase[row]
    bought &= np.cumsum(bought, axis=1) <= LAST_PRODUCTS
    known = np.maximum.accumulate(actions.available)
    available = np.where(upper > 0, known[np.maximum(upper - 1, 0)], NEVER)
    return _Found(user, at, products[shown], shown.sum(axis=1), products[bought], bought.sum(axis=1), available)


_ARROW = {
    "user_id": pa.string(),
    "purpose": pa.string(),
    "midnight": pa.date32(),
    "last_product_ids": pa.list_(pa.string()),
    "last_purchased_product_ids": pa.list_(pa.string()),
    "available": pa.int64(),
}


def _as_table(found: list[_Found], users: pa.Array, products: pa.Array, purpose: str) -> pa.Table:
    user = np.repeat([f.user for f in found], [len(f.midnight) for f in found])
    midnight = np.concatenate([f.midnight for f in found]).astype(np.int32)
    columns = {
        "user_id": users.take(pa.array(user)),
        "purpose": pa.array([purpose] * len(user), pa.string()),
        "midnight": pa.array(midnight).cast(pa.date32()),
        "last_product_ids": _lists([f.products for f in found], [f.product_counts for f in found], products),
        "last_purchased_product_ids": _lists([f.bought for f in found], [f.bought_counts for f in found], products),
        "available": pa.array(np.concatenate([f.available for f in found])),
    }
    return pa.table(columns)


def _lists(codes: list[Ints], counts: list[Ints], names: pa.Array) -> pa.Array:
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pc.take(names, pa.array(np.concatenate(codes))))
