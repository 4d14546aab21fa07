"""Rows within the day: online at once, and into the histories from time to time, the newest of each profile."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from feast import FeatureStore, FeatureView
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.features.interest_rows import TIMESTAMP
from pipelines.frames import frame_of
from pipelines.online.keys import TextKeys
from pipelines.online.layout import RowSchema, field_id
from pipelines.online.rows import Schemas
from pipelines.online.values import values_of_row
from pipelines.releases.manifest import Release, view_name
from pipelines.serving.repo import packed_store
from pipelines.settings import Settings
from pipelines.stream.query_vectors import Row
from pipelines.tables.aggregates import EMBEDDINGS
from pipelines.tables.features import HISTORIES, USER_CONSENT
from pipelines.tables.schema import CREATED_AT, EVENT_TIMESTAMP, Table

Version = tuple[str, str]
# Rows of a history by the table and, where it depends on one, the encoder version.
HistoryKey = tuple[Table, Version | None]
HistoryRows = dict[HistoryKey, pa.Table]


class OnlineRows:
    """Writes rows to Feast's online store as materialisation does: newer ones win, and consent in force decides."""

    def __init__(self, feast: FeatureStore, settings: Settings, releases: Sequence[Release]) -> None:
        self._feast = feast
        self._online = packed_store(feast)
        self._keeper = self._online.keeper(feast.config)
        self._schemas = Schemas(self._keeper)
        self._default = frozenset(p for p, said in settings.consent_default.model_dump().items() if said == "allow")
        self._views = self._views_of(releases)
        self._consent = feast.get_feature_view(USER_CONSENT.name)

    def _views_of(self, releases: Sequence[Release]) -> dict[tuple[str, Version | None, str], FeatureView]:
        registered = {view.name: view for view in self._feast.list_batch_feature_views()}
        views = {}
        for release in releases:
            for table in (table for table in HISTORIES if release.serves(table)):
                for purpose in table.purposes:
                    version = release.encoder_for(table.depends_on) if table.depends_on else None
                    name = view_name(table, purpose, release)
                    if name in registered:
                        views[table.name, version, purpose] = registered[name]
        return views

    def write(self, rows: HistoryRows) -> int:
        """Rows of those who allow their purpose now; returns how many were not older than what is there."""
        users = sorted({user for found in rows.values() for user in pc.unique(found["user_id"]).to_pylist()})
        allowed = self._allowed(users)
        written = 0
        for (table, version), found in rows.items():
            for purpose in table.purposes:
                view = self._views.get((table.name, version, purpose))
                mine = [
                    p == purpose and purpose in allowed[u]
                    for u, p in zip(found["user_id"].to_pylist(), found["purpose"].to_pylist(), strict=True)
                ]
                if view is None or not any(mine):
                    continue
                names = ["user_id", *(field.name for field in view.features), EVENT_TIMESTAMP.name, CREATED_AT.name]
                for batch in found.filter(pa.array(mine)).select(names).combine_chunks().to_batches():
                    times = (EVENT_TIMESTAMP.name, CREATED_AT.name)
                    written += self._online.write_arrow(self._feast.config, view, batch, times)
        return written

    def state(self) -> tuple[str | None, int]:
        """Mark and generation of the store: they change when it is emptied, filled or defined anew."""
        reading = self._keeper.read([], [])
        return reading.mark, reading.generation

    def _allowed(self, users: Sequence[str]) -> dict[str, frozenset[str]]:
        """What serving would say that each of the users allows."""
        keys = TextKeys(self._feast.config.project, "user_id").many(users)
        schema = RowSchema.of(self._consent)
        found = self._keeper.read(keys, [field_id(self._consent.name)]).rows
        allowed = {}
        for user, [row] in zip(users, found, strict=True):
            if row is None:
                allowed[user] = self._default
                continue
            said = values_of_row(schema, self._schemas.as_now(schema, row), ["purposes"])
            allowed[user] = frozenset(said["purposes"].string_list_val.val if "purposes" in said else ())
        return allowed


class Unwritten:
    """Rows that wait to be appended to the histories, and vectors of queries for `embeddings`."""

    def __init__(self) -> None:
        self._rows: dict[HistoryKey, list[pa.Table]] = {}
        self._queries: list[Row] = []
        self._due: list[HistoryKey | None] = []

    def add(self, rows: HistoryRows, queries: Sequence[Row]) -> None:
        """Note a micro-batch's rows."""
        for key, found in rows.items():
            self._rows.setdefault(key, []).append(found)
        self._queries += queries

    def make_due(self) -> None:
        """Everything that waits now is to be appended, and what is added to it until then."""
        self._due = [*([None] if self._queries else []), *self._rows]

    def append_due(self, store: TableStore, stream_id: str, number: int) -> str | None:
        """Append what is due for one table, in one commit; the table's name, None where nothing is due.

        One at a time, because a commit takes a good part of a second in which events wait. `number` is the
        micro-batch's: appending again what was appended with it changes nothing.
        """
        if not self._due:
            return None
        key = self._due[0]
        if key is None:
            _append_queries(store, self._queries, f"stream/{stream_id}", number)
            self._queries = []
        else:
            table, version = key
            rows = store.spark.createDataFrame(_newest(self._rows[key], table, version))
            store.append_once(rows, table, "/".join(["stream", stream_id, *(version or ())]), number)
            del self._rows[key]
        self._due = self._due[1:]
        return EMBEDDINGS.name if key is None else key[0].name


def _newest(parts: Sequence[pa.Table], table: Table, version: Version | None) -> pa.Table:
    """Of each profile the row made last, with every column of the table."""
    rows = pa.concat_tables(parts)
    keys = zip(rows["user_id"].to_pylist(), rows["purpose"].to_pylist(), strict=True)
    last = {key: row for row, key in enumerate(keys)}
    rows = rows.take(pa.array(sorted(last.values())))
    if version is not None:
        for name, value in zip(("encoder", "encoder_version"), version, strict=True):
            rows = rows.append_column(name, pa.array([value] * len(rows)))
    written = pa.array([dt.datetime.now(dt.UTC)] * len(rows), TIMESTAMP)
    return rows.append_column("written_at", written).select(list(table.column_names))


def _append_queries(store: TableStore, rows: Sequence[Row], transaction: str, number: int) -> None:
    """Without those that an encoding step has taken in meanwhile."""
    keys = list(EMBEDDINGS.keys)
    frame = frame_of(store.spark, rows, EMBEDDINGS.ddl).dropDuplicates(keys)
    known = store.read(EMBEDDINGS).where(F.col("modality") == "query").select(*keys)
    store.append_once(frame.join(known, keys, "left_anti"), EMBEDDINGS, transaction, number)


def with_created_at(rows: Mapping[HistoryKey, pa.Table], at: dt.datetime) -> HistoryRows:
    """Rows known since the micro-batch's time, which no row's own moment is after."""
    micros = round(at.timestamp() * 1e6)
    made: HistoryRows = {}
    for key, found in rows.items():
        moments = np.maximum(found["event_timestamp"].cast(pa.int64()).to_numpy(), micros)
        made[key] = found.append_column(CREATED_AT.name, pa.array(moments).cast(TIMESTAMP))
    return made
