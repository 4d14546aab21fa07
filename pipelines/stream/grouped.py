"""Rows in memory by whom they are about."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]


class Grouped:
    """An Arrow table whose rows are found by the text in one of its columns."""

    def __init__(self, table: pa.Table, key: str) -> None:
        self.table = table.sort_by(key).combine_chunks()
        runs = pa.compute.run_end_encode(self.table[key].combine_chunks()) if table.num_rows else None
        names = runs.values.to_pylist() if runs is not None else []
        ends = runs.run_ends.to_pylist() if runs is not None else []
        self._at = {name: (first, last) for name, first, last in zip(names, [0, *ends], ends, strict=False)}

    def __contains__(self, name: str) -> bool:
        return name in self._at

    def take(self, names: Sequence[str]) -> tuple[pa.Table, Ints]:
        """The rows of each name, and for each row which of the names it was taken for."""
        ranges = [self._at.get(name, (0, 0)) for name in names]
        counts = np.array([last - first for first, last in ranges], dtype=np.int64)
        rows = np.concatenate([np.empty(0, np.int64), *(np.arange(first, last) for first, last in ranges)])
        return self.table.take(pa.array(rows)), np.repeat(np.arange(len(names)), counts)
