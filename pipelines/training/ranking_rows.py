"""Rows of a service of users and products: numbers of both, and how the product resembles the user's taste then.

Vectors enter through the similarities alone, which are the online answer's (`pipelines/ranking/similarities.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import FeatureViewError
from pipelines.point_in_time.engines import Engine
from pipelines.point_in_time.history_plan import History
from pipelines.point_in_time.instants import UTC_MICROS, as_integers
from pipelines.point_in_time.join import Joined, joined_slices, point_in_time_join
from pipelines.ranking.similarities import (
    HISTOGRAM,
    INTERESTS,
    LAST_IDS,
    MEDOID_IDS,
    MEDOID_WEIGHTS,
    NAMES,
    PICTURE,
    PRODUCT_COLUMNS,
    PRODUCT_TABLE,
    TIERS,
    USER_COLUMNS,
    Similarities,
    Taste,
    Vectors,
    similarities,
    unit,
)

PRODUCT_KEY = "product_id"
PREFIX = "similarity__"
_NUMBERS = frozenset({"bigint", "int", "double", "boolean", "timestamp"})
_ROWS_PER_PIECE = 65_536
Ints = npt.NDArray[np.int64]


def is_number(column_type: str) -> bool:
    """Whether a column of a declared type is written as it is."""
    return column_type in _NUMBERS


def compared(table: str) -> list[str]:
    """The features of a table that similarities are made of."""
    if table == PRODUCT_TABLE:
        return [*PRODUCT_COLUMNS]
    return [column for name, column in USER_COLUMNS if name == table]


@dataclass(frozen=True)
class RankingRows:
    """What is joined: entity rows with `user_id` and `product_id`, their moments, and views by declared table.

    `written` are the columns of the views that go into the rows.
    """

    entities: pa.Table
    moments: pa.Array
    tables: Mapping[str, History]
    written: Sequence[str]
    engine: Engine

    def slices(self, rows_at_once: int, asked: pa.Array) -> Iterator[pa.Table]:
        """Numbers and similarities in pieces of the entity rows, in their order."""
        start = 0
        histories = [*self.tables.values()]
        for joined in joined_slices(self.entities, self.moments, histories, self.engine, rows_at_once, asked):
            count = len(joined.entities)
            found = self._compared(joined, as_integers(self.moments.slice(start, count)))
            for at in range(0, max(count, 1), _ROWS_PER_PIECE):
                numbers = self._numbers(joined, slice(at, at + _ROWS_PER_PIECE))
                yield pa.table(numbers | _columns(found, slice(at, at + _ROWS_PER_PIECE)))
            start += count

    def _numbers(self, joined: Joined, some: slice) -> dict[str, pa.ChunkedArray]:
        columns: dict[str, pa.ChunkedArray] = {}
        for history in self.tables.values():
            table, rows = joined.winners(history.view.name)
            positions = pa.array(rows[some], mask=rows[some] < 0)
            columns |= {name: table.column(name).take(positions) for name in table.column_names if name in self.written}
        return columns

    def _compared(self, joined: Joined, instants: Ints) -> Similarities:
        known = {table: _Known(h, *joined.winners(h.view.name)) for table, h in self.tables.items()}
        groups = [*_groups(joined.entities, instants)]
        pictures = self._pictures(groups, known, instants)
        found = Similarities.unknown(len(instants))
        products = known[PRODUCT_TABLE]
        for rows, (medoids, last) in zip(groups, pictures, strict=True):
            row = int(rows[0])
            weights = known[MEDOID_WEIGHTS[0]].vector(MEDOID_WEIGHTS[1], row)
            taste = Taste(
                {
                    (i.table, i.column): vector
                    for i in INTERESTS
                    if (vector := known[i.table].vector(i.column, row)) is not None
                },
                medoids,
                np.zeros(len(medoids), np.float32) if weights is None else weights,
                last,
            )
            own = {column: unit(products.matrix(column)[products.rows[rows]]) for column in PRODUCT_COLUMNS}
            told = similarities(taste, own, len(rows))
            found.values[rows], found.histogram[rows] = told.values, told.histogram
        return found

    def _pictures(
        self, groups: Sequence[Ints], known: Mapping[str, _Known], instants: Ints
    ) -> Iterator[tuple[Vectors, Vectors]]:
        """Of each group the pictures, at its moment, of the user's medoids and last products."""
        ids: list[str] = []
        moments: list[int] = []
        sizes = []
        for rows in groups:
            row = int(rows[0])
            listed = [known[table].listed(column, row) for table, column in (MEDOID_IDS, LAST_IDS)]
            sizes.append([len(some) for some in listed])
            ids += [identifier for some in listed for identifier in some]
            moments += [int(instants[row])] * sum(sizes[-1])
        history = self.tables[PRODUCT_TABLE]
        wanted = [n for n, (name, _) in enumerate(history.view.features) if name == PICTURE]
        only = replace(
            history,
            view=replace(history.view, features=tuple(history.view.features[n] for n in wanted)),
            features=tuple(history.features[n] for n in wanted),
        )
        asked = pa.table({PRODUCT_KEY: pa.array(ids, pa.string())})
        at = pa.array(moments, pa.int64()).cast(UTC_MICROS)
        joined = point_in_time_join(asked, at, [only], self.engine)
        found = _Known(only, *joined.winners(only.view.name))
        start = 0
        for medoids, last in sizes:
            rows = found.rows[start : start + medoids + last]
            pictures = found.matrix(PICTURE)[rows]
            yield pictures[:medoids], pictures[medoids:]
            start += medoids + last


class _Known:
    """The rows of a view that were found (`table`), and each entity row's place among them, -1 for none."""

    def __init__(self, history: History, table: pa.Table, rows: Ints) -> None:
        self._table = table
        self.rows = rows
        self._names = dict(history.view.features)
        self._matrices: dict[str, Vectors] = {}
        self._lists: dict[str, list[list[str] | None]] = {}

    def matrix(self, column: str) -> Vectors:
        """float32 (rows found + 1, d), NaN where there is no vector; the last row is that of -1."""
        if column not in self._matrices:
            self._matrices[column] = _matrix(self._table.column(self._names[column]))
        return self._matrices[column]

    def vector(self, column: str, row: int) -> Vectors | None:
        """Of an entity row; None where it has none."""
        place = self.rows[row]
        if place < 0 or not self._table.column(self._names[column])[int(place)].is_valid:
            return None
        vector: Vectors = np.asarray(self._table.column(self._names[column])[int(place)].values, np.float32)
        return vector

    def listed(self, column: str, row: int) -> list[str]:
        """A list of ids of an entity row; empty where there is none."""
        if column not in self._lists:
            self._lists[column] = self._table.column(self._names[column]).to_pylist()
        place = self.rows[row]
        return [] if place < 0 else self._lists[column][place] or []


def _matrix(column: pa.ChunkedArray) -> Vectors:
    lists = column.combine_chunks()
    valid = np.asarray(lists.is_valid())
    lengths = set(pc.list_value_length(lists).drop_null().to_pylist())
    if len(lengths) > 1:
        raise FeatureViewError(f"vectors of {len(lengths)} lengths in one column; build the features of the release")
    matrix = np.full((len(lists) + 1, lengths.pop() if lengths else 0), np.nan, np.float32)
    if matrix.shape[1]:
        flat = pc.list_flatten(lists).to_numpy(zero_copy_only=False)
        matrix[:-1][valid] = flat.reshape(-1, matrix.shape[1])
    return matrix


def _groups(entities: pa.Table, instants: Ints) -> Iterator[Ints]:
    """Rows of the same user and moment."""
    users = entities.column("user_id").combine_chunks()
    codes = users.indices if pa.types.is_dictionary(users.type) else users.dictionary_encode().indices
    key = np.asarray(codes.fill_null(-1), np.int64)
    order = np.lexsort((instants, key))
    changes = (np.diff(key[order]) != 0) | (np.diff(instants[order]) != 0)
    yield from np.split(order, np.flatnonzero(changes) + 1) if len(order) else ()


def _columns(found: Similarities, some: slice) -> dict[str, pa.Array]:
    columns = {
        PREFIX + name: pa.array(found.values[some, i], pa.float64(), from_pandas=True) for i, name in enumerate(NAMES)
    }
    histogram = found.histogram[some]
    flat = pa.array(np.ascontiguousarray(histogram).reshape(-1), pa.float32())
    lists = pa.FixedSizeListArray.from_arrays(flat, TIERS, mask=pa.array(np.isnan(histogram[:, 0])))
    return columns | {PREFIX + HISTOGRAM: lists.cast(pa.list_(pa.float32()))}
