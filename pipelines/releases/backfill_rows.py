"""The rows of a new encoder version that take the place of another version's, each as it was known at its time.

Arrow and numpy, in a worker. A row is asked for by its pair (event_timestamp, created_at): its value is the decayed
mean of what had happened by the first and was known by the second.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.features.interest_rows import DAY_MICROSECONDS, TIMESTAMP, Timeline, list_array, microseconds
from pipelines.features.kernel import Bools, Entries, Ints, Vectors, decayed_means, run_starts, running_maximum


def backfilled_interests(rows: pa.Table, vectors: Vectors, half_lives: Sequence[int]) -> pa.Table:
    """user_id, purpose, mean and weight per half-life, event_timestamp, created_at: one row for each pair, unordered.

    `rows` holds whole users, sorted by user_id, purpose and day: weights as of `interest_rows` (day, row of `vectors`
    or -1, weight_<h>d, elapsed_days, reset, available_at), and the pairs, which have `created_at`.
    A mean is null where nothing with a vector is known.
    """
    timeline, created = Timeline.of(rows), microseconds(rows["created_at"])
    asked = rows["created_at"].is_valid().to_numpy()
    resets = np.asarray(rows["reset"].fill_null(False).to_numpy(), dtype=bool)
    forgets = np.zeros(len(timeline.day), dtype=bool)
    forgets[timeline.step[resets]] = True
    # A step that starts anew has all its tiles among its own rows: the day's are there a second time.
    counts = ~asked & (resets | ~forgets[timeline.step])
    starts = timeline.starts | forgets
    known = _known_by(rows, timeline, counts, starts)
    is_late = asked & (created < known[timeline.step])
    made = _carried(rows, vectors, half_lives, timeline, counts, starts, np.flatnonzero(asked & ~is_late))
    if not is_late.any():
        return made
    return pa.concat_tables([made, _as_known(rows, vectors, half_lives, timeline, is_late)])


def _known_by(rows: pa.Table, timeline: Timeline, counts: Bools, starts: Bools) -> Ints:
    """Microseconds by which all was known that enters each step's sum."""
    known = np.full(len(timeline.day), np.iinfo(np.int64).min)
    np.maximum.at(known, timeline.step[counts], microseconds(rows["available_at"])[counts])
    return running_maximum(known, starts)


def _carried(
    rows: pa.Table,
    vectors: Vectors,
    half_lives: Sequence[int],
    timeline: Timeline,
    counts: Bools,
    starts: Bools,
    wanted: Ints,
) -> pa.Table:
    """The wanted rows by the recursion over all that is there."""
    weighted = rows.filter(pa.array(counts))
    entries = Entries.of(timeline.step[counts], weighted["row"].to_numpy().astype(np.int64))
    elapsed = weighted["elapsed_days"].fill_null(0).to_numpy().astype(np.float64)
    step, key = timeline.step[wanted], rows.select(["user_id", "purpose", "created_at"]).take(wanted)
    columns = {"user_id": key["user_id"], "purpose": key["purpose"]}
    for half_life in half_lives:
        weight = weighted[f"weight_{half_life}d"].fill_null(0.0).to_numpy() * np.exp2(-elapsed / half_life)
        seconds = timeline.day.astype(np.float64) * 86400
        means, weights = decayed_means(entries, weight, vectors, starts, seconds, half_life)
        columns[f"mean_{half_life}d"] = list_array(means[step], weights[step] > 0)
        columns[f"weight_{half_life}d"] = pa.array(weights[step])
    columns["event_timestamp"] = pa.array((timeline.day[step] + 1) * DAY_MICROSECONDS).cast(TIMESTAMP)
    columns["created_at"] = key["created_at"].cast(TIMESTAMP)
    return pa.table(columns)


def _as_known(
    rows: pa.Table, vectors: Vectors, half_lives: Sequence[int], timeline: Timeline, is_late: Bools
) -> pa.Table:
    """Rows that were superseded when something came late: each profile anew, from what was known at their time.

    Cost ∝ the profile's rows for each time at which it was wrong.
    """
    created, available = microseconds(rows["created_at"]), microseconds(rows["available_at"])
    asked = rows["created_at"].is_valid().to_numpy()
    profile = (np.cumsum(timeline.starts) - 1)[timeline.step]
    edges = np.append(np.flatnonzero(run_starts(profile)), len(profile))
    late = np.flatnonzero(is_late)
    times = np.unique(np.stack([profile[late], created[late]]), axis=1).T
    parts = []
    for number, time in times:
        here = np.arange(edges[number], edges[number + 1])
        of_time = np.where(asked[here], is_late[here] & (created[here] == time), available[here] <= time)
        parts.append(here[of_time])
    copies = rows.take(np.concatenate(parts))
    # Copies of a profile are profiles of their own: told apart by number instead of by user.
    users = copies["user_id"].take([0, *np.cumsum([len(part) for part in parts])[:-1]])
    numbers = pa.array(np.repeat(np.arange(len(parts)), [len(part) for part in parts])).cast(pa.string())
    position = copies.schema.get_field_index("user_id")
    made = backfilled_interests(copies.set_column(position, "user_id", numbers), vectors, half_lives)
    real = users.take(pc.cast(made["user_id"], pa.int64()))
    return made.set_column(made.schema.get_field_index("user_id"), "user_id", real)
