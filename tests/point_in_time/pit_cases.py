"""Generated cases: few distinct keys and instants, so that ties, late rows and edges of the ttl are common."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from tests.point_in_time.pit_oracle import HistoryRow, Key

# Around the hours in which clocks are put forward in Berlin and back in New York: UTC knows neither.
START = datetime(2026, 3, 28, 23, tzinfo=UTC)
STEP = timedelta(minutes=30)
PARTS = ("1", "11", "12", "2", "", None)
TTLS = (None, timedelta(0), timedelta(microseconds=1), STEP, 2 * STEP, timedelta(days=400))


@dataclass(frozen=True)
class Case:
    history: list[HistoryRow]
    moments: list[tuple[Key, datetime | None]]
    ttl: timedelta | None


def _instants() -> st.SearchStrategy[datetime]:
    return st.builds(
        lambda step, micros: START + step * STEP + timedelta(microseconds=micros),
        st.integers(0, 7),
        st.sampled_from([0, 0, 0, -1, 1]),
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """One history and the entity rows asked of it."""
    keys = st.tuples(st.sampled_from(PARTS), st.sampled_from(PARTS))
    rows = draw(st.lists(st.tuples(keys, st.none() | _instants(), st.none() | _instants()), max_size=14))
    history = [HistoryRow(key, event, created, value) for value, (key, event, created) in enumerate(rows)]
    # Most moments ask for keys that are there, some of them at the very instants of rows.
    there = st.sampled_from([row[0] for row in rows]) if rows else keys
    moments = draw(st.lists(st.tuples(there | keys, _instants() | _instants() | st.none()), max_size=8))
    if moments:
        moments += draw(st.lists(st.sampled_from(moments), max_size=3))
    return Case(history, moments, draw(st.sampled_from(TTLS)))
