"""Judged rows into silver: which are new against what is there, and how each table takes them in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.sources.deduplication import KEPT, signature, with_outcome
from pipelines.sources.links import identity_changes, with_link_outcome
from pipelines.sources.rules import with_first_broken_rule
from pipelines.sources.typed import typed
from pipelines.sources.versions import consent_versions, timeline_changes
from pipelines.tables.schema import Table
from pipelines.tables.sources import CONSENTS, EVENTS, IDENTITIES, MESSAGES, PRODUCTS, REVIEWS, USERS

SILVER = {
    "products": PRODUCTS,
    "users": USERS,
    "identities": IDENTITIES,
    "events": EVENTS,
    "reviews": REVIEWS,
    "messages": MESSAGES,
}
_NOT_CONTENT = {"valid_to", "available_at", "drop_id"}


@dataclass(frozen=True)
class Intake:
    """What is taken in: the drop's id, the run's time (aware, UTC), whether the drop is a load of history."""

    drop_id: str
    as_of: datetime
    history: bool


def judged(store: TableStore, bronze: DataFrame, source: str, intake: Intake) -> DataFrame:
    """A drop's bronze rows, typed, with `outcome`, `rule` and `value`. Reads silver, writes nothing."""
    checked = checked_rows(store, bronze, source, intake)
    table = SILVER[source]
    existing = _of_other_drops(store, table, intake) if store.exists(table) else None
    if source == "identities":
        return with_link_outcome(checked, existing)
    content = _content(source)
    known = None
    if existing is not None:
        rows_of_keys = _with_same_keys(existing, checked, source)
        if source == "users":
            rows_of_keys = _with_consents(rows_of_keys, _of_other_drops(store, CONSENTS, intake))
        known = rows_of_keys.select(*table.keys, signature(rows_of_keys, content).alias("known_signature"))
    return with_outcome(checked, table.keys, content, known)


def checked_rows(store: TableStore, bronze: DataFrame, source: str, intake: Intake) -> DataFrame:
    """Bronze rows, typed, with the first `rule` that each breaks and the `value` that does."""
    rows = typed(bronze, source, store.settings, intake.history)
    return with_first_broken_rule(rows, source, intake.as_of)


def judged_events(checked: DataFrame, existing: DataFrame | None) -> DataFrame:
    """Checked events with their outcome against the rows of silver that may have their keys; None: none has."""
    content, known = _content("events"), None
    if existing is not None:
        known = _with_same_keys(existing, checked, "events")
        known = known.select("event_id", signature(known, content).alias("known_signature"))
    return with_outcome(checked, EVENTS.keys, content, known)


def write_silver(store: TableStore, rows: DataFrame, source: str, intake: Intake) -> None:
    """Write the kept rows of judged ones. Repeating it changes nothing."""
    kept = rows.where(F.col("outcome") == KEPT)
    _WRITERS.get(source, _append)(store, kept, SILVER[source], intake)


def _content(source: str) -> tuple[str, ...]:
    columns = tuple(c for c in SILVER[source].column_names if c not in _NOT_CONTENT)
    return (*columns, "consents") if source == "users" else columns


def _of_other_drops(store: TableStore, table: Table, intake: Intake) -> DataFrame:
    # The drop's own rows are there when an earlier attempt was cut off: they must not count as known.
    return store.read(table).where(F.col("drop_id") != intake.drop_id)


def _with_same_keys(existing: DataFrame, checked: DataFrame, source: str) -> DataFrame:
    """Rows of silver whose key the drop names.

    Events first look up the keys alone, then read whole rows only of the days on which a key was met.
    """
    keys = SILVER[source].keys
    named = checked.where(F.col("rule").isNull()).select(*keys).distinct()
    if source == "events":
        met = existing.select("event_id", "event_date").join(named, "event_id", "left_semi")
        days = [row.event_date for row in met.select("event_date").distinct().collect()]
        existing = existing.where(F.col("event_date").isin(days))
    return existing.join(named, list(keys), "left_semi")


def _with_consents(users: DataFrame, consents: DataFrame) -> DataFrame:
    """Known user versions with the consents they came with: NULL where they said nothing."""
    given = F.array_sort(F.array_compact(F.collect_list(F.when(F.col("granted"), F.col("purpose")))))
    said = consents.groupBy("user_id", "valid_from").agg(given.alias("consents"))
    return users.join(said, ["user_id", "valid_from"], "left")


def _append(store: TableStore, kept: DataFrame, table: Table, intake: Intake) -> None:
    store.append_once(kept, table, intake.drop_id)


def _write_versions(store: TableStore, kept: DataFrame, table: Table, intake: Intake) -> None:
    keys = tuple(k for k in table.keys if k != "valid_from")
    columns = [c for c in table.column_names if c != "valid_to"]
    existing = _of_other_drops(store, table, intake)
    _upsert(store, timeline_changes(kept.select(*columns), existing, keys), table, intake)


def _write_users(store: TableStore, kept: DataFrame, table: Table, intake: Intake) -> None:
    # Consents first: a user version is what tells an identical repetition, so it must not stand without them.
    _write_versions(store, consent_versions(kept), CONSENTS, intake)
    _write_versions(store, kept, table, intake)


def _write_identities(store: TableStore, kept: DataFrame, table: Table, intake: Intake) -> None:
    _upsert(store, identity_changes(kept, store.read(table)), table, intake)


def _upsert(store: TableStore, rows: DataFrame, table: Table, intake: Intake) -> None:
    if store.exists(table):
        store.upsert(rows, table)
    else:
        # Nothing to match against: an append is one job instead of a merge's two.
        store.append_once(rows, table, intake.drop_id)


_WRITERS: dict[str, Callable[[TableStore, DataFrame, Table, Intake], None]] = {
    "products": _write_versions,
    "users": _write_users,
    "identities": _write_identities,
}
