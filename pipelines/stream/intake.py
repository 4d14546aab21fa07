"""A micro-batch's rows judged as a drop's are, and landed: bronze, silver and quarantine, each once."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.frames import frame_of
from pipelines.identity.consent import allowed_by
from pipelines.sources.bronze import blank_erased
from pipelines.sources.deduplication import DUPLICATE, KEPT, QUARANTINED
from pipelines.sources.quarantine import quarantine_rows
from pipelines.sources.silver import Intake, checked_rows, judged_events
from pipelines.stream.acts import EVENT_COLUMNS
from pipelines.stream.known_keys import Ints, KnownKeys
from pipelines.stream.sources import SOURCE, Arrived
from pipelines.tables.sources import BRONZE, EVENTS, QUARANTINE, TOMBSTONES

UNREADABLE_FILE = "unreadable_file"
_EPOCH = dt.date(1970, 1, 1)


@dataclass(frozen=True)
class MicroBatch:
    """A micro-batch: the stream it is of, its number there, when it was planned (aware, UTC), and the piece its rows
    belong to. Planned again after a failure it has the same number, rows and time."""

    stream_id: str
    number: int
    at: dt.datetime
    piece: str

    @property
    def intake(self) -> Intake:
        return Intake(self.piece, self.at, history=False)


@dataclass(frozen=True)
class Judged:
    """Rows of a micro-batch with `outcome`, `given`, silver's columns, `allowed_purposes` and `key_hash`; in memory."""

    bronze: DataFrame | None
    rows: pa.Table | None
    unreadable: tuple[str, ...]

    def count(self, outcome: str) -> int:
        return 0 if self.rows is None else pc.sum(pc.equal(self.rows["outcome"], outcome)).as_py() or 0

    @cached_property
    def kept(self) -> pa.Table | None:
        """The new events; None where there is none."""
        if self.rows is None:
            return None
        kept = self.rows.filter(pc.equal(self.rows["outcome"], KEPT))
        return kept if kept.num_rows else None

    @property
    def events(self) -> pa.Table | None:
        """The new events as their acts are made of; None where there is none."""
        return None if self.kept is None else self.kept.select(list(EVENT_COLUMNS))

    @property
    def key_hashes(self) -> Ints:
        """Of the new events' ids, int64."""
        return np.zeros(0, np.int64) if self.kept is None else self.kept["key_hash"].to_numpy()

    @property
    def days(self) -> Ints:
        """Of the new events, since 1970, int64."""
        days = None if self.kept is None else self.kept["event_date"].cast(pa.int32()).to_numpy()
        return np.zeros(0, np.int64) if days is None else days.astype(np.int64)

    @property
    def figures(self) -> dict[str, int]:
        outcomes = {"kept": KEPT, "duplicates": DUPLICATE, "quarantined": QUARANTINED}
        counts = {name: self.count(outcome) for name, outcome in outcomes.items()}
        rows = 0 if self.rows is None else self.rows.num_rows
        return {"rows": rows, **counts, "unreadable_files": len(self.unreadable)}


def judge(store: TableStore, arrived: Arrived, batch: MicroBatch, keys: KnownKeys, statements: DataFrame) -> Judged:
    """What holds of the rows that arrived. `statements` as of `statements_of_subjects`."""
    if arrived.rows is None:
        return Judged(None, None, arrived.unreadable)
    rows = arrived.rows
    if store.exists(TOMBSTONES):
        rows = blank_erased(rows, SOURCE, store.read(TOMBSTONES), store.settings)
    bronze = rows.withColumns({"drop_id": F.lit(batch.piece), "ingested_at": F.lit(batch.at)})
    checked = checked_rows(store, bronze, SOURCE, batch.intake)
    judged = judged_events(checked, _rows_to_compare(store, arrived, keys))
    allowed = allowed_by(judged, statements, store.settings)
    return Judged(bronze, allowed.withColumn("key_hash", F.xxhash64("event_id")).toArrow(), arrived.unreadable)


def _rows_to_compare(store: TableStore, arrived: Arrived, keys: KnownKeys) -> DataFrame | None:
    """Silver's events of the days in which any of the rows' keys was met; None where none was."""
    hashes = arrived.key_hashes.drop_null().to_numpy()
    days = [_EPOCH + dt.timedelta(days=day) for day in sorted(keys.days_of(hashes))]
    return store.read(EVENTS).where(F.col("event_date").isin(days)) if days else None


def land(store: TableStore, judged: Judged, batch: MicroBatch) -> None:
    """Append to bronze, silver and quarantine. Doing it again for the same micro-batch changes nothing."""
    transaction = f"stream/{batch.stream_id}"
    if judged.bronze is not None and judged.rows is not None:
        store.append_once(judged.bronze, BRONZE[SOURCE], transaction, batch.number)
    kept = judged.kept
    if kept is not None:
        events = store.spark.createDataFrame(kept.select(list(EVENTS.column_names)))
        store.append_once(events, EVENTS, transaction, batch.number)
    quarantined = _quarantine(store, judged, batch)
    if quarantined is not None:
        store.append_once(quarantined, QUARANTINE, transaction, batch.number)


def _quarantine(store: TableStore, judged: Judged, batch: MicroBatch) -> DataFrame | None:
    frames = []
    if judged.rows is not None and judged.count(QUARANTINED):
        refused = judged.rows.filter(pc.equal(judged.rows["outcome"], QUARANTINED))
        names = ["outcome", "rule", "value", "given", "unknown_columns", "corrupt_record", "drop_id", "ingested_at"]
        frames.append(quarantine_rows(store.spark.createDataFrame(refused.select(names)), SOURCE))
    if judged.unreadable:
        files = [(batch.piece, batch.at, SOURCE, None, UNREADABLE_FILE, f, None) for f in judged.unreadable]
        frames.append(frame_of(store.spark, files, QUARANTINE.ddl))
    return frames[0].unionByName(frames[-1]) if len(frames) == 2 else frames[0] if frames else None
