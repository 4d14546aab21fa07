"""Vectors of few rows from a Parquet file, taken from its pages directly.

Arrow decodes the levels of every number of a list column, also of rows that nobody wants: most of a join's time.
Vectors of one length give pages whose levels begin with the same bytes, so what was decoded of one page serves the
next; then the wanted vectors are slices of the page. Layout: the Parquet format's "Data Pages" and "RLE hybrid"
encoding.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines.point_in_time.page_index import PageIndex
from pipelines.point_in_time.slots import Ints
from pipelines.point_in_time.thrift import read_struct

Levels: TypeAlias = NDArray[np.uint8]

_DATA, _DICTIONARY, _DATA_2 = 0, 2, 3
_PLAIN = 0
_PLAIN_ENCODINGS = {"PLAIN", "RLE", "BIT_PACKED"}
_NUMBERS: dict[pa.DataType, np.dtype[Any]] = {pa.float32(): np.dtype("<f4"), pa.float64(): np.dtype("<f8")}


@dataclass(frozen=True)
class _Shape:
    """The lists of a page: `starts` of each row among the page's numbers, their `lengths`, -1 for a null list."""

    starts: Ints
    lengths: Ints


@dataclass(frozen=True)
class _Page:
    levels: bytes
    numbers: memoryview
    count: int


@dataclass(frozen=True)
class _Runs:
    """Decoded levels: after each run the byte where it ends and the number of levels so far."""

    content: bytes
    ends: list[int]
    totals: list[int]
    levels: Levels


class _Longest:
    """Of repetition levels that begin alike, the longest that were decoded: other files of a process begin alike too.

    Threads may lose each other's; they then decode once more.
    """

    _BEGINNING, _KEPT = 16, 32

    def __init__(self) -> None:
        self._known: dict[bytes, _Runs] = {}

    def decoded(self, content: bytes, count: int) -> _Runs:
        beginning = content[: self._BEGINNING]
        known = self._known.get(beginning)
        runs = _decoded(content, 1, count, known)
        if known is None or len(content) > len(known.content):
            if len(self._known) >= self._KEPT:
                self._known.clear()
            self._known[beginning] = runs
        return runs


_LONGEST = _Longest()


class NotPlainError(Exception):
    """A column chunk is stored in a way that only Arrow reads: nested deeper, with nulls within, or encoded."""


def holds_vectors(kind: pa.DataType) -> bool:
    """Whether columns of a type are lists of floats."""
    return pa.types.is_list(kind) and kind.value_type in _NUMBERS


class VectorPages:
    """The vector columns of one file. `source` is the file, positioned anywhere."""

    def __init__(self, parquet: pq.ParquetFile, source: pa.NativeFile) -> None:
        self._parquet = parquet
        self._source = source
        self._leaves = {parquet.schema.column(i).path.partition(".")[0]: i for i in range(len(parquet.schema))}
        self._index = PageIndex(source)
        self._shapes: dict[tuple[bytes, int, int], _Shape] = {}
        self.bytes_read = 0

    def take(self, group: int, name: str, rows: Ints) -> pa.Array:
        """The lists of the given rows (ascending) of a row group. Raises NotPlainError: read it with Arrow."""
        leaf = self._leaves[name]
        chunk = self._parquet.metadata.row_group(group).column(leaf)
        column = self._parquet.schema.column(leaf)
        if not set(chunk.encodings) <= _PLAIN_ENCODINGS or column.max_repetition_level != 1:
            raise NotPlainError(name)
        field = self._parquet.schema_arrow.field(name)
        if not holds_vectors(field.type):
            raise NotPlainError(name)
        dtype = _NUMBERS[field.type.value_type]
        taken, lengths = [np.empty(0, dtype)], [np.empty(0, np.int64)]
        codec = None if chunk.compression == "UNCOMPRESSED" else pa.Codec(chunk.compression.lower())
        reached = 0
        for begins, page in self._pages(group, leaf, chunk, rows, codec):
            first = reached if begins is None else begins
            shape = self._shape(page, field, column.max_definition_level)
            low, high = np.searchsorted(rows, [first, first + len(shape.lengths)])
            some = rows[low:high] - first
            numbers = np.frombuffer(page.numbers, dtype, len(page.numbers) // dtype.itemsize)
            taken.append(_gathered(numbers, shape.starts[some], np.maximum(shape.lengths[some], 0)))
            lengths.append(shape.lengths[some])
            reached = first + len(shape.lengths)
        return _lists(np.concatenate(taken), np.concatenate(lengths))

    def _pages(
        self, group: int, leaf: int, chunk: Any, rows: Ints, codec: pa.Codec | None
    ) -> Iterator[tuple[int | None, _Page]]:
        """The pages that hold the rows, each with its first row. Of a file without page index all pages, and None."""
        stretches = self._index.stretches(group, leaf, rows)
        if stretches is None:
            for page in self._every_page(chunk, codec):
                yield None, page
            return
        for stretch in stretches:
            content = self._bytes(stretch.offset, stretch.end - stretch.offset)
            for offset, first in stretch.pages:
                yield first, _read_page(content, offset - stretch.offset, codec)[0]

    def _every_page(self, chunk: Any, codec: pa.Codec | None) -> Iterator[_Page]:
        content = self._bytes(chunk.data_page_offset, chunk.total_compressed_size)
        position, seen = 0, 0
        while seen < chunk.num_values:
            page, position = _read_page(content, position, codec)
            yield page
            seen += page.count

    def _bytes(self, offset: int, size: int) -> pa.Buffer:
        self._source.seek(offset)
        self.bytes_read += size
        return self._source.read_buffer(size)

    def _shape(self, page: _Page, field: pa.Field, definition: int) -> _Shape:
        # Of equal bytes the levels are equal, if they are of equally many numbers.
        known = (page.levels, page.count, definition)
        if known not in self._shapes:
            (length,) = struct.unpack_from("<I", page.levels)
            repeated = _LONGEST.decoded(page.levels[4 : 4 + length], page.count)
            defined = _decoded(page.levels[8 + length :], definition.bit_length(), page.count)
            self._shapes[known] = _shape(repeated.levels[: page.count], defined.levels[: page.count], field, definition)
        return self._shapes[known]


def _read_page(content: pa.Buffer, position: int, codec: pa.Codec | None) -> tuple[_Page, int]:
    """The data page that begins at a position, and where it ends."""
    header, position = read_struct(content, position)
    stored = content.slice(position, header[3])
    if header[1] == _DATA and header[5][2] == _PLAIN:
        page = _page(stored, header, codec)
    elif header[1] == _DATA_2 and header[8][4] == _PLAIN:
        page = _page_2(stored, header, codec)
    else:
        raise NotPlainError("page")
    return page, position + header[3]


def _page(stored: pa.Buffer, header: dict[int, Any], codec: pa.Codec | None) -> _Page:
    content = memoryview(codec.decompress(stored, header[2]) if codec else stored)
    position = 0
    for _ in range(2):
        (length,) = struct.unpack_from("<I", content, position)
        position += 4 + length
    return _Page(bytes(content[:position]), content[position:], header[5][1])


def _page_2(stored: pa.Buffer, header: dict[int, Any], codec: pa.Codec | None) -> _Page:
    details = header[8]
    repetition, definition = details[6], details[5]
    levels = bytes(stored.slice(0, repetition + definition))
    rest = stored.slice(repetition + definition)
    if codec and details.get(7, True):
        rest = codec.decompress(rest, header[2] - repetition - definition)
    # As the first version writes them: each with its length in front.
    parts = (levels[:repetition], levels[repetition:])
    return _Page(b"".join(struct.pack("<I", len(p)) + p for p in parts), memoryview(rest), details[1])


def _shape(repeated: Levels, defined: Levels, field: pa.Field, definition: int) -> _Shape:
    if not len(repeated) or repeated[0]:
        raise NotPlainError("a row lies on two pages")
    empty = int(field.nullable)
    if np.any((defined > empty) & (defined < definition)):
        raise NotPlainError("nulls within a list")
    first = np.flatnonzero(repeated == 0)
    present = defined == definition
    before = np.concatenate([[0], np.cumsum(present)])
    lengths = before[np.append(first[1:], len(repeated))] - before[first]
    if field.nullable:
        lengths[defined[first] == 0] = -1
    return _Shape(before[first], lengths)


def _decoded(content: bytes, width: int, count: int, before: _Runs | None = None) -> _Runs:
    """Decode the RLE and bit-packing hybrid; runs that `before` begins with too are taken from there."""
    shared = bisect_right(before.ends, _common_length(content, before.content)) if before else 0
    ends, totals, parts = [0], [0], [np.empty(0, np.uint8)]
    if before and shared:
        ends, totals = before.ends[:shared], before.totals[:shared]
        parts = [before.levels[: totals[-1]]]
    while totals[-1] < count:
        part, end = _run(content, ends[-1], width)
        parts.append(part)
        ends.append(end)
        totals.append(totals[-1] + len(part))
    return _Runs(content, ends, totals, np.concatenate(parts))


def _common_length(one: bytes, other: bytes) -> int:
    length = min(len(one), len(other))
    differs = np.frombuffer(one, np.uint8, length) != np.frombuffer(other, np.uint8, length)
    return int(differs.argmax()) if differs.any() else length


def _run(content: bytes, position: int, width: int) -> tuple[Levels, int]:
    header, shift = 0, 0
    while True:
        byte = content[position]
        position += 1
        header |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    if not header & 1:
        return np.full(header >> 1, content[position], np.uint8), position + 1
    packed = np.frombuffer(content, np.uint8, (header >> 1) * width, position)
    bits = np.unpackbits(packed, bitorder="little").reshape(-1, width)
    return (bits << np.arange(width, dtype=np.uint8)).sum(axis=1, dtype=np.uint8), position + len(packed)


def _gathered(numbers: NDArray[Any], starts: Ints, lengths: Ints) -> NDArray[Any]:
    """The numbers of the given ranges, one after the other."""
    if len(lengths) and (lengths == lengths[0]).all():
        return numbers[starts[:, None] + np.arange(lengths[0])].ravel()
    ends = np.cumsum(lengths)
    return numbers[np.repeat(starts - ends + lengths, lengths) + np.arange(lengths.sum())]


def _lists(numbers: NDArray[Any], lengths: Ints) -> pa.Array:
    offsets = np.concatenate([[0], np.cumsum(np.maximum(lengths, 0))])
    if offsets[-1] >= 2**31:
        raise NotPlainError("too many numbers for one array")
    null = lengths < 0
    mask = pa.array(null) if null.any() else None
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(numbers), mask=mask)
