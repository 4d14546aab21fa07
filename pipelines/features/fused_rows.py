"""Fused rows of whole users, from the rows of their interests. Arrow and numpy, in a worker."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa

from pipelines.features.interest_rows import (
    DAY_MICROSECONDS,
    TIMESTAMP,
    TOLERANCE,
    Timeline,
    list_array,
    matrix_of,
    microseconds,
)
from pipelines.features.kernel import Bools, Ints, Vectors, running_maximum

# The interests in the order of their `source` number, and their shares of the CLIP space's block.
CLIP_SHARES = {"product_image": 0.4, "product_video": 0.15, "product_text": 0.2, "query": 0.25}
SOURCES = (*CLIP_SHARES, "review")
REVIEW = SOURCES.index("review")
PUBLISHED = len(SOURCES)


def fuse(interests: list[Vectors], observed: list[Bools]) -> tuple[Vectors, Bools]:
    """Recipe "fused/1": the (n, clip + review dimensions) vectors, and which of them say anything.

    `interests` and `observed` are in the order of SOURCES; rows that were not observed are ignored.
    """
    mixed = np.zeros_like(interests[0])
    for share, vectors, there in zip(CLIP_SHARES.values(), interests, observed, strict=False):
        mixed += np.float32(share) * unit(vectors) * there[:, None]
    blocks = [unit(mixed), unit(interests[REVIEW]) * observed[REVIEW][:, None]]
    fused = unit(np.concatenate(blocks, axis=1))
    return fused, np.asarray(fused.any(axis=1), dtype=bool)


def unit(vectors: Vectors) -> Vectors:
    """Rows scaled to length one; a row of zeros stays."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1), dtype=np.float32)


def fused_rows(rows: pa.Table, sizes: tuple[int, int], as_of: dt.datetime | None) -> pa.Table:
    """The rows to publish: user_id, purpose, vector, modalities_observed, event_timestamp, created_at.

    `rows` holds whole users, sorted by user_id, purpose, day, source and created_at: rows of interests (`source` its
    number in SOURCES) and fused rows that stand already (PUBLISHED), with `vector`, `is_base` and `created_at`.
    `sizes` are the dimensions of the two encoders. `as_of` as in `interest_rows`.
    """
    timeline = Timeline.of(rows)
    source, created = rows["source"].to_numpy(), microseconds(rows["created_at"])
    vectors, observed, known = [], [], (timeline.day + 1) * DAY_MICROSECONDS
    for number in range(PUBLISHED):
        latest = _latest(timeline, source == number)
        matrix, there = _gathered(rows, latest, sizes[number == REVIEW])
        vectors.append(matrix)
        observed.append(there)
        known = np.where(latest >= 0, np.maximum(known, created[latest]), known)
    fused, says = fuse(vectors, observed)
    if as_of is not None:
        known = np.full(len(known), round(as_of.timestamp() * 1_000_000))
    wanted = np.zeros(len(timeline.day), dtype=bool)
    wanted[timeline.step[(source < PUBLISHED) & ~rows["is_base"].to_numpy()]] = True
    _compare(rows, timeline, source == PUBLISHED, (fused, says), wanted, known)
    return _table(rows, timeline, np.flatnonzero(wanted), fused, says, observed, known)


def _latest(timeline: Timeline, mine: Bools) -> Ints:
    """Per step, the row in force of a source: its last one so far within the user and purpose; -1 without any."""
    newest = np.full(len(timeline.day), -1)
    # Sorted by created_at: the last row written of a step stays.
    newest[timeline.step[mine]] = np.flatnonzero(mine)
    return running_maximum(newest, timeline.starts)


def _compare(
    rows: pa.Table, timeline: Timeline, mine: Bools, made: tuple[Vectors, Bools], wanted: Bools, known: Ints
) -> None:
    """Leave out what stands already, and date corrections after what they correct. In place."""
    row = np.flatnonzero(mine)
    step = timeline.step[row]
    newest = np.append(step[1:] != step[:-1], True)[: len(step)]
    row, step = row[newest], step[newest]
    old = rows["vector"].take(row)
    same = old.is_valid().to_numpy() == made[1][step]
    same &= np.abs(matrix_of(old, made[0].shape[1]) - made[0][step]).max(axis=1, initial=0) <= 10 * TOLERANCE
    wanted[step[same]] = False
    known[step] = np.maximum(known[step], microseconds(rows["created_at"])[row] + 1)


def _table(
    rows: pa.Table,
    timeline: Timeline,
    wanted: Ints,
    fused: Vectors,
    says: Bools,
    observed: list[Bools],
    known: Ints,
) -> pa.Table:
    key = rows.select(["user_id", "purpose"]).take(timeline.first_row[wanted])
    return pa.table(
        {
            "user_id": key["user_id"],
            "purpose": key["purpose"],
            "vector": list_array(fused[wanted], says[wanted]),
            "modalities_observed": _names([there[wanted] for there in observed]),
            "event_timestamp": pa.array((timeline.day[wanted] + 1) * DAY_MICROSECONDS).cast(TIMESTAMP),
            "created_at": pa.array(known[wanted]).cast(TIMESTAMP),
        }
    )


def _names(observed: list[Bools]) -> pa.Array:
    """The modalities that each row observed."""
    names = [[n for n, there in zip(SOURCES, row, strict=True) if there] for row in zip(*observed, strict=True)]
    return pa.array(names, pa.list_(pa.string()))


def backfilled_fused(rows: pa.Table, sizes: tuple[int, int]) -> pa.Table:
    """A fused row for each row asked for (`source` PUBLISHED), from the interests known at its created_at.

    `rows` and `sizes` as in `fused_rows`; the columns are the same.
    """
    timeline, created = Timeline.of(rows), microseconds(rows["created_at"])
    source = rows["source"].to_numpy()
    asked = np.flatnonzero(source == PUBLISHED)
    inputs = [
        _gathered(rows, _latest_known(timeline, source == number, created, asked), sizes[number == REVIEW])
        for number in range(PUBLISHED)
    ]
    observed = [there for _, there in inputs]
    fused, says = fuse([vectors for vectors, _ in inputs], observed)
    return pa.table(
        {
            "user_id": rows["user_id"].take(asked),
            "purpose": rows["purpose"].take(asked),
            "vector": list_array(fused, says),
            "modalities_observed": _names(observed),
            "event_timestamp": pa.array((timeline.day[timeline.step[asked]] + 1) * DAY_MICROSECONDS).cast(TIMESTAMP),
            "created_at": pa.array(created[asked]).cast(TIMESTAMP),
        }
    )


def _latest_known(timeline: Timeline, mine: Bools, created: Ints, asked: Ints) -> Ints:
    """Per asked row, the row in force of a source at its step among those created by then; -1 without any."""
    latest = _latest(timeline, mine)[timeline.step[asked]]
    profile = np.cumsum(timeline.starts) - 1
    rows = np.flatnonzero(mine)
    # Where a correction came later, what stood before it is looked for.
    for place in np.flatnonzero((latest >= 0) & (created[latest] > created[asked])):
        step = timeline.step[asked[place]]
        same = (profile[timeline.step[rows]] == profile[step]) & (timeline.step[rows] <= step)
        known = rows[same & (created[rows] <= created[asked[place]])]
        latest[place] = known[-1] if len(known) else -1
    return latest


def _gathered(rows: pa.Table, latest: Ints, dimensions: int) -> tuple[Vectors, Bools]:
    """The vectors of some rows as a matrix, zeros where there is none (-1 or null), and where there is one."""
    values = rows["vector"].take(np.maximum(latest, 0))
    there = (latest >= 0) & values.is_valid().to_numpy()
    matrix = np.zeros((len(latest), dimensions), dtype=np.float32)
    if there.any():
        matrix[there] = matrix_of(values.filter(pa.array(there)), dimensions)
    return matrix, there
