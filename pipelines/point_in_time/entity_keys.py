"""Entity keys, of any number of columns and types, as whole numbers.

A key is never glued together as text, so ("1", "12") and ("11", "2") stay apart. NULL in any column is no key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import EntityFrameError
from pipelines.point_in_time.slots import Ints

Column: TypeAlias = "pa.Array | pa.ChunkedArray"


@dataclass(frozen=True)
class KeyIndex:
    """The keys asked for. `values` holds each column's distinct values, `pairs` what of them occurs together.

    `pairs[i]` are the sorted numbers `code of the columns before · len(values[i + 1]) + code of column i + 1`.
    """

    values: tuple[pa.Array, ...]
    pairs: tuple[Ints, ...]

    @classmethod
    def of(cls, columns: Sequence[Column], rows: int) -> tuple[KeyIndex, Ints]:
        """The index of the given key columns and each row's code, -1 where a column is NULL.

        Without columns (a view without entities) every row has the same key.
        """
        values: list[pa.Array] = []
        pairs: list[Ints] = []
        codes = np.zeros(rows, np.int64)
        for column in columns:
            encoded = _flat(column).dictionary_encode()
            own = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
            if not values:
                codes = own
            else:
                both = _paired(codes, own, len(encoded.dictionary))
                distinct = np.unique(both[both >= 0])
                pairs.append(distinct)
                codes = _found(distinct, both)
            values.append(encoded.dictionary)
        return cls(tuple(values), tuple(pairs)), codes

    def codes(self, columns: Sequence[Column], rows: int) -> Ints:
        """The code of each row's key, -1 where nobody asked for it. Columns are of the index's types, or encoded."""
        codes = np.zeros(rows, np.int64)
        for position, (column, values) in enumerate(zip(columns, self.values, strict=True)):
            own = _positions(column, values)
            codes = own if not position else _found(self.pairs[position - 1], _paired(codes, own, len(values)))
        return codes

    def may_hold(self, position: int, low: pa.Scalar, high: pa.Scalar) -> bool:
        """Whether a value of a column lies in [low, high]."""
        values = self.values[position]
        inside = pc.and_(pc.greater_equal(values, low), pc.less_equal(values, high))
        return bool(pc.any(inside).as_py())


def cast_key(column: Column, name: str, to: pa.DataType) -> Column:
    """An entity column in the type its key has in the history. Raises EntityFrameError where a value does not fit."""
    if column.type == to:
        return column
    try:
        if pa.types.is_floating(column.type) and not pa.types.is_floating(to):
            # Whole numbers that pandas has made floats, for some are missing; as text they would end in ".0".
            column = column.cast(pa.int64())
        return column.cast(to)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise EntityFrameError(
            f"column '{name}' of the entity rows is {column.type}, its history has {to}: {reason}"
        ) from error


def _flat(column: Column) -> pa.Array:
    """One array of plain values."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(whole, pa.ChunkedArray):
        whole = pa.concat_arrays(whole.chunks) if whole.num_chunks else pa.array([], whole.type)
    return whole.dictionary_decode() if pa.types.is_dictionary(whole.type) else whole


def _positions(column: Column, values: pa.Array) -> Ints:
    """Where each value stands in `values`, -1 where it does not."""
    if isinstance(column, pa.ChunkedArray) and pa.types.is_dictionary(column.type):
        column = column.unify_dictionaries().combine_chunks()
    if isinstance(column, pa.DictionaryArray):
        at = pc.index_in(column.dictionary.cast(values.type), values, skip_nulls=True).fill_null(-1)
        own = np.append(at.to_numpy(zero_copy_only=False), np.int32(-1)).astype(np.int64)
        # Of a null the index is -1: the appended last place.
        return own[column.indices.fill_null(-1).to_numpy(zero_copy_only=False)]
    found = pc.index_in(column.cast(values.type), values, skip_nulls=True).fill_null(-1)
    return (
        found.to_numpy(zero_copy_only=False).astype(np.int64)
        if isinstance(found, pa.Array)
        else found.to_numpy().astype(np.int64)
    )


def _paired(before: Ints, own: Ints, size: int) -> Ints:
    return np.where((before >= 0) & (own >= 0), before * size + own, -1)


def _found(distinct: Ints, wanted: Ints) -> Ints:
    if not len(distinct):
        return np.full(len(wanted), -1, np.int64)
    at = np.minimum(np.searchsorted(distinct, wanted), len(distinct) - 1)
    return np.where(distinct[at] == wanted, at, -1)
