"""Batches of work of a job: which drops it has taken in, and resuming one that was cut off."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.frames import frame_of
from pipelines.governance.runs import Run
from pipelines.tables.governance import DROPS, PROGRESS


@dataclass(frozen=True)
class Batch:
    """Work a job has to do: the drops it has not taken in yet, up to `as_of` (aware, UTC).

    `previous_as_of` is the time of the job's last finished batch: None for its first one.
    `history`: the drops are a load of history, so `created_at` follows the rows' own times, not the run's.
    `batch_id` follows from the content; used as a transaction id it makes every write of the batch repeatable.
    """

    job: str
    drop_ids: tuple[str, ...]
    as_of: datetime
    previous_as_of: datetime | None
    history: bool
    batch_id: str


def _new_batch(job: str, drop_ids: tuple[str, ...], as_of: datetime, previous: datetime | None, history: bool) -> Batch:
    text = "|".join([job, *drop_ids, as_of.isoformat(), str(previous)])
    return Batch(job, drop_ids, as_of, previous, history, hashlib.sha256(text.encode()).hexdigest()[:16])


def pending_batches(store: TableStore, job: str, run: Run) -> list[Batch]:
    """What the job has to do, in order; empty when it is up to date.

    A batch that was started and not finished comes first, as it was. Then loads of history, then regular drops,
    then, if only time has passed, a batch without drops.
    """
    rows = store.read(PROGRESS).where(F.col("job") == job).collect()
    finished = {r.batch_id: r for r in rows if r.state == "finished"}
    open_rows = [r for r in rows if r.state == "started" and r.batch_id not in finished]
    done_drops = {d for r in finished.values() for d in r.drop_ids}
    previous = max((_aware(r.as_of) for r in finished.values()), default=None)
    batches = []
    for row in sorted(open_rows, key=lambda r: r.written_at):
        batch = Batch(job, tuple(row.drop_ids), _aware(row.as_of), previous, row.history, row.batch_id)
        batches.append(batch)
        done_drops |= set(row.drop_ids)
        previous = max(batch.as_of, previous or batch.as_of)
    drops = [d for d in store.read(DROPS).collect() if d.drop_id not in done_drops]
    for history in (True, False):
        ids = tuple(sorted(d.drop_id for d in drops if d.history is history))
        if ids:
            batches.append(_new_batch(job, ids, run.as_of, previous, history))
            previous = max(run.as_of, previous or run.as_of)
    if previous is not None and not batches and run.as_of > previous:
        batches.append(_new_batch(job, (), run.as_of, previous, history=False))
    return batches


def start(store: TableStore, batch: Batch) -> None:
    """Record that the batch was begun; beginning it again changes nothing."""
    _record(store, batch, "started")


def finish(store: TableStore, batch: Batch) -> None:
    """Record that every write of the batch is done."""
    _record(store, batch, "finished")


def mark(store: TableStore, job: str, at: datetime) -> None:
    """Record of a job without drops of its own up to when (aware, UTC) it took things in; see `marked`."""
    finish(store, _new_batch(job, (), at, None, history=False))


def marked(store: TableStore, jobs: Sequence[str]) -> dict[str, datetime]:
    """The latest mark of each job that has one."""
    rows = store.read(PROGRESS).where(F.col("job").isin(*jobs)).groupBy("job").agg(F.max("as_of").alias("at"))
    return {row.job: _aware(row["at"]) for row in rows.collect()}


def _record(store: TableStore, batch: Batch, state: str) -> None:
    row = [
        (
            batch.job,
            batch.batch_id,
            list(batch.drop_ids),
            batch.as_of,
            batch.history,
            state,
            datetime.now(UTC),
        )
    ]
    store.append_once(frame_of(store.spark, row, PROGRESS.ddl), PROGRESS, f"{batch.batch_id}/{state}")


def _aware(value: datetime) -> datetime:
    # pyspark hands timestamps back naive, in the process's local zone.
    return value.astimezone(UTC)
