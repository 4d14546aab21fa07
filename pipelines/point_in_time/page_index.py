"""Where the pages of a column chunk lie, from the offset index that Parquet files carry beside their footer.

With it only the pages that hold wanted rows are read. Layout: the Parquet format's "Page Index".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from pipelines.point_in_time.slots import Ints
from pipelines.point_in_time.thrift import read_struct

_ROW_GROUPS, _CHUNKS, _INDEX_OFFSET, _INDEX_LENGTH, _LOCATIONS = 4, 1, 4, 5, 1
_OFFSET, _SIZE, _FIRST_ROW = 1, 2, 3
# Pages this near to each other are fetched together: a request costs more than the bytes between them.
_GAP = 2**18


@dataclass(frozen=True)
class Stretch:
    """Pages to read in one go: bytes from `offset` to `end`, and where each page begins with its first row."""

    offset: int
    end: int
    pages: tuple[tuple[int, int], ...]  # (byte offset in the file, row of the row group)


class PageIndex:
    """The offset indexes of one file."""

    def __init__(self, source: pa.NativeFile) -> None:
        self._source = source

    def stretches(self, group: int, leaf: int, rows: Ints) -> list[Stretch] | None:
        """Where the pages of the rows (ascending, numbers in the row group) of a leaf column lie; None if the file
        does not say."""
        chunk = self._chunks[group][leaf]
        if _INDEX_OFFSET not in chunk:
            return None
        self._source.seek(chunk[_INDEX_OFFSET])
        index, _ = read_struct(self._source.read_buffer(chunk[_INDEX_LENGTH]), 0)
        offsets, sizes, firsts = (
            np.array([page.get(field, 0) for page in index[_LOCATIONS]]) for field in (_OFFSET, _SIZE, _FIRST_ROW)
        )
        wanted = np.unique(np.searchsorted(firsts, rows, side="right") - 1)
        offsets, ends, firsts = offsets[wanted], (offsets + sizes)[wanted], firsts[wanted]
        breaks = np.flatnonzero(offsets[1:] > ends[:-1] + _GAP) + 1
        return [
            Stretch(int(at[0]), int(to[-1]), tuple(zip(at.tolist(), first.tolist(), strict=True)))
            for at, to, first in zip(*(np.split(part, breaks) for part in (offsets, ends, firsts)), strict=True)
            if len(at)
        ]

    @cached_property
    def _chunks(self) -> list[list[dict[int, int]]]:
        """The column chunks of each row group, as the footer has them."""
        self._source.seek(self._source.size() - 8)
        (length,) = struct.unpack("<I4x", self._source.read(8))
        self._source.seek(self._source.size() - 8 - length)
        footer, _ = read_struct(self._source.read_buffer(length), 0)
        return [group[_CHUNKS] for group in footer[_ROW_GROUPS]]
