"""Feast's values to rows and back, and Arrow batches to rows."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from feast.protos.feast.types.Value_pb2 import Value
from feast.type_map import NULL_TIMESTAMP_INT_VALUE

from pipelines.errors import FeatureViewError
from pipelines.online.layout import (
    ABSENT,
    ATTRIBUTES,
    HEAD_SIZE,
    NULL,
    PRESENT,
    TIMES_AT,
    VECTORS,
    RowSchema,
    assemble,
    split,
)

_INT, _FLOAT = struct.Struct("<q"), struct.Struct("<d")
_SECOND = 1_000_000
_NUMBERS = {kind: Value.DESCRIPTOR.fields_by_name[ATTRIBUTES[kind]].number for kind in VECTORS}


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970; naive times are UTC, as Feast has them."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    whole = int(aware.replace(microsecond=0).timestamp())
    return whole * _SECOND + aware.microsecond


def instant(micros: int) -> datetime:
    """The aware UTC time of microseconds since 1970."""
    return datetime.fromtimestamp(micros // _SECOND, UTC).replace(microsecond=micros % _SECOND)


def row_of_values(schema: RowSchema, values: Mapping[str, Value], event: int, created: int) -> bytes:
    """A row of Feast's values by feature name. Features that are not given are absent.

    Raises FeatureViewError where a value is not of its feature's type.
    """
    return assemble(schema, [_part(name, kind, values.get(name)) for name, kind in schema.features], event, created)


def _part(name: str, kind: str, value: Value | None) -> tuple[int, bytes]:
    if value is None:
        return ABSENT, b""
    found = value.WhichOneof("val")
    if found in (None, "null_val"):
        return NULL, b""
    if kind == "proto":
        return PRESENT, value.SerializeToString()
    if found != ATTRIBUTES[kind]:
        raise FeatureViewError(f"feature '{name}' holds {kind} ({ATTRIBUTES[kind]}), not {found}; correct the row")
    content = getattr(value, found)
    if kind == "instant" and content == NULL_TIMESTAMP_INT_VALUE:
        return NULL, b""
    return PRESENT, _bytes_of(kind, content)


def _bytes_of(kind: str, value: Any) -> bytes:
    if kind in VECTORS:
        return np.asarray(value.val, VECTORS[kind]).tobytes()
    if kind in ("float32", "float64"):
        return _FLOAT.pack(value)
    if kind == "text":
        return bytes(value.encode())
    if kind == "bytes":
        return bytes(value)
    if kind == "texts":
        return pack_texts(value.val)
    return _INT.pack(value * _SECOND if kind == "instant" else value)


def pack_texts(texts: Sequence[str]) -> bytes:
    """Count, lengths, UTF-8."""
    encoded = [text.encode() for text in texts]
    return struct.pack(f"<{len(encoded) + 1}I", len(encoded), *map(len, encoded)) + b"".join(encoded)


def unpack_texts(raw: bytes) -> list[str]:
    (count,) = struct.unpack_from("<I", raw)
    texts, at = [], 4 * (count + 1)
    for length in struct.unpack_from(f"<{count}I", raw, 4):
        texts.append(raw[at : at + length].decode())
        at += length
    return texts


def values_of_row(schema: RowSchema, row: bytes, wanted: Sequence[str]) -> dict[str, Value]:
    """Feast's values of the wanted features that the row has; an empty value is null."""
    parts = split(schema, row)
    values = {}
    for name in wanted:
        position = schema.positions.get(name)
        if position is not None and parts[position][0] != ABSENT:
            state, raw = parts[position]
            values[name] = _value(schema.features[position][1], raw) if state == PRESENT else Value()
    return values


def _value(kind: str, raw: bytes) -> Value:
    if kind in VECTORS:
        # As protobuf's wire format has a list of numbers: no number is touched.
        packed = b"\x0a" + _varint(len(raw)) + raw if raw else b""
        wire: Value = Value.FromString(_varint(_NUMBERS[kind] << 3 | 2) + _varint(len(packed)) + packed)
        return wire
    if kind == "proto":
        whole: Value = Value.FromString(raw)
        return whole
    value = Value()
    if kind == "texts":
        value.string_list_val.val.extend(unpack_texts(raw))
        value.string_list_val.SetInParent()
    else:
        setattr(value, ATTRIBUTES[kind], scalar_of(kind, raw))
    return value


def scalar_of(kind: str, raw: bytes) -> Any:
    """A scalar's Python value; an instant's whole seconds since 1970, as Feast has them."""
    if kind in ("float32", "float64"):
        return _FLOAT.unpack(raw)[0]
    if kind == "text":
        return raw.decode()
    if kind == "bytes":
        return raw
    (number,) = _INT.unpack(raw)
    if kind == "instant":
        return number // _SECOND
    return bool(number) if kind == "bool" else number


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def rows_of_batch(schema: RowSchema, batch: pa.RecordBatch, event: str, created: str) -> list[bytes]:
    """Rows of a batch whose columns have the features' names, and two timestamp columns."""
    count = batch.num_rows
    prefixes = np.zeros((count, schema.prefix), np.uint8)
    prefixes[:, :TIMES_AT] = np.frombuffer(schema.head, np.uint8)
    times = np.stack([_microseconds_of(batch.column(name)) for name in (event, created)], axis=1)
    prefixes[:, TIMES_AT:HEAD_SIZE] = times.view(np.uint8).reshape(count, 16)
    for position, (name, _) in enumerate(schema.features):
        prefixes[:, HEAD_SIZE + position] = np.where(_valid(batch.column(name)), PRESENT, NULL)
    for slot, position in enumerate(schema.fixed):
        name, kind = schema.features[position]
        at = schema.fixed_at + 8 * slot
        prefixes[:, at : at + 8] = _fixed_column(kind, batch.column(name)).view(np.uint8).reshape(count, 8)
    parts = [_variable_column(schema.features[p][1], batch.column(schema.features[p][0])) for p in schema.variable]
    if parts:
        lengths = np.array([[len(value) for value in column] for column in parts], np.uint32)
        ends = (schema.prefix + np.cumsum(lengths, axis=0, dtype=np.uint32)).T
        size = 4 * len(parts)
        prefixes[:, schema.ends_at : schema.ends_at + size] = np.ascontiguousarray(ends).view(np.uint8)
    heads = prefixes.tobytes()
    size = schema.prefix
    beginnings = [heads[i * size : (i + 1) * size] for i in range(count)]
    return [b"".join(row) for row in zip(beginnings, *parts, strict=True)]


def _valid(column: pa.Array) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.asarray(column.is_valid().to_numpy(zero_copy_only=False), bool)


def _microseconds_of(column: pa.Array) -> np.ndarray[Any, np.dtype[np.int64]]:
    unit = pa.timestamp("us", tz="UTC")
    return np.ascontiguousarray(column.cast(unit).cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False))


def _fixed_column(kind: str, column: pa.Array) -> np.ndarray[Any, Any]:
    if kind == "instant":
        return _microseconds_of(column)
    arrow = pa.float64() if kind in ("float32", "float64") else pa.int64()
    return np.ascontiguousarray(column.cast(arrow).fill_null(0).to_numpy(zero_copy_only=False))


def _variable_column(kind: str, column: pa.Array) -> list[bytes]:
    if kind in VECTORS:
        width = VECTORS[kind].itemsize
        lists = column.cast(pa.list_(pa.from_numpy_dtype(VECTORS[kind])))
        raw = lists.values.fill_null(float("nan")).to_numpy(zero_copy_only=False).astype(VECTORS[kind]).tobytes()
        # An offset column of a sliced array starts where the slice does; a null list may still span values.
        offsets = lists.offsets.to_numpy()
        spans = zip(offsets[:-1], offsets[1:], _valid(lists), strict=True)
        return [raw[width * a : width * b] if valid else b"" for a, b, valid in spans]
    if kind == "texts":
        return [b"" if texts is None else pack_texts(texts) for texts in column.to_pylist()]
    if kind in ("text", "bytes"):
        return [b"" if value is None else value for value in pc.cast(column, pa.binary()).to_pylist()]
    raise FeatureViewError(f"columns of type {column.type} are not written in batches; write them with Feast")
