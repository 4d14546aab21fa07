"""All that a stream keeps in memory, and the rows that follow from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import pyarrow as pa
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.errors import HomeEmptyError
from pipelines.identity.consent import statements_of_subjects
from pipelines.releases.manifest import Release
from pipelines.stream.acts import EVENT_COLUMNS, Act, acts_of_events
from pipelines.stream.base import done_by_features, open_events, read_base
from pipelines.stream.content_vectors import ContentVectors
from pipelines.stream.interests import interest_rows_now, steady
from pipelines.stream.known_keys import KnownKeys
from pipelines.stream.open_days import OpenDays
from pipelines.stream.profiles import Profile, touched_profiles
from pipelines.stream.publishing import HistoryRows, with_created_at
from pipelines.stream.scalars import ScalarRows, actions_of, recent_products
from pipelines.tables.sources import CONSENTS, EVENTS, IDENTITIES, PRODUCT_CONTENTS

# Profiles whose rows are made at a time: bounds memory where all of them are made anew.
_PROFILES_AT_ONCE = 1000


class ProfileStore:
    """What feature runs left and what was done since. Made anew whenever tables change that the stream does not write.

    Raises HomeEmptyError where no feature run has been.
    """

    def __init__(self, store: TableStore, releases: Sequence[Release], scalars: ScalarRows) -> None:
        self._store = store
        self._scalars = scalars
        self.releases = releases
        self.statements = statements_of_subjects(store.read(CONSENTS), store.read(IDENTITIES)).persist()
        self._contents = store.read(PRODUCT_CONTENTS).select("product_id", "valid_from", "modality", "content_id")
        self._contents = self._contents.persist()
        done = done_by_features(store)
        if done is None:
            raise HomeEmptyError(
                f"no features were ever built in home '{store.settings.home}'; run first: mmfs run DROP"
            )
        self._base = read_base(store, done, releases, self.statements)
        self.vectors = ContentVectors.read(store, releases)
        self.keys = _known_keys(store)
        self._open = OpenDays()

    def close(self) -> None:
        """Let go of what Spark keeps for it."""
        self.statements.unpersist()
        self._contents.unpersist()

    def acts(self, events: pa.Table) -> list[Act]:
        """The acts of new events, as of `Judged.events`."""
        return list(acts_of_events(self._store.spark, events, self._contents, self._store.settings))

    def open_acts(self) -> list[Act]:
        """Of all events in silver that no feature run has taken in."""
        return self.acts(open_events(self._store, self._base.done, self.statements).select(*EVENT_COLUMNS).toArrow())

    def add(self, acts: Iterable[Act], until: datetime) -> dict[str, set[str]]:
        """Take acts in; see `OpenDays.add`."""
        return self._open.add(acts, _micros(until))

    @property
    def ahead(self) -> int:
        """Acts whose time has not come."""
        return self._open.waiting

    def rows(self, touched: Mapping[str, Iterable[str]], at: datetime) -> tuple[HistoryRows, int, int]:
        """The rows of everybody whom the touched subjects' acts count for; how many profiles those are, and of how
        many the interests wait for the next feature run."""
        profiles = touched_profiles(self._base, self._open, touched, _micros(at))
        parts: list[HistoryRows] = []
        waiting = 0
        for start in range(0, len(profiles), _PROFILES_AT_ONCE):
            made, unsteady = self._rows(profiles[start : start + _PROFILES_AT_ONCE], at)
            parts.append(made)
            waiting += unsteady
        return _together(parts), len(profiles), waiting

    def _rows(self, profiles: Sequence[Profile], at: datetime) -> tuple[HistoryRows, int]:
        actions = actions_of(self._base, self._open, profiles)
        scalars = self._scalars.rows(self._base, self._open, profiles) | recent_products(actions, profiles)
        made: HistoryRows = {(table, None): rows for table, rows in scalars.items()}
        same = steady(self._base, profiles)
        if same:
            actions = actions_of(self._base, self._open, same)
            for release in self.releases:
                rows = interest_rows_now(self._base, self._open, release, self.vectors, same, actions, _micros(at))
                made.update(rows)
        told = {key: rows for key, rows in made.items() if rows.num_rows}
        return with_created_at(told, at), len(profiles) - len(same)


def _together(parts: Sequence[HistoryRows]) -> HistoryRows:
    keys = dict.fromkeys(key for part in parts for key in part)
    return {key: pa.concat_tables([part[key] for part in parts if key in part]) for key in keys}


def _known_keys(store: TableStore) -> KnownKeys:
    keys = store.read(EVENTS).select(F.xxhash64("event_id").alias("hash"), F.unix_date("event_date").alias("day"))
    found = keys.toArrow()
    return KnownKeys(found["hash"].to_numpy(), found["day"].to_numpy())


def _micros(moment: datetime) -> int:
    return round(moment.timestamp() * 1e6)
