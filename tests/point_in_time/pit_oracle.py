"""The semantics once more, as plainly as they can be said: loops over Python values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

Key = tuple[Any, ...]


@dataclass(frozen=True)
class HistoryRow:
    key: Key
    event: datetime | None
    created: datetime | None
    value: int


def known_values(
    moments: Sequence[tuple[Key, datetime | None]], history: Sequence[HistoryRow], ttl: timedelta | None
) -> list[set[int] | None]:
    """For each (key, moment) the values that may be answered (more than one where rows tie in both times), or None."""
    return [_known(key, moment, history, ttl) for key, moment in moments]


def _known(key: Key, moment: datetime | None, history: Sequence[HistoryRow], ttl: timedelta | None) -> set[int] | None:
    if moment is None or None in key:
        return None
    best: list[HistoryRow] = []
    for row in history:
        if row.key != key or row.event is None or row.event > moment:
            continue
        if row.created is not None and row.created > moment:
            continue
        if ttl and row.event < moment - ttl:
            continue
        if not best or _times(row) > _times(best[0]):
            best = [row]
        elif _times(row) == _times(best[0]):
            best.append(row)
    return {row.value for row in best} or None


def _times(row: HistoryRow) -> tuple[datetime, bool, datetime]:
    assert row.event is not None
    return row.event, row.created is not None, row.created or row.event
