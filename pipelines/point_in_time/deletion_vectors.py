"""Delta's deletion vectors: which rows of a data file are gone. Plain Python and numpy, no Spark.

Layout: the Delta protocol's "Deletion Vector Format" (a 64-bit roaring bitmap in portable form) and the Roaring
bitmap format specification.
"""

from __future__ import annotations

import base64
import struct
import uuid
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Rows: TypeAlias = NDArray[np.int64]

_PORTABLE = 1681511377
_NO_RUNS, _WITH_RUNS = 12346, 12347
# Python's base 85 and ZeroMQ's differ in their alphabets alone.
_PYTHON = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
_Z85 = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
_FROM_Z85 = bytes.maketrans(_Z85, _PYTHON)


def deleted_rows(descriptor: Mapping[str, Any], table: str, read: Callable[[str], bytes]) -> Rows:
    """The ascending row numbers that a deletion vector's descriptor (from the log) marks; `read` opens a path."""
    if descriptor["storageType"] == "i":
        return _rows(_z85(descriptor["pathOrInlineDv"])[: descriptor["sizeInBytes"]])
    content = read(_path(descriptor, table))
    start = descriptor.get("offset") or 0
    (size,) = struct.unpack_from(">i", content, start)
    return _rows(content[start + 4 : start + 4 + size])


def _path(descriptor: Mapping[str, Any], table: str) -> str:
    given: str = descriptor["pathOrInlineDv"]
    if descriptor["storageType"] == "p":
        return given
    prefix, name = given[:-20], uuid.UUID(bytes=_z85(given[-20:]))
    return "/".join(part for part in (table, prefix, f"deletion_vector_{name}.bin") if part)


def _z85(text: str) -> bytes:
    return base64.b85decode(text.encode().translate(_FROM_Z85))


def _rows(content: bytes) -> Rows:
    magic, count = struct.unpack_from("<iq", content)
    if magic != _PORTABLE:
        raise ValueError(f"deletion vector of unknown format {magic}")
    position, found = 12, [np.empty(0, np.int64)]
    for _ in range(count):
        (high,) = struct.unpack_from("<I", content, position)
        low, position = _bitmap(content, position + 4)
        found.append(low + (high << 32))
    return np.concatenate(found)


def _bitmap(content: bytes, start: int) -> tuple[Rows, int]:
    """The values of one 32-bit roaring bitmap and where it ends."""
    (cookie,) = struct.unpack_from("<I", content, start)
    if cookie & 0xFFFF == _WITH_RUNS:
        size, position = (cookie >> 16) + 1, start + 4
        flags = np.frombuffer(content, np.uint8, (size + 7) // 8, position)
        runs = np.unpackbits(flags, bitorder="little")[:size].astype(bool)
        position += len(flags)
    elif cookie == _NO_RUNS:
        (size,) = struct.unpack_from("<I", content, start + 4)
        runs, position = np.zeros(size, bool), start + 8
    else:
        raise ValueError(f"roaring bitmap of unknown format {cookie}")
    headers = np.frombuffer(content, "<u2", 2 * size, position).astype(np.int64).reshape(size, 2)
    position += 4 * size
    if not runs.any() or size >= 4:
        position += 4 * size  # offsets, which a sequential reader does not need
    found = [np.empty(0, np.int64)]
    for (key, cardinality), run in zip(headers, runs, strict=True):
        values, position = _container(content, position, int(cardinality) + 1, run=bool(run))
        found.append(values + (int(key) << 16))
    return np.concatenate(found), position


def _container(content: bytes, start: int, cardinality: int, *, run: bool) -> tuple[Rows, int]:
    if run:
        (count,) = struct.unpack_from("<H", content, start)
        pairs = np.frombuffer(content, "<u2", 2 * count, start + 2).astype(np.int64).reshape(count, 2)
        ranges = [np.arange(first, first + more + 1) for first, more in pairs]
        return np.concatenate(ranges), start + 2 + 4 * count
    if cardinality <= 4096:
        return np.frombuffer(content, "<u2", cardinality, start).astype(np.int64), start + 2 * cardinality
    bits = np.unpackbits(np.frombuffer(content, np.uint8, 8192, start), bitorder="little")
    return np.flatnonzero(bits), start + 8192
