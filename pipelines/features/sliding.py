"""Sums over sliding windows of days, for many entities at once. Plain numpy: no Spark, no encoder.

Everything is an integer (days since 1970-01-01, microseconds, millionths), so sums are exact: neither the order
of the input nor the way it came in can change a result.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
# Stands for "no instant": smaller than every instant.
NEVER = np.iinfo(np.int64).min
# Days get codes in [0, 2^24) within an entity or segment; this is the code of 1970-01-01.
_DAYS = 1 << 24
_EPOCH = 1_000_000


@dataclass(frozen=True)
class DailyRows:
    """n rows of what subjects did on days, once per entity that they count for.

    `entity` (n,) codes; `subject` (n,) codes; the subject counts at midnight T while `held_from <= T < held_until`.
    `sums` (n, m); `first` (n,) and `lasts` (n, k) are instants, NEVER where there is none.
    """

    entity: Ints
    subject: Ints
    held_from: Ints
    held_until: Ints
    day: Ints
    sums: Ints
    first: Ints
    lasts: Ints


@dataclass(frozen=True)
class Steps:
    """s rows: an entity at a midnight. `windows` has shape (s, number of windows, m)."""

    entity: Ints
    midnight: Ints
    windows: Ints
    first: Ints
    lasts: Ints


@dataclass(frozen=True)
class _Segments:
    """Stretches in which a subject counts for an entity, and their days in order, with what held by then.

    `total` are sums up to before a row; `instants` the greatest so far: the first ones mirrored, then the last ones.
    """

    entity: Ints
    held_from: Ints
    held_until: Ints
    start: Ints
    code: Ints
    day: Ints
    of_day: Ints
    present: NDArray[np.bool_]
    total: Ints
    instants: Ints

    def rows_before(self, segment: Ints, day: Ints) -> Ints:
        """Index of the first row of a segment on or after a day."""
        return np.searchsorted(self.code, _code(segment, day))


def steps(rows: DailyRows, from_midnight: Ints, to_midnight: int, windows: tuple[int, ...], once: int) -> Steps:
    """The values at every midnight at which one may change, within [from_midnight of the entity, to_midnight].

    Those are: the end of each day with a row, its leaving of each window, and where a subject begins or ceases
    to count. A window of w days sums the days T-w .. T-1. Column `once` of the sums counts a day once however
    many rows and subjects say so. An entity has all its rows here.
    """
    segments = _segments(rows, once)
    entity, midnight = _change_midnights(segments, from_midnight, to_midnight, windows)
    step, segment = _held_pairs(segments, entity, midnight)
    at = midnight[step]
    upper = segments.rows_before(segment, at)
    starts = np.flatnonzero(np.diff(step, prepend=-1))
    owners = step[starts]

    sums = np.zeros((len(entity), len(windows), rows.sums.shape[1]), dtype=np.int64)
    for i, days in enumerate(windows):
        within = segments.total[upper] - segments.total[segments.rows_before(segment, at - days)]
        if len(starts):
            sums[owners, i] = np.add.reduceat(within, starts, axis=0)
    _count_days_once(sums, segments, step, segment, at, windows, once)

    instants = np.full((len(entity), segments.instants.shape[1]), NEVER)
    if len(starts):
        seen = upper > segments.start[segment]
        so_far = np.where(seen[:, None], segments.instants[np.where(seen, upper - 1, 0)], NEVER)
        instants[owners] = np.maximum.reduceat(so_far, starts, axis=0)
    return Steps(entity, midnight, sums, _mirrored(instants[:, 0]), instants[:, 1:])


def _code(owner: Ints, day: Ints) -> Ints:
    return owner * _DAYS + np.clip(day + _EPOCH, 0, _DAYS - 1)


def _segments(rows: DailyRows, once: int) -> _Segments:
    # With its end: a link that no midnight saw may begin at the same midnight as the next one.
    identity = np.stack([rows.entity, rows.subject, rows.held_from, rows.held_until])
    distinct, of_row = np.unique(identity, axis=1, return_inverse=True)
    of_row = of_row.reshape(-1).astype(np.int64)
    code, where, merged = np.unique(_code(of_row, rows.day), return_index=True, return_inverse=True)
    order = np.argsort(merged.reshape(-1), kind="stable")
    edges = np.searchsorted(merged.reshape(-1)[order], np.arange(len(code)))
    sums = np.add.reduceat(rows.sums[order], edges, axis=0)
    sums[:, once] = sums[:, once] > 0
    instants = np.column_stack([_mirrored(rows.first), rows.lasts])
    instants = np.maximum.reduceat(instants[order], edges, axis=0)
    of_day = of_row[where]
    start = np.searchsorted(of_day, np.arange(distinct.shape[1]))
    return _Segments(
        entity=distinct[0],
        held_from=distinct[2],
        held_until=distinct[3],
        start=start,
        code=code,
        day=rows.day[where],
        of_day=of_day,
        present=sums[:, once] > 0,
        total=np.concatenate([np.zeros((1, sums.shape[1]), dtype=np.int64), np.cumsum(sums, axis=0)]),
        instants=_running_max(instants, of_day),
    )


def _mirrored(instants: Ints) -> Ints:
    """Negated instants, NEVER staying NEVER, so that the earliest becomes the greatest."""
    return np.where(instants == NEVER, NEVER, -instants)


def _running_max(values: Ints, group: Ints) -> Ints:
    """Greatest value so far within each group (ascending codes), per column."""
    out = np.empty_like(values)
    for column in range(values.shape[1]):
        known, rank = np.unique(values[:, column], return_inverse=True)
        lift = group * (len(known) + 1)
        out[:, column] = known[np.maximum.accumulate(rank.reshape(-1) + lift) - lift]
    return out


def _change_midnights(
    segments: _Segments, from_midnight: Ints, to_midnight: int, windows: tuple[int, ...]
) -> tuple[Ints, Ints]:
    """Distinct (entity, midnight), sorted. Too many do no harm: equal values are not written."""
    owner = [segments.entity, segments.entity]
    when = [segments.held_from, segments.held_until]
    for days in (0, *windows):
        midnight = segments.day + 1 + days
        held = midnight >= segments.held_from[segments.of_day]
        owner.append(segments.entity[segments.of_day][held])
        when.append(midnight[held])
    entity, midnight = np.concatenate(owner), np.concatenate(when)
    wanted = (midnight >= from_midnight[entity]) & (midnight <= to_midnight)
    code = np.unique(_code(entity[wanted], midnight[wanted]))
    return code // _DAYS, code % _DAYS - _EPOCH


def _held_pairs(segments: _Segments, entity: Ints, midnight: Ints) -> tuple[Ints, Ints]:
    """Pairs (step, segment) of the segments that count at each step, in order of steps."""
    first = np.searchsorted(segments.entity, entity)
    count = np.searchsorted(segments.entity, entity, side="right") - first
    step = np.repeat(np.arange(len(entity)), count)
    segment = np.arange(len(step)) - np.repeat(np.cumsum(count) - count, count) + first[step]
    held = (segments.held_from[segment] <= midnight[step]) & (midnight[step] < segments.held_until[segment])
    return step[held], segment[held]


def _count_days_once(
    sums: Ints, segments: _Segments, step: Ints, segment: Ints, at: Ints, windows: tuple[int, ...], once: int
) -> None:
    """Where several subjects count, a day on which two of them acted is one day: correct `sums` in place."""
    shared = (np.bincount(step, minlength=len(sums)) > 1)[step]
    step, segment, at = step[shared], segment[shared], at[shared]
    if not len(step):
        return
    starts = np.flatnonzero(np.diff(step, prepend=-1))
    active = np.zeros((len(starts), max(windows)), dtype=bool)
    for back in range(max(windows)):
        wanted = _code(segment, at - 1 - back)
        row = np.minimum(np.searchsorted(segments.code, wanted), len(segments.code) - 1)
        acted = (segments.code[row] == wanted) & segments.present[row]
        active[:, back] = np.logical_or.reduceat(acted, starts)
    for i, days in enumerate(windows):
        sums[step[starts], i, once] = active[:, :days].sum(axis=1)
