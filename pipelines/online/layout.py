"""How a row of a feature view lies in the online store: one value per entity and view, read as a whole.

All numbers are little-endian. Of a view with F features, of which K have a fixed and V a variable width:

    bytes  what
    1      version of this layout
    3      zero
    4      fingerprint of the schema: names and kinds in order
    8      event_timestamp, microseconds since 1970 UTC
    8      created_at, the same
    F      state of each feature, padded to a multiple of 8
    8 K    values of fixed width, int64 or float64
    4 V    where each value of variable width ends, counted from the row's beginning; padded to a multiple of 8
           values of variable width, vectors first

So a vector is read where it lies, and the rows of many users are columns without touching a value.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from feast import FeatureView, ValueType

LAYOUT = 1
TIMES_AT = 8
_HEAD = struct.Struct("<B3xIqq")
HEAD_SIZE = _HEAD.size
ABSENT, PRESENT, NULL = 0, 1, 2

# Attribute of Feast's Value by kind, fixed width first. What is not named lies as a serialised Value ("proto").
_FIXED = {
    "bool": "bool_val",
    "int32": "int32_val",
    "int64": "int64_val",
    "float32": "float_val",
    "float64": "double_val",
    "instant": "unix_timestamp_val",
}
_VARIABLE = {
    "floats": "float_list_val",
    "doubles": "double_list_val",
    "text": "string_val",
    "bytes": "bytes_val",
    "texts": "string_list_val",
}
ATTRIBUTES = {**_FIXED, **_VARIABLE}
VECTORS: dict[str, np.dtype[Any]] = {"floats": np.dtype("<f4"), "doubles": np.dtype("<f8")}
_KINDS = {
    ValueType.BOOL: "bool",
    ValueType.INT32: "int32",
    ValueType.INT64: "int64",
    ValueType.FLOAT: "float32",
    ValueType.DOUBLE: "float64",
    ValueType.UNIX_TIMESTAMP: "instant",
    ValueType.FLOAT_LIST: "floats",
    ValueType.DOUBLE_LIST: "doubles",
    ValueType.STRING: "text",
    ValueType.BYTES: "bytes",
    ValueType.STRING_LIST: "texts",
}


@dataclass(frozen=True)
class RowSchema:
    """Names and kinds of a view's features, in the view's order."""

    features: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, view: FeatureView) -> RowSchema:
        """The schema that rows of a view are written with now."""
        return _schema(tuple((f.name, _KINDS.get(f.dtype.to_value_type(), "proto")) for f in view.features))

    @classmethod
    def from_json(cls, text: str | bytes) -> RowSchema:
        return cls(tuple((name, kind) for name, kind in json.loads(text)))

    def to_json(self) -> str:
        return json.dumps(self.features)

    @cached_property
    def fingerprint(self) -> int:
        return int.from_bytes(hashlib.blake2b(self.to_json().encode(), digest_size=4).digest(), "little")

    @cached_property
    def head(self) -> bytes:
        """What every row of this schema begins with; its first 8 bytes."""
        return _HEAD.pack(LAYOUT, self.fingerprint, 0, 0)[:TIMES_AT]

    @cached_property
    def positions(self) -> Mapping[str, int]:
        return {name: i for i, (name, _) in enumerate(self.features)}

    @cached_property
    def fixed(self) -> tuple[int, ...]:
        """Positions of the features of fixed width, in the order their values lie."""
        return tuple(i for i, (_, kind) in enumerate(self.features) if kind in _FIXED)

    @cached_property
    def floats(self) -> frozenset[int]:
        """Positions of the features of fixed width that lie as float64; the others lie as int64."""
        return frozenset(i for i in self.fixed if self.features[i][1] in ("float32", "float64"))

    @cached_property
    def variable(self) -> tuple[int, ...]:
        """Positions of the features of variable width, in the order their values lie: vectors first."""
        others = [i for i, (_, kind) in enumerate(self.features) if kind not in _FIXED]
        return tuple(sorted(others, key=lambda i: self.features[i][1] not in VECTORS))

    @cached_property
    def slots(self) -> Mapping[int, int]:
        """Place of each feature among those of its width, by position."""
        return {p: slot for group in (self.fixed, self.variable) for slot, p in enumerate(group)}

    @cached_property
    def fixed_at(self) -> int:
        return HEAD_SIZE + _padded(len(self.features))

    @cached_property
    def ends_at(self) -> int:
        return self.fixed_at + 8 * len(self.fixed)

    @cached_property
    def prefix(self) -> int:
        """Bytes before the values of variable width."""
        return self.ends_at + _padded(4 * len(self.variable))

    @cached_property
    def complete(self) -> bytes:
        """The states of a row in which every feature is present."""
        return bytes([PRESENT]) * len(self.features)

    @cached_property
    def nothing(self) -> bytes:
        """A row in which every feature is absent."""
        return assemble(self, [(ABSENT, b"")] * len(self.features), 0, 0)


@lru_cache(maxsize=1024)
def _schema(features: tuple[tuple[str, str], ...]) -> RowSchema:
    # Feast makes its views anew for every request; what follows from a schema is worked out once.
    return RowSchema(features)


def times_of(row: bytes) -> tuple[int, int]:
    """event_timestamp and created_at of a row, microseconds."""
    _, _, event, created = _HEAD.unpack_from(row)
    return event, created


def fingerprint_of(row: bytes) -> tuple[int, int]:
    """Layout version and schema fingerprint of a row."""
    version, fingerprint, _, _ = _HEAD.unpack_from(row)
    return version, fingerprint


def assemble(schema: RowSchema, parts: list[tuple[int, bytes]], event: int, created: int) -> bytes:
    """A row of its features' states and bytes (8 of each fixed-width value), in the schema's order."""
    states = bytes(state for state, _ in parts).ljust(schema.fixed_at - HEAD_SIZE, b"\0")
    fixed = b"".join(parts[i][1] or bytes(8) for i in schema.fixed)
    values = [parts[i][1] for i in schema.variable]
    ends, end = [], schema.prefix
    for value in values:
        end += len(value)
        ends.append(end)
    packed = struct.pack(f"<{len(ends)}I", *ends).ljust(schema.prefix - schema.ends_at, b"\0")
    return b"".join([_HEAD.pack(LAYOUT, schema.fingerprint, event, created), states, fixed, packed, *values])


def split(schema: RowSchema, row: bytes) -> list[tuple[int, bytes]]:
    """Inverse of `assemble`; features that are not present have no bytes."""
    ends = struct.unpack_from(f"<{len(schema.variable)}I", row, schema.ends_at)
    starts = (schema.prefix, *ends)
    parts = []
    for i in range(len(schema.features)):
        state, slot = row[HEAD_SIZE + i], schema.slots[i]
        if state != PRESENT:
            value = b""
        elif i in schema.fixed:
            value = row[schema.fixed_at + 8 * slot : schema.fixed_at + 8 * slot + 8]
        else:
            value = row[starts[slot] : ends[slot]]
        parts.append((state, value))
    return parts


def translate(row: bytes, written: RowSchema, wanted: RowSchema) -> bytes:
    """A row of an earlier schema as one of another: by name, absent where it had no such feature of that kind."""
    old = dict(zip(written.features, split(written, row), strict=True))
    return assemble(wanted, [old.get(feature, (ABSENT, b"")) for feature in wanted.features], *times_of(row))


def field_id(view: str) -> bytes:
    """What a view's rows are filed under; 8 bytes, since names take 60."""
    return hashlib.blake2b(view.encode(), digest_size=8).digest()


def _padded(size: int) -> int:
    return (size + 7) // 8 * 8
