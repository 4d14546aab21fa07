"""Reading Thrift's compact protocol, as Parquet's page headers are written in it."""

from __future__ import annotations

import struct
from typing import Any

import pyarrow as pa

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12


def read_struct(content: pa.Buffer, position: int) -> tuple[dict[int, Any], int]:
    """A struct's fields by number, and where it ends. Maps, which page headers have none of, are not read."""
    fields: dict[int, Any] = {}
    number = 0
    view = memoryview(content).cast("B")
    while head := view[position]:
        position += 1
        kind, step = head & 0x0F, head >> 4
        if step:
            number += step
        else:
            number, position = _signed(view, position)
        fields[number], position = _value(content, view, position, kind)
    return fields, position + 1


def _value(content: pa.Buffer, view: memoryview, position: int, kind: int) -> tuple[Any, int]:
    if kind in (_TRUE, _FALSE):
        return kind == _TRUE, position
    if kind == _BYTE:
        return view[position], position + 1
    if kind == _DOUBLE:
        return struct.unpack_from("<d", view, position)[0], position + 8
    if kind == _BINARY:
        length, position = _unsigned(view, position)
        return bytes(view[position : position + length]), position + length
    if kind in (_LIST, _SET):
        return _values(content, view, position)
    if kind == _STRUCT:
        return read_struct(content, position)
    return _signed(view, position)


def _values(content: pa.Buffer, view: memoryview, position: int) -> tuple[list[Any], int]:
    count, kind = view[position] >> 4, view[position] & 0x0F
    position += 1
    if count == 15:
        count, position = _unsigned(view, position)
    found = []
    for _ in range(count):
        value, position = _value(content, view, position, kind)
        found.append(value)
    return found, position


def _unsigned(view: memoryview, position: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = view[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


def _signed(view: memoryview, position: int) -> tuple[int, int]:
    value, position = _unsigned(view, position)
    return (value >> 1) ^ -(value & 1), position
