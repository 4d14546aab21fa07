"""What goes wrong in the events. Spoilt rows come on top of the clean ones, and every one is recorded."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from .dirty_rows import INJECTIONS
from .spoilt import Fate, Spoilt
from .tables import Row
from .write import EVENT_SCHEMA


class _Kind(NamedTuple):
    share: float  # of the clean rows
    values: Row
    fate: Fate = Fate.REJECT
    own_id: bool = True  # the spoilt row gets an id of its own, because the id is not what is wrong


_KINDS = {
    "duplicate": _Kind(0.007, {}, Fate.DUPLICATE, own_id=False),
    "same_id_other_content": _Kind(0.0006, {}, own_id=False),
    "missing_id": _Kind(0.0008, {"event_id": None}),
    "missing_actor": _Kind(0.0008, {"user_id": None, "device_id": None}),
    "missing_timestamp": _Kind(0.0004, {"event_timestamp": None}),
    "unknown_type": _Kind(0.001, {"event_type": "hover"}),
    "negative_price": _Kind(0.0008, {"price": Decimal("-5.00"), "currency": "CNY"}),
    "negative_quantity": _Kind(0.0005, {"event_type": "purchase", "quantity": -2}),
    "unknown_currency": _Kind(0.0003, {"price": Decimal("5.00"), "currency": "ZZZ"}),
    "endless_dwell": _Kind(0.0004, {"dwell_seconds": 200_000.0}),
    "clock_far_ahead": _Kind(0.0005, {"event_timestamp": datetime(2099, 1, 1, tzinfo=UTC)}),
    "clock_at_zero": _Kind(0.0004, {"event_timestamp": datetime(1970, 1, 1, tzinfo=UTC)}),
    "clock_hours_off": _Kind(0.0008, {}, Fate.KEEP),
    "injection": _Kind(0.0006, {"event_type": "search", "product_id": None}, Fate.KEEP),
}
_LATE_SHARE = 1 / 160
_HOURS_OFF = timedelta(hours=8)  # local time that was sent as UTC


@dataclass(frozen=True)
class SpoiltEvents:
    """A part's rows, those of its rows that arrive late, and what is wrong with which."""

    table: pa.Table
    late: pa.Table
    spoilt: list[Spoilt]


def spoil_events(table: pa.Table, part: int, file: str, rng: np.random.Generator) -> SpoiltEvents:
    """Add spoilt copies of rows near their originals, and set a few rows aside that arrive late."""
    n = table.num_rows
    untouched = rng.permutation(n)
    kinds = [name for name, kind in _KINDS.items() for _ in range(max(1, round(kind.share * n)))][: n // 2]
    near, untouched = untouched[: len(kinds)], untouched[len(kinds) :]
    originals = table.take(pa.array(near)).to_pylist()
    copies = [_spoilt(row, kind, part, number) for number, (row, kind) in enumerate(zip(originals, kinds, strict=True))]
    late = np.sort(untouched[: max(1, round(_LATE_SHARE * n))])
    kept = np.setdiff1d(np.arange(n), late)
    whole = pa.concat_tables([table, pa.Table.from_pylist(copies, schema=EVENT_SCHEMA)]).combine_chunks()
    order = np.argsort(np.concatenate([kept, near + 0.5]), kind="stable")
    rows = np.concatenate([kept, n + np.arange(len(copies))])[order]
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    spoilt = [
        Spoilt("events", kind, _KINDS[kind].fate, file, place, _key(copy), _witness(copy))
        for kind, copy, place in zip(kinds, copies, places[len(kept) :].tolist(), strict=True)
    ]
    return SpoiltEvents(whole.take(pa.array(rows)), table.take(pa.array(late)), spoilt)


def late_rows(late: pa.Table, file: str, first_row: int) -> list[Spoilt]:
    """The record of rows that arrive in the drop's last file, although others are newer."""
    ids = late.column("event_id").to_pylist()
    return [Spoilt("events", "late", Fate.KEEP, file, first_row + place, key) for place, key in enumerate(ids)]


def _spoilt(row: Row, kind: str, part: int, number: int) -> Row:
    """An event's row with one thing wrong, under an id of its own where the id is not what is wrong."""
    row = row | _KINDS[kind].values
    if _KINDS[kind].own_id and kind != "missing_id":
        row["event_id"] = f"x{part:04d}{number:08d}"
    if kind == "injection":
        row["query"] = INJECTIONS[number % len(INJECTIONS)]
    if kind == "clock_hours_off" and isinstance(row["event_timestamp"], datetime):
        row["event_timestamp"] = row["event_timestamp"] + _HOURS_OFF
    if kind == "same_id_other_content":
        row["dwell_seconds"] = 7.5 if row["dwell_seconds"] != 7.5 else 8.5
    return row


def _key(row: Row) -> str | None:
    return None if row["event_id"] is None else str(row["event_id"])


def _witness(row: Row) -> str | None:
    """A value of a row without id that is its own: whose session, or at least whose it is."""
    return None if row["event_id"] else str(row["session_id"] or row["user_id"] or row["device_id"])
