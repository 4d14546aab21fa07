"""Which event keys silver holds, as hashes in memory: 12 bytes per event. A hit is only a hint where to look."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
# New keys wait in a dictionary until there are so many.
_MERGED_AT = 200_000


class KnownKeys:
    """64-bit hashes of event ids and the days (since 1970) their rows lie in."""

    def __init__(self, hashes: Ints, days: Ints) -> None:
        order = np.argsort(hashes, kind="stable")
        self._hashes, self._days = hashes[order], days[order].astype(np.int32)
        self._new: dict[int, int] = {}

    def days_of(self, hashes: Ints) -> set[int]:
        """The days in which rows with any of these keys may lie."""
        place = np.searchsorted(self._hashes, hashes)
        met = place < len(self._hashes)
        met[met] = self._hashes[place[met]] == hashes[met]
        days = set(self._days[place[met]].tolist())
        return days | {self._new[h] for h in hashes.tolist() if h in self._new}

    def add(self, hashes: Ints, days: Ints) -> None:
        """Take in the keys of rows that silver has got."""
        self._new.update(zip(hashes.tolist(), days.tolist(), strict=True))
        if len(self._new) >= _MERGED_AT:
            new = np.fromiter(self._new.keys(), np.int64), np.fromiter(self._new.values(), np.int64)
            self.__init__(np.append(self._hashes, new[0]), np.append(self._days, new[1]))  # type: ignore[misc]
