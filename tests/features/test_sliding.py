"""Sliding windows in numpy against a day-by-day count."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.features.sliding import NEVER, DailyRows, Ints, steps

WINDOWS = (1, 7, 30, 90)
EVER, FOREVER, LAST = -1_000_000, 10_000_000, 160
# (day, what was counted: 0 for an act that is not allowed, microsecond of the day)
ACTS = st.lists(st.tuples(st.integers(0, 140), st.integers(0, 4), st.integers(0, 1000)), max_size=10)
# (device, first midnight, midnights until the unlink or None)
LINKS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 120), st.none() | st.integers(0, 60)), max_size=3)


@st.composite
def shops(draw: st.DrawFn) -> tuple[list[tuple[int, int, int, int]], dict[int, list[tuple[int, int, int]]]]:
    """Segments (entity, subject, held_from, held_until) and each subject's acts."""
    segments = []
    for user in range(3):
        segments.append((user, 100 + user, EVER, FOREVER))
        free_from: dict[int, int] = {}
        for device, since, length in sorted(draw(LINKS), key=lambda link: link[1]):
            if since >= free_from.get(device, 0):
                until = FOREVER if length is None else since + length
                segments.append((user, 200 + device, since, until))
                free_from[device] = until
    return segments, {subject: draw(ACTS) for subject in sorted({s for _, s, _, _ in segments})}


def instant(day: int, micros: int) -> int:
    return day * 86_400_000_000 + micros


@settings(max_examples=60, deadline=None)
@given(shops())
def test_every_day_s_value_is_that_of_the_newest_step(
    shop: tuple[list[tuple[int, int, int, int]], dict[int, list[tuple[int, int, int]]]],
) -> None:
    segments, acts = shop
    table = [(e, s, a, b, *act) for e, s, a, b in segments for act in acts[s]]
    if not table:
        return
    found = by_midnight(np.array(table, dtype=np.int64))
    for user in range(3):
        current = ([[0, 0]] * len(WINDOWS), NEVER, NEVER)
        for midnight in range(LAST + 1):
            current = found.get((user, midnight), current)
            counting = [
                act
                for e, s, a, b in segments
                if e == user and a <= midnight < b
                for act in acts[s]
                if act[0] < midnight and act[1]
            ]
            within = [[act for act in counting if act[0] >= midnight - w] for w in WINDOWS]
            instants = [instant(day, micros) for day, _, micros in counting]
            assert current == (
                [[sum(n for _, n, _ in acts), len({day for day, _, _ in acts})] for acts in within],
                min(instants, default=NEVER),
                max(instants, default=NEVER),
            )


def by_midnight(table: Ints) -> dict[tuple[int, int], tuple[list[list[int]], int, int]]:
    entity, subject, held_from, held_until, day, count, micros = table.T
    when = np.where(count > 0, day * 86_400_000_000 + micros, NEVER)
    sums = np.stack([count, (count > 0).astype(np.int64)], axis=1)
    rows = DailyRows(entity, subject, held_from, held_until, day, sums, when, when[:, None])
    out = steps(rows, np.zeros(3, dtype=np.int64), LAST, WINDOWS, once=1)
    return {
        (int(e), int(t)): (w.tolist(), int(first), int(last))
        for e, t, w, first, (last,) in zip(out.entity, out.midnight, out.windows, out.first, out.lasts, strict=True)
    }


def test_no_step_before_the_entity_s_first_or_after_the_last() -> None:
    one = np.ones(2, dtype=np.int64)
    rows = DailyRows(
        entity=np.array([0, 1]),
        subject=np.array([0, 1]),
        held_from=one * EVER,
        held_until=one * FOREVER,
        day=np.array([10, 10]),
        sums=np.ones((2, 1), dtype=np.int64),
        first=one,
        lasts=np.ones((2, 1), dtype=np.int64),
    )
    out = steps(rows, np.array([12, 0]), 41, WINDOWS, once=0)
    assert list(zip(out.entity.tolist(), out.midnight.tolist(), strict=True)) == [
        (0, 12), (0, 18), (0, 41), (1, 11), (1, 12), (1, 18), (1, 41),
    ]  # fmt: skip
