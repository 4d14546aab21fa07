"""Vectors of products, kept in memory for a while: ranking needs hundreds at a time, and they seldom change."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pipelines.errors import OnlineStoreError
from pipelines.online.blocks import Block
from pipelines.ranking.similarities import Vectors, unit

Fetch = Callable[[Sequence[str]], Block]


class KeptVectors:
    """The vectors of one view; safe in threads.

    At most `capacity` products are kept, the earliest read gives way; each for `seconds`, then it is read again. That
    a product has no vector is kept as well.
    """

    def __init__(self, capacity: int, seconds: float) -> None:
        self._capacity = capacity
        self._seconds = seconds
        self._lock = threading.Lock()
        self._slots: dict[str, int] = {}
        self._ids: list[str | None] = [None] * capacity
        self._read_at = np.full(capacity, -np.inf)
        self._next = 0
        self._columns: dict[str, Vectors] = {}

    def vectors(self, ids: Sequence[str], fetch: Fetch) -> Mapping[str, Vectors]:
        """float32 (ids, d) per feature of the view, of unit length, NaN where there is none; d = 0 where nobody is
        known to have one.

        `fetch` reads those that are not kept. More ids than are kept are read past it.
        """
        with self._lock:
            slots = self._slots_of(ids)
            stale = (slots < 0) | (self._read_at[slots] <= time.monotonic() - self._seconds)
            if not stale.any():
                return self._kept(slots)
        if len({*ids}) <= self._capacity:
            missing = [*dict.fromkeys(identifier for identifier, old in zip(ids, stale, strict=True) if old)]
            read = fetch(missing)
            with self._lock:
                self._keep(missing, read)
                slots = self._slots_of(ids)
                if (slots >= 0).all():
                    return self._kept(slots)
        # More than are kept; or others asked for so much in between that some of ours gave way.
        block = fetch(ids)
        return {name: _column(block, name) for name in block.plan.features}

    def _slots_of(self, ids: Sequence[str]) -> npt.NDArray[np.int64]:
        """Where each is kept, -1 for those that are not."""
        return np.array([self._slots.get(identifier, -1) for identifier in ids], np.int64)

    def _kept(self, slots: npt.NDArray[np.int64]) -> dict[str, Vectors]:
        return {name: column.take(slots, axis=0) for name, column in self._columns.items()}

    def _keep(self, ids: Sequence[str], block: Block) -> None:
        slots = [self._slot(identifier) for identifier in ids]
        self._read_at[slots] = time.monotonic()
        for name in block.plan.features:
            found = _column(block, name)
            kept = self._columns.get(name)
            if kept is None or (found.shape[1] and kept.shape[1] != found.shape[1]):
                if kept is not None and kept.shape[1]:
                    raise OnlineStoreError(f"view '{block.plan.name}': vectors of '{name}' are of different lengths")
                fresh = np.empty((self._capacity, found.shape[1]), np.float32)
                if kept is not None:
                    fresh[:] = np.nan
                kept = self._columns[name] = fresh
            kept[slots] = found if found.shape[1] else np.nan

    def _slot(self, identifier: str) -> int:
        slot = self._slots.get(identifier)
        if slot is None:
            slot, self._next = self._next, (self._next + 1) % self._capacity
            before = self._ids[slot]
            if before is not None:
                del self._slots[before]
            self._ids[slot], self._slots[identifier] = identifier, slot
        return slot


def _column(block: Block, name: str) -> Vectors:
    found = block.column(name)
    if isinstance(found, list):
        raise OnlineStoreError(f"view '{block.plan.name}': vectors of '{name}' are of different lengths")
    return unit(found.astype(np.float32, copy=False))
