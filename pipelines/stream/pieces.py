"""What a stream brought between two feature runs is a drop of its own, a piece: open while the stream adds to it.

The piece's name is the `drop_id` of its rows. Feature and encoding runs close it first: a closed piece is recorded
among the drops, where they find it as they find any other, and the stream goes on with the next one.
"""

from __future__ import annotations

from datetime import UTC, datetime

from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.frames import frame_of
from pipelines.governance.progress import Batch, finish, start
from pipelines.governance.runs import Run
from pipelines.tables.governance import DROPS, PROGRESS

_JOB = "stream/"


def open_piece(store: TableStore, stream_id: str, at: datetime) -> str:
    """The name of the stream's open piece; one is opened at `at` (aware, UTC) where there is none."""
    job = _JOB + stream_id
    rows = store.read(PROGRESS).where(F.col("job") == job).select("batch_id", "state").collect()
    closed = {row.batch_id for row in rows if row.state == "finished"}
    for row in rows:
        if row.batch_id not in closed:
            return str(row.batch_id)
    piece = f"stream-{stream_id}-{len(closed) + 1}"
    start(store, _record(job, piece, at))
    return piece


def close_pieces(store: TableStore, run: Run) -> int:
    """Record every open piece among the drops; returns how many. Call it only where no stream is writing."""
    rows = store.read(PROGRESS).where(F.col("job").startswith(_JOB)).collect()
    closed = {row.batch_id for row in rows if row.state == "finished"}
    open_ones = [row for row in rows if row.batch_id not in closed]
    for row in open_ones:
        drop = (row.batch_id, row.job, run.as_of, False, datetime.now(UTC))
        store.append_once(frame_of(store.spark, [drop], DROPS.ddl), DROPS, row.batch_id)
        finish(store, _record(row.job, row.batch_id, run.as_of))
    return len(open_ones)


def _record(job: str, piece: str, at: datetime) -> Batch:
    return Batch(job, (piece,), at, None, False, piece)
