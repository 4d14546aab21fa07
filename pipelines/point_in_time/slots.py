"""The point-in-time kernel: which history row was known to each entity row. Plain numpy, no I/O, no Spark.

A row of a history is *visible* at t when event_timestamp ≤ t and created_at ≤ t. Of a key's visible rows the greatest
event_timestamp wins, then the greatest created_at, then the place (file and row) that comes last. What is visible at t
stays visible later, so a row needs to be offered to one moment only: the first that sees it. The distinct (key,
moment) pairs asked for are the *slots*; a slot keeps the best row offered to it, and a running maximum over a key's
slots gives every slot its winner. Memory is that of the slots, however long the history is; its rows may come in any
order and from any number of processes.

All arrays are int64. Times are microseconds since the epoch, UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]

# No row: before every time and place there is. It also stands for a created_at that is not known.
NONE = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Slots:
    """The distinct (key code, moment) pairs asked for, sorted by both; (n,) each."""

    codes: Ints
    moments: Ints
    # Where each code's slots begin, and at the end where they all end; (codes + 1,).
    _starts: Ints = field(repr=False)

    @classmethod
    def of(cls, codes: Ints, moments: Ints) -> tuple[Slots, Ints]:
        """The slots of entity rows, and each row's slot: -1 where its code is negative (no key, or no moment).

        Codes are dense: arrays of the greatest code's length are made.
        """
        asked = np.flatnonzero(codes >= 0)
        instants, rank = np.unique(moments[asked], return_inverse=True)
        # Code and moment as one number, so that one sort does.
        width = len(instants) + 1
        pairs, slot = np.unique(codes[asked] * width + rank, return_inverse=True)
        rows = np.full(len(codes), -1, np.int64)
        rows[asked] = slot
        found, at = np.divmod(pairs, width)
        starts = np.searchsorted(found, np.arange(codes.max(initial=-1) + 2))
        return cls(found, instants[at] if len(instants) else at, starts), rows

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def keys(self) -> int:
        """Codes from here on have no slot."""
        return len(self._starts) - 1

    @property
    def earliest(self) -> int:
        """The first moment asked for; there must be a slot."""
        return int(self.moments.min())

    @property
    def latest(self) -> int:
        """The last moment asked for; there must be a slot."""
        return int(self.moments.max())

    def first_seeing(self, codes: Ints, visible: Ints) -> Ints:
        """The first slot of each key (0 ≤ code < keys) at or after `visible`; -1 where there is none."""
        # A binary search within each key's own slots, of all rows at once: most keys have few.
        low, ends = self._starts[codes], self._starts[codes + 1]
        found = np.full(len(codes), -1, np.int64)
        rows = np.flatnonzero(low < ends)
        rows = rows[self.moments[ends[rows] - 1] >= visible[rows]]
        low, high, visible = low[rows], ends[rows] - 1, visible[rows]
        while len(rows):
            settled = low >= high
            found[rows[settled]] = low[settled]
            rows, low, high, visible = (some[~settled] for some in (rows, low, high, visible))
            middle = (low + high) // 2
            sees = self.moments[middle] >= visible
            low, high = np.where(sees, low, middle + 1), np.where(sees, middle, high)
        return found


@dataclass(frozen=True)
class Offers:
    """The best row offered to each of some slots: what processes send each other. (n,) each."""

    slots: Ints
    events: Ints
    created: Ints
    places: Ints


class BestRows:
    """The best row offered to each slot so far."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self._columns = tuple(np.full(len(slots), NONE, np.int64) for _ in range(3))

    def add(self, codes: Ints, events: Ints, created: Ints, places: Ints, *, late_rows: bool = False) -> None:
        """Offer rows of the history: key codes (negative: nobody asked), both times (`created` may be NONE), places.

        A row without event_timestamp (NONE) is never seen. With `late_rows` a row is visible from its event_timestamp
        on, whenever it was created.
        """
        if not len(self.slots):
            return
        asked = (codes >= 0) & (codes < self.slots.keys)
        known = np.flatnonzero(asked & (events != NONE) & (events <= self.slots.latest))
        events, created = events[known], created[known]
        slots = self.slots.first_seeing(codes[known], events if late_rows else np.maximum(events, created))
        seen = np.flatnonzero(slots >= 0)
        self.merge(Offers(slots[seen], events[seen], created[seen], places[known[seen]]))

    def merge(self, offers: Offers) -> None:
        """Take in what another process found; a slot may occur more than once."""
        values: tuple[Ints, ...] = (offers.events, offers.created, offers.places)
        slots = offers.slots
        for level, column in enumerate(self._columns):
            before = column[slots]
            hopeful = np.flatnonzero(values[0] >= before)
            slots, before = slots[hopeful], before[hopeful]
            values = tuple(v[hopeful] for v in values)
            np.maximum.at(column, slots, values[0])
            raised = slots[column[slots] > before]
            for later in self._columns[level + 1 :]:
                later[raised] = NONE
            tied = np.flatnonzero(values[0] == column[slots])
            slots, values = slots[tied], tuple(v[tied] for v in values[1:])

    def offers(self) -> Offers:
        """What the slots hold, without those that an earlier slot of the same key outdoes."""
        events, created, places = self._columns
        filled = np.flatnonzero(places != NONE)
        filled = filled[self._leaders()[filled] == filled]
        return Offers(filled, events[filled], created[filled], places[filled])

    def winners(self, ttl: int = 0) -> Ints:
        """The place of each slot's winner, -1 where there is none; (slots,).

        `ttl` in microseconds: a winner is not older than that (0: no bound).
        """
        events, _, places = self._columns
        leaders = self._leaders()
        found = leaders >= 0
        if ttl:
            # A bound before the first possible instant bounds nothing; the subtraction must not wrap around.
            oldest = np.maximum(self.slots.moments, NONE + ttl) - ttl
            found &= events[leaders] >= oldest
        return np.where(found, places[leaders], -1)

    def _leaders(self) -> Ints:
        """For each slot the slot of its key, up to itself, that holds the best row; -1 where all are empty."""
        events, created, places = self._columns
        filled = np.flatnonzero(places != NONE)
        order = filled[np.lexsort((places[filled], created[filled], events[filled], self.slots.codes[filled]))]
        # Ranks ascend with the key first, so a running maximum over sorted slots never prefers another key's row.
        rank = np.full(len(self.slots), -1, np.int64)
        rank[order] = np.arange(len(order))
        best = np.maximum.accumulate(rank)
        leaders = np.where(best >= 0, order[best], -1) if len(order) else best
        return np.where((leaders >= 0) & (self.slots.codes[leaders] == self.slots.codes), leaders, -1)
