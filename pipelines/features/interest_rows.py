"""Interest rows of whole users, from their steps' weights and published rows. Arrow and numpy, in a worker."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.features.kernel import Bools, Entries, Floats, Ints, Vectors, decayed_means, run_starts, running_maximum
from pipelines.point_in_time.history_files import FileColumn
from pipelines.tables.definitions import HALF_LIVES_DAYS, TILE_WEIGHTS

_ONLY_OLD = ("created_at", "is_base")
DAY_MICROSECONDS = 86_400_000_000
TIMESTAMP = pa.timestamp("us", tz="UTC")
VECTOR = pa.list_(pa.float32())
# A recomputed value that differs by less is the same value, rounded on another way.
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Timeline:
    """The steps of the rows, sorted by user, purpose and day."""

    step: Ints  # of each row
    first_row: Ints  # of each step
    starts: Bools  # of each step: the first of its user and purpose
    day: Ints  # of each step, since 1970

    @classmethod
    def of(cls, rows: pa.Table) -> Timeline:
        user, purpose = (_codes(rows[name]) for name in ("user_id", "purpose"))
        day = rows["day"].cast(pa.int32()).to_numpy().astype(np.int64)
        new_step, new_group = run_starts(user, purpose, day), run_starts(user, purpose)
        first_row = np.flatnonzero(new_step)
        return cls(np.cumsum(new_step) - 1, first_row, new_group[first_row], day[first_row])


# A published row: when it was created, whether the recursion starts from it, and its values.
PUBLISHED_VALUES = (
    *(FileColumn(f"mean_{h}d", f"mean_{h}d", VECTOR) for h in HALF_LIVES_DAYS),
    *(FileColumn(f"weight_{h}d", f"weight_{h}d", pa.float64()) for h in HALF_LIVES_DAYS),
)
PUBLISHED = pa.struct(
    [("created_at", TIMESTAMP), ("is_base", pa.bool_()), *((v.name, v.type) for v in PUBLISHED_VALUES)]
)


@dataclass(frozen=True)
class _Published:
    """The rows in force at some of the steps."""

    step: Ints
    row: Ints
    is_base: Bools
    created_at: Ints

    @classmethod
    def of(cls, rows: pa.Table, timeline: Timeline) -> _Published:
        row = np.flatnonzero(rows["created_at"].is_valid().to_numpy())
        created = microseconds(rows["created_at"])
        row = row[np.lexsort((created[row], timeline.step[row]))]
        step = timeline.step[row]
        # Of several rows of a step, the one created last is in force.
        newest = np.append(step[1:] != step[:-1], True)[: len(step)]
        row, step = row[newest], step[newest]
        return cls(step, row, _booleans(rows["is_base"])[row], created[row])


@dataclass(frozen=True)
class _Summed:
    """The rows whose weights enter a sum."""

    rows: pa.Table
    entries: Entries
    elapsed: Floats

    @classmethod
    def of(cls, rows: pa.Table, timeline: Timeline, counts: Bools) -> _Summed:
        chosen = rows.select(["row", "elapsed_days", *TILE_WEIGHTS]).filter(pa.array(counts))
        entries = Entries.of(timeline.step[counts], chosen["row"].to_numpy().astype(np.int64))
        return cls(chosen, entries, _floats(chosen["elapsed_days"]))

    def weights(self, half_life: int) -> Floats:
        """As they are at their steps."""
        weight = _floats(self.rows[f"weight_{half_life}d"])
        return weight * np.exp2(-self.elapsed / half_life) if self.elapsed.any() else weight


def in_step_order(rows: pa.Table) -> pa.Table:
    """The rows sorted by user_id, purpose and day: users and purposes in no particular order, each together."""
    day = rows["day"].cast(pa.int32()).to_numpy()
    return rows.take(np.lexsort((day, _codes(rows["purpose"]), _codes(rows["user_id"]))))


def interest_rows(rows: pa.Table, vectors: Vectors, as_of: dt.datetime | None) -> pa.Table:
    """The rows to publish: user_id, purpose, mean and weight per half-life, event_timestamp, created_at.

    `rows` holds whole users, sorted by user_id, purpose and day: weights (day, row of `vectors` or -1, weight_<h>d as
    they were `elapsed_days` before the step, reset, quiet, available_at) and, in column `published` if there are any,
    rows of the history (see PUBLISHED).
    `as_of` is what created_at becomes; None in a load of history, where it follows the inputs. Rows that equal the
    one in force are left out; a mean is null where nothing is seen any more.
    """
    timeline = Timeline.of(rows)
    old = rows["published"] if "published" in rows.column_names else pa.nulls(len(rows), PUBLISHED)
    for name in PUBLISHED.names:
        rows = rows.append_column(name if name in _ONLY_OLD else f"old_{name}", pc.struct_field(old, name))
    published = _Published.of(rows, timeline)
    resets = _booleans(rows["reset"])
    forgets = np.zeros(len(timeline.day), dtype=bool)
    forgets[timeline.step[resets]] = True
    # A step that starts anew has all its tiles among its own rows: the day's are there a second time.
    counts = rows["created_at"].is_null().to_numpy() & (resets | ~forgets[timeline.step])
    starts = timeline.starts | forgets
    summed = _Summed.of(rows, timeline, counts)
    results, differs = [], np.zeros(len(timeline.day), dtype=bool)
    for half_life in HALF_LIVES_DAYS:
        means, weights, changed = _one_half_life(rows, vectors, timeline, published, summed, starts, half_life)
        results.append((means, weights))
        differs |= changed
    quiet = np.ones(len(timeline.day), dtype=bool)
    quiet[timeline.step[~_booleans(rows["quiet"])]] = False
    wanted = np.flatnonzero(differs & ~quiet)
    created = _created_at(rows, timeline, published, counts, starts, as_of)[wanted]
    key = rows.select(["user_id", "purpose"]).take(timeline.first_row[wanted])
    columns = {"user_id": key["user_id"], "purpose": key["purpose"]}
    for half_life, (means, weights) in zip(HALF_LIVES_DAYS, results, strict=True):
        columns[f"mean_{half_life}d"] = list_array(means[wanted], weights[wanted] > 0)
        columns[f"weight_{half_life}d"] = pa.array(weights[wanted])
    columns["event_timestamp"] = pa.array((timeline.day[wanted] + 1) * DAY_MICROSECONDS).cast(TIMESTAMP)
    columns["created_at"] = pa.array(created).cast(TIMESTAMP)
    return pa.table(columns)


def _one_half_life(
    rows: pa.Table,
    vectors: Vectors,
    timeline: Timeline,
    published: _Published,
    summed: _Summed,
    starts: Bools,
    half_life: int,
) -> tuple[Vectors, Floats, Bools]:
    """Means and weights per step, and at which steps a row must say so."""
    old_means = matrix_of(rows[f"old_mean_{half_life}d"].take(published.row), vectors.shape[1])
    old_weights = _floats(rows[f"old_weight_{half_life}d"])[published.row]
    base = published.is_base
    means, weights = decayed_means(
        summed.entries,
        summed.weights(half_life),
        vectors,
        starts,
        timeline.day.astype(np.float64) * 86400,
        half_life,
        (published.step[base], old_means[base], old_weights[base]),
    )
    # Without anything seen a row stands only where there was something before.
    before = np.append(0.0, weights[:-1])
    changed = (weights > 0) | (~timeline.starts & (before > 0))
    there = ~base
    step = published.step[there]
    same = np.isclose(old_weights[there], weights[step], rtol=TOLERANCE, atol=0)
    same &= np.abs(old_means[there] - means[step]).max(axis=1, initial=0) <= TOLERANCE
    changed[step] = ~same
    changed[published.step[base]] = False
    return means, weights, changed


def _created_at(
    rows: pa.Table,
    timeline: Timeline,
    published: _Published,
    counts: Bools,
    starts: Bools,
    as_of: dt.datetime | None,
) -> Ints:
    """Microseconds at which each step's row could be known."""
    event_timestamp = (timeline.day + 1) * DAY_MICROSECONDS
    if as_of is None:
        known = np.full(len(timeline.day), np.iinfo(np.int64).min)
        np.maximum.at(known, timeline.step[counts], microseconds(rows["available_at"])[counts])
        known[published.step[published.is_base]] = published.created_at[published.is_base]
        created = np.maximum(event_timestamp, running_maximum(known, starts))
    else:
        created = np.full(len(timeline.day), round(as_of.timestamp() * 1_000_000))
    created[published.step] = np.maximum(created[published.step], published.created_at + 1)
    return created


def list_array(vectors: Vectors, is_valid: Bools) -> pa.ListArray:
    """Rows of a matrix as list<float>, null where not valid."""
    n, dimensions = vectors.shape
    offsets = pa.array(np.arange(n + 1, dtype=np.int32) * dimensions)
    values = pa.array(np.ascontiguousarray(vectors).reshape(-1))
    return pa.ListArray.from_arrays(offsets, values, mask=pa.array(~is_valid))


def matrix_of(lists: pa.ChunkedArray, dimensions: int) -> Vectors:
    """list<float> as a (n, dimensions) matrix, zeros where null."""
    matrix = np.zeros((len(lists), dimensions), dtype=np.float32)
    values = pc.list_flatten(lists.drop_null()).to_numpy()
    matrix[lists.is_valid().to_numpy()] = values.reshape(-1, dimensions)
    return matrix


def _codes(texts: pa.ChunkedArray) -> Ints:
    """A number for each distinct text. Texts come in runs, and only one of each run is looked up."""
    texts = texts.combine_chunks()
    first = np.flatnonzero(np.append(True, pc.not_equal(texts[1:], texts[:-1]).to_numpy(zero_copy_only=False)))
    codes = texts.take(first).dictionary_encode().indices.to_numpy().astype(np.int64)
    return np.repeat(codes, np.diff(first, append=len(texts)))


def microseconds(times: pa.ChunkedArray) -> Ints:
    values = times.cast(TIMESTAMP).cast(pa.int64())
    return np.asarray(values.fill_null(np.iinfo(np.int64).min).to_numpy(), dtype=np.int64)


def _booleans(values: pa.ChunkedArray) -> Bools:
    return np.asarray(values.fill_null(False).to_numpy(), dtype=bool)


def _floats(values: pa.ChunkedArray) -> Floats:
    return np.asarray(values.fill_null(0.0).to_numpy(), dtype=np.float64)
