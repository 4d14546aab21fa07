"""`mmfs stream`: Spark Structured Streaming, one micro-batch after the other, each with effect exactly once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, TypeVar

import pyarrow.compute as pc
from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame

from pipelines.delta import TableStore
from pipelines.errors import OnlineStoreUnreachableError, StreamEndingError
from pipelines.governance.writing import only_writer
from pipelines.point_in_time.delta_log import newest_version
from pipelines.releases.pin import live_releases, read_pin
from pipelines.serving.repo import feature_store
from pipelines.stream.acts import Act
from pipelines.stream.checkpoint import planned_at, stream_identity
from pipelines.stream.intake import Judged, MicroBatch, judge, land
from pipelines.stream.pieces import open_piece
from pipelines.stream.profile_store import ProfileStore
from pipelines.stream.publishing import OnlineRows, Unwritten
from pipelines.stream.query_vectors import QueryEncoders
from pipelines.stream.scalars import ScalarRows
from pipelines.stream.sources import EventSource
from pipelines.tables.aggregates import USER_DAILY
from pipelines.tables.governance import DROPS, MATERIALISED
from pipelines.tables.sources import CONSENTS, IDENTITIES, PRODUCT_CONTENTS, TOMBSTONES

# Tables that others write, and that decide what the stream's rows are.
_DECIDING = (DROPS, USER_DAILY, MATERIALISED, CONSENTS, IDENTITIES, PRODUCT_CONTENTS, TOMBSTONES)
_RETRY_SECONDS = 1.0
Figures = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class StreamOptions:
    """`name` of the stream, whose checkpoint lies below the home; `trigger_seconds` between micro-batches, None to
    take what is there and end; `append_seconds` between appending rows to the histories."""

    name: str = "events"
    trigger_seconds: float | None = 1.0
    append_seconds: float = 300.0


@dataclass(frozen=True)
class _Standing:
    """What a micro-batch works on, for as long as nobody else changes the home."""

    profiles: ProfileStore
    online: OnlineRows
    piece: str
    outer: object


class EventStream:
    """See the module. `announce` is told the figures of each micro-batch."""

    def __init__(
        self, store: TableStore, source: EventSource, options: StreamOptions, announce: Callable[[Figures], None]
    ) -> None:
        self._store, self._source, self._options, self._announce = store, source, options, announce
        self._checkpoint = store.settings.under_home("streams", options.name)
        self._scalars = ScalarRows(store.spark)
        self._encoders = QueryEncoders(store.settings)
        self._unwritten = Unwritten()
        self._between = threading.Lock()
        self._ending = threading.Event()
        self._failure: Exception | None = None
        self._standing: _Standing | None = None
        self._appended_at = time.monotonic()
        self._number = 0

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Work until `until` says so, or, without a trigger, until everything is taken in.

        Raises what a micro-batch failed with; run again, the stream goes on where it was.
        """
        writer = self._source.stream(self._store.spark).writeStream.foreachBatch(self._guarded)
        writer = writer.option("checkpointLocation", self._checkpoint).queryName(self._options.name)
        seconds = self._options.trigger_seconds
        if seconds is None:
            query = writer.trigger(availableNow=True).start()
        else:
            query = writer.trigger(processingTime=f"{round(seconds * 1000)} milliseconds").start()
        try:
            while not query.awaitTermination(1) and not until():
                pass
        except StreamingQueryException as error:
            raise self._failure or error from None
        finally:
            # After the micro-batch at hand. To stop while one waits for the lock would wait for it for ever.
            self._ending.set()
            with self._between:
                pass
            query.stop()
        with only_writer(self._store.settings):
            self._unwritten.make_due()
            while self._unwritten.append_due(self._store, self._identity, self._number):
                pass

    @cached_property
    def _identity(self) -> str:
        return stream_identity(self._checkpoint)

    def _guarded(self, batch: DataFrame, number: int) -> None:
        with self._between:
            if self._ending.is_set():
                raise StreamEndingError("the stream ends; this micro-batch is the first of the next start")
            with only_writer(self._store.settings):
                self._told(batch, number)

    def _told(self, batch: DataFrame, number: int) -> None:
        try:
            self._process(batch, number)
        except Exception as error:
            # Told by `run`, in place of Spark's account of where Python was called.
            self._failure = error
            raise

    def _process(self, batch: DataFrame, number: int) -> None:
        began = time.perf_counter()
        self._number = number
        at = planned_at(self._checkpoint, number)
        figures: Figures = {"batch": number, "at": at.isoformat()}
        standing = self._refreshed(at, figures)
        micro_batch = MicroBatch(self._identity, number, at, standing.piece)
        arrived = self._source.arrived(self._store.spark, batch)
        try:
            judged = judge(self._store, arrived, micro_batch, standing.profiles.keys, standing.profiles.statements)
            figures |= judged.figures | {"judged_seconds": time.perf_counter() - began}
            acts = [] if judged.events is None else standing.profiles.acts(judged.events)
            figures |= self._publish(standing.profiles, standing.online, acts, at)
            figures |= _lag(judged) | {"online_seconds": time.perf_counter() - began}
            land(self._store, judged, micro_batch)
        finally:
            if arrived.rows is not None:
                arrived.rows.unpersist()
        standing.profiles.keys.add(judged.key_hashes, judged.days)
        figures |= self._append() | {"seconds": time.perf_counter() - began}
        self._announce({name: round(v, 3) if isinstance(v, float) else v for name, v in figures.items()})

    def _refreshed(self, at: datetime, figures: Figures) -> _Standing:
        """What stands; where others changed it, read anew, and all rows of the open days made again by it.

        So it is after a restart, and what the last process had not written is made good.
        """
        old = self._standing
        if old is not None:
            if self._outer_state(old.online) == old.outer:
                return old
            old.profiles.close()
        store = self._store
        releases = live_releases(store.settings)
        profiles = ProfileStore(store, releases, self._scalars)
        online = OnlineRows(feature_store(store.settings, offline=False), store.settings, releases)
        acts = profiles.open_acts()
        found = self._publish(profiles, online, acts, datetime.now(UTC))
        figures |= {"reread_acts": len(acts), "reread_profiles": found["profiles"]}
        piece = open_piece(store, self._identity, at)
        self._standing = _Standing(profiles, online, piece, self._outer_state(online))
        return self._standing

    def _outer_state(self, online: OnlineRows) -> object:
        versions = [newest_version(self._store.location(table)) for table in _DECIDING]
        return versions, read_pin(self._store.settings).to_json(), self._patiently(online.state)

    def _publish(self, profiles: ProfileStore, online: OnlineRows, acts: list[Act], at: datetime) -> Figures:
        """Acts into the profiles, and what follows of it online."""
        queries, waiting = self._encoders.encode(acts, profiles.releases, profiles.vectors, at)
        touched = profiles.add(acts, at)
        rows, count, unsteady = profiles.rows(touched, at)
        written = self._patiently(lambda: online.write(rows)) if rows else 0
        self._unwritten.add(rows, queries)
        return {
            "profiles": count,
            "rows_online": written,
            "queries_encoded": len(queries),
            "queries_waiting": waiting,
            "interests_waiting": unsteady,
            "events_ahead": profiles.ahead,
        }

    def _append(self) -> Figures:
        """One table's rows, where the time has come."""
        if time.monotonic() - self._appended_at >= self._options.append_seconds:
            self._unwritten.make_due()
            self._appended_at = time.monotonic()
        table = self._unwritten.append_due(self._store, self._identity, self._number)
        return {} if table is None else {"appended": table}

    def _patiently(self, work: Callable[[], T]) -> T:
        """Do it as soon as the online store answers. Until then events wait where they come from."""
        while True:
            try:
                return work()
            except OnlineStoreUnreachableError as error:
                self._announce({"waiting": str(error)})
                time.sleep(_RETRY_SECONDS)


def _lag(judged: Judged) -> Figures:
    """Seconds from the newest event's own time until now."""
    kept = judged.kept
    if kept is None:
        return {}
    newest = pc.max(kept["event_timestamp"]).as_py()
    return {"lag_seconds": (datetime.now(UTC) - newest).total_seconds()}
