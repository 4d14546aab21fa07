"""The kernel against brute force: every split of a history over processes gives the same winners."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from pipelines.errors import EntityFrameError
from pipelines.point_in_time.entity_keys import KeyIndex, cast_key
from pipelines.point_in_time.slots import NONE, BestRows, Ints, Slots
from tests.point_in_time.pit_cases import Case, cases
from tests.point_in_time.pit_oracle import Key, known_values

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def micros(instants: list[datetime | None]) -> Ints:
    return np.array([NONE if at is None else (at - EPOCH) // MICROSECOND for at in instants], np.int64)


def key_columns(keys: list[Key]) -> list[pa.Array]:
    return [pa.array([key[i] for key in keys], pa.string()) for i in range(2)]


def by_kernel(case: Case, parts: list[int]) -> list[int | None]:
    """The kernel's answers; row i of the history goes through process `parts[i]`."""
    index, codes = KeyIndex.of(key_columns([key for key, _ in case.moments]), len(case.moments))
    moments = micros([at for _, at in case.moments])
    slots, rows = Slots.of(np.where(moments == NONE, -1, codes), moments)
    events, created = (micros([getattr(r, name) for r in case.history]) for name in ("event", "created"))
    history = index.codes(key_columns([r.key for r in case.history]), len(case.history))
    places = np.arange(len(case.history))
    merged = BestRows(slots)
    for part in set(parts):
        mine = np.array([i for i, p in enumerate(parts) if p == part], np.int64)
        best = BestRows(slots)
        for some in np.array_split(mine, 2):
            best.add(history[some], events[some], created[some], places[some])
        merged.merge(best.offers())
    winners = merged.winners(case.ttl // MICROSECOND if case.ttl else 0)
    return [None if row < 0 or winners[row] < 0 else int(winners[row]) for row in rows]


@st.composite
def split_cases(draw: st.DrawFn) -> tuple[Case, list[int]]:
    case = draw(cases())
    size = len(case.history)
    return case, draw(st.lists(st.integers(0, 2), min_size=size, max_size=size))


def agrees(split: tuple[Case, list[int]]) -> None:
    case, parts = split
    expected = known_values(case.moments, case.history, case.ttl)
    found = by_kernel(case, parts)
    assert [f is None for f in found] == [e is None for e in expected]
    assert all(f in e for f, e in zip(found, expected, strict=True) if f is not None and e is not None)
    # Where rows tie in both times the last place wins, however the work was split.
    assert found == by_kernel(case, [0] * len(case.history))


@seed(20260328)
@settings(max_examples=200, deadline=None, database=None)
@given(split_cases())
def test_agrees_with_brute_force(split: tuple[Case, list[int]]) -> None:
    agrees(split)


@pytest.mark.soak
@settings(max_examples=12_000, deadline=None, database=None)
@given(split_cases())
def test_agrees_with_brute_force_in_many_cases(split: tuple[Case, list[int]]) -> None:
    agrees(split)


def test_large_arrays_agree_with_a_sort() -> None:
    random = np.random.default_rng(7)
    n, keys = 50_000, 300
    codes, events = random.integers(-1, keys, n), random.integers(0, 1000, n)
    created = np.where(random.random(n) < 0.2, NONE, events + random.integers(0, 40, n))
    asked, moments = random.integers(-1, keys, 2_000), random.integers(0, 1100, 2_000)
    slots, rows = Slots.of(asked, moments)
    best = BestRows(slots)
    for some in np.array_split(random.permutation(n), 7):
        best.add(codes[some], events[some], created[some], some)
    winners = best.winners(300)
    order = np.lexsort((np.arange(n), created, events))
    for row, (code, moment) in enumerate(zip(asked, moments, strict=True)):
        visible = order[(codes[order] == code) & (np.maximum(events, created)[order] <= moment)]
        visible = visible[events[visible] >= moment - 300]
        expected = visible[-1] if code >= 0 and len(visible) else -1
        assert (winners[rows[row]] if rows[row] >= 0 else -1) == expected


@pytest.mark.parametrize(
    "values",
    [
        pa.array([3, None, 2**40, -1]),
        pa.array([b"a", None, b"", b"\x00"]),
        pa.array([1.5, None, -2.0, 3.25]),
        pa.array([datetime(2026, 1, 1, tzinfo=UTC), None, EPOCH, EPOCH + MICROSECOND], pa.timestamp("us", tz="UTC")),
        pa.array([datetime(2026, 1, 1).date(), None, EPOCH.date(), datetime(2000, 2, 29).date()]),
        pa.array([True, None, False, True]),
        pa.array(["红", None, "", "a"]).dictionary_encode(),
    ],
    ids=lambda values: str(values.type),
)
def test_keys_of_any_type(values: pa.Array) -> None:
    index, codes = KeyIndex.of([values, pa.array([1, 2, 3, 4])], 4)
    assert codes[1] == -1
    assert sorted(np.delete(codes, 1)) == [0, 1, 2]
    again = index.codes([pa.chunked_array([values.slice(2), values.slice(0, 2)]), pa.array([3, 4, 1, 2])], 4)
    assert list(again) == [codes[2], codes[3], codes[0], -1]
    assert list(index.codes([values, pa.array([2, 2, 2, 2])], 4)) == [-1, -1, -1, -1]


def test_no_entity_rows_and_no_keys() -> None:
    slots, rows = Slots.of(np.array([-1], np.int64), np.array([5], np.int64))
    best = BestRows(slots)
    best.add(*(np.array([0], np.int64) for _ in range(4)))
    assert (list(rows), list(best.winners())) == ([-1], [])
    index, codes = KeyIndex.of([], 3)
    assert (list(codes), list(index.codes([], 2))) == ([0, 0, 0], [0, 0])


def test_a_key_that_does_not_fit_its_history_is_explained() -> None:
    with pytest.raises(EntityFrameError, match="column 'user_id' of the entity rows is string, its history has int64"):
        cast_key(pa.array(["7", "x"]), "user_id", pa.int64())
    assert cast_key(pa.array([7.0, None]), "user_id", pa.int64()).to_pylist() == [7, None]
