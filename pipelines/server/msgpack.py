"""MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md), the part that answers are made of."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

_TEXT = ((0xFF, 0xD9, ">B"), (0xFFFF, 0xDA, ">H"), (0xFFFFFFFF, 0xDB, ">I"))
_BYTES = ((0xFF, 0xC4, ">B"), (0xFFFF, 0xC5, ">H"), (0xFFFFFFFF, 0xC6, ">I"))
_LIST = ((0xFFFF, 0xDC, ">H"), (0xFFFFFFFF, 0xDD, ">I"))
_MAP = ((0xFFFF, 0xDE, ">H"), (0xFFFFFFFF, 0xDF, ">I"))


def packed(value: Any) -> bytes:
    """None, bool, int (64 bits), float, str, bytes, list, tuple and dict as MessagePack. Raises TypeError otherwise."""
    out = bytearray()
    _pack(value, out)
    return bytes(out)


def _pack(value: Any, out: bytearray) -> None:
    if isinstance(value, str):
        encoded = value.encode()
        _size(len(encoded), 0xA0, 31, _TEXT, out)
        out += encoded
    elif isinstance(value, bytes):
        _size(len(value), 0, -1, _BYTES, out)
        out += value
    elif isinstance(value, dict):
        _size(len(value), 0x80, 15, _MAP, out)
        for key, item in value.items():
            _pack(key, out)
            _pack(item, out)
    elif isinstance(value, (list, tuple)):
        _size(len(value), 0x90, 15, _LIST, out)
        for item in value:
            _pack(item, out)
    elif value is None:
        out.append(0xC0)
    elif isinstance(value, bool):
        out.append(0xC3 if value else 0xC2)
    elif isinstance(value, int):
        out += struct.pack("B", value) if 0 <= value <= 0x7F else struct.pack(">Bq", 0xD3, value)
    elif isinstance(value, float):
        out += struct.pack(">Bd", 0xCB, value)
    else:
        raise TypeError(f"answers hold no {type(value).__name__}")


def _size(size: int, short: int, longest: int, forms: tuple[tuple[int, int, str], ...], out: bytearray) -> None:
    if size <= longest:
        out.append(short | size)
        return
    for limit, code, form in forms:
        if size <= limit:
            out.append(code)
            out += struct.pack(form, size)
            return


def unpacked(data: bytes) -> Any:
    """What `packed` made. Raises ValueError for anything else."""
    value, end = _unpack(data, 0)
    if end != len(data):
        raise ValueError(f"{len(data) - end} bytes follow the value")
    return value


_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}
_NUMBERS = {0xD3: ">q", 0xCB: ">d"}
_SIZED: dict[int, tuple[str, str]] = {
    code: (kind, form)
    for kind, forms in (("text", _TEXT), ("bytes", _BYTES), ("list", _LIST), ("map", _MAP))
    for _, code, form in forms
}


def _unpack(data: bytes, at: int) -> tuple[Any, int]:
    code = data[at]
    at += 1
    if code <= 0x7F:
        return code, at
    if code in _CONSTANTS:
        return _CONSTANTS[code], at
    if code in _NUMBERS:
        form = _NUMBERS[code]
        return struct.unpack_from(form, data, at)[0], at + struct.calcsize(form)
    if code in _SIZED:
        kind, form = _SIZED[code]
        (size,) = struct.unpack_from(form, data, at)
        return _CONTENTS[kind](data, at + struct.calcsize(form), size)
    if 0x80 <= code <= 0x9F:
        return _CONTENTS["map" if code < 0x90 else "list"](data, at, code & 0x0F)
    if 0xA0 <= code <= 0xBF:
        return _text(data, at, code & 0x1F)
    raise ValueError(f"code {code:#x} is not used in answers")


def _text(data: bytes, at: int, size: int) -> tuple[str, int]:
    return data[at : at + size].decode(), at + size


def _bytes(data: bytes, at: int, size: int) -> tuple[bytes, int]:
    return data[at : at + size], at + size


def _list(data: bytes, at: int, size: int) -> tuple[list[Any], int]:
    items = []
    for _ in range(size):
        item, at = _unpack(data, at)
        items.append(item)
    return items, at


def _map(data: bytes, at: int, size: int) -> tuple[dict[Any, Any], int]:
    items, at = _list(data, at, 2 * size)
    return dict(zip(items[::2], items[1::2], strict=True)), at


_CONTENTS: dict[str, Callable[[bytes, int, int], tuple[Any, int]]] = {
    "text": _text,
    "bytes": _bytes,
    "list": _list,
    "map": _map,
}
