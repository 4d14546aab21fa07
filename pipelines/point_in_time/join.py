"""The point-in-time join of entity rows with any number of feature histories.

First the keys and times alone are read and every entity row's winner is found (`slots.py`); then the features of the
winners are fetched. Both passes read one version of each table, fixed before the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipelines.errors import EntityFrameError
from pipelines.point_in_time.engines import Engine
from pipelines.point_in_time.entity_keys import KeyIndex, cast_key
from pipelines.point_in_time.history_files import FileColumn, HistoryFile, Range, read_rows, take_rows
from pipelines.point_in_time.history_plan import (
    History,
    bounds_of,
    files_of_places,
    files_that_matter,
    places_in,
)
from pipelines.point_in_time.instants import as_integers, event_and_created
from pipelines.point_in_time.slots import NONE, BestRows, Ints, Offers, Slots

_BATCH_ROWS = 65_536


@dataclass(frozen=True)
class Figures:
    """What a join read: files after skipping, and compressed bytes of the columns in their row groups."""

    files: int
    bytes_read: int


@dataclass(frozen=True)
class _Asked:
    """The slots of entity rows for one set of key columns, and each row's slot."""

    index: KeyIndex
    slots: Slots
    rows: Ints


@dataclass(frozen=True)
class _Scan:
    """What a process needs to find one view's winners."""

    columns: tuple[FileColumn, ...]
    keys: int
    index: KeyIndex
    slots: Slots
    bounds: dict[str, Range]
    late_rows: bool


@dataclass(frozen=True)
class _Found:
    """A view's features: `table` has a row per winner, `rows` each entity row's number in it, -1 for none."""

    history: History
    table: pa.Table
    rows: Ints


class Joined:
    """Entity rows, in their order and number, with the features known to each."""

    def __init__(self, entities: pa.Table, found: list[_Found], figures: Figures) -> None:
        self.entities = entities
        self.figures = figures
        self.versions = {f.history.view.name: f.history.version for f in found}
        self._found = found

    @property
    def schema(self) -> pa.Schema:
        fields = list(self.entities.schema)
        for found in self._found:
            fields += [pa.field(f.name, f.type) for f in found.table.schema]
        return pa.schema(fields, self.entities.schema.metadata)

    def features(self, rows: int = _BATCH_ROWS) -> Iterator[pa.Table]:
        """The features alone, in pieces of so many entity rows; at least one piece."""
        for start in range(0, max(len(self.entities), 1), rows):
            columns: list[pa.ChunkedArray] = []
            for found in self._found:
                numbers = found.rows[start : start + rows]
                positions = pa.array(numbers, mask=numbers < 0)
                columns += [column.take(positions) for column in found.table.columns]
            yield pa.table(columns, names=[name for found in self._found for name in found.table.column_names])

    def winners(self, view: str) -> tuple[pa.Table, Ints]:
        """The distinct rows of a view that were found, and each entity row's place among them, -1 for none."""
        [found] = [found for found in self._found if found.history.view.name == view]
        return found.table, found.rows

    def table(self) -> pa.Table:
        """The whole result in memory."""
        [features] = self.features(max(len(self.entities), 1))
        return pa.table([*self.entities.columns, *features.columns], schema=self.schema)


def point_in_time_join(
    entities: pa.Table,
    moments: pa.Array,
    histories: Sequence[History],
    engine: Engine,
    asked: pa.Array | None = None,
) -> Joined:
    """Join entity rows with what was known of each history at their moment (timestamps or dates; NULL knows nothing).

    Rows where `asked` (boolean) is false get NULL features. Raises EntityFrameError where an entity column does not
    fit a history's key, TableError where a table cannot be read.
    """
    _require_distinct_names(entities, histories)
    instants = as_integers(moments)
    mute = instants == NONE
    if asked is not None:
        mute |= ~asked.to_numpy(zero_copy_only=False).astype(bool)
    by_keys: dict[tuple[tuple[str, pa.DataType], ...], _Asked] = {}
    questions = [_asked(entities, history, instants, mute, by_keys) for history in histories]
    places, figures = _winners(histories, questions, engine)
    found, fetched = _fetched(histories, places, engine)
    rows = [_rows(q, at, unique) for q, at, (_, unique) in zip(questions, places, found, strict=True)]
    results = [_Found(h, table, r) for h, (table, _), r in zip(histories, found, rows, strict=True)]
    return Joined(entities, results, Figures(figures.files, figures.bytes_read + fetched))


def joined_slices(
    entities: pa.Table,
    moments: pa.Array,
    histories: Sequence[History],
    engine: Engine,
    rows_at_once: int,
    asked: pa.Array | None = None,
) -> Iterator[Joined]:
    """The join of so many entity rows at a time, in order; at least one slice.

    The slots are sent to every process: this bounds them. Each slice reads the keys and times of the histories anew.
    """
    for start in range(0, max(len(entities), 1), rows_at_once):
        mask = None if asked is None else asked.slice(start, rows_at_once)
        some, at = entities.slice(start, rows_at_once), moments.slice(start, rows_at_once)
        yield point_in_time_join(some, at, histories, engine, mask)


def _require_distinct_names(entities: pa.Table, histories: Sequence[History]) -> None:
    names = [*entities.column_names, *(name for history in histories for _, name in history.view.features)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise EntityFrameError(
            f"columns {', '.join(twice)} would be there twice; ask for full feature names, or rename entity columns"
        )


def _asked(
    entities: pa.Table,
    history: History,
    instants: Ints,
    mute: np.ndarray,
    known: dict[tuple[tuple[str, pa.DataType], ...], _Asked],
) -> _Asked:
    """Views over the same entity columns share their slots."""
    columns = tuple((name, to.type) for (name, _), to in zip(history.view.keys, history.keys, strict=True))
    if columns not in known:
        keys = [cast_key(entities.column(name), name, to) for name, to in columns]
        index, codes = KeyIndex.of(keys, len(entities))
        known[columns] = _Asked(index, *Slots.of(np.where(mute, -1, codes), instants))
    return known[columns]


def _winners(histories: Sequence[History], questions: list[_Asked], engine: Engine) -> tuple[list[Ints], Figures]:
    """The place of each slot's winner per view, -1 for none."""
    scans: list[_Scan | None] = []
    tasks: list[tuple[int, list[HistoryFile]]] = []
    for number, (history, question) in enumerate(zip(histories, questions, strict=True)):
        if not len(question.slots):
            scans.append(None)
            continue
        bounds = bounds_of(history, question.index, question.slots)
        files = files_that_matter(history, question.index, bounds)
        scans.append(
            _Scan(history.narrow, len(history.keys), question.index, question.slots, bounds, history.view.late_rows)
        )
        tasks += [(number, some) for some in grouped(files, engine.parallelism)]
    best = [BestRows(question.slots) for question in questions]
    size = 0
    for (number, _), (offers, read) in zip(tasks, engine.run(_scan, scans, tasks), strict=True):
        best[number].merge(offers)
        size += read
    files_read = sum(len({f.number for f in files}) for _, files in tasks)
    return [b.winners(h.ttl) for b, h in zip(best, histories, strict=True)], Figures(files_read, size)


def grouped(files: list[HistoryFile], parallelism: int) -> list[list[HistoryFile]]:
    """Files in a few groups of about equal size: each group costs a process, and an answer of all slots' best rows."""
    groups: list[list[HistoryFile]] = [[] for _ in range(min(len(files), 2 * parallelism))]
    sizes = [0] * len(groups)
    for file in sorted(files, key=lambda f: -f.size):
        smallest = sizes.index(min(sizes))
        groups[smallest].append(file)
        sizes[smallest] += file.size
    return groups


def _scan(scans: list[_Scan | None], task: tuple[int, list[HistoryFile]]) -> tuple[Offers, int]:
    """In a process of the engine: the best rows of some files, and the bytes read."""
    number, files = task
    scan = scans[number]
    assert scan is not None
    best = BestRows(scan.slots)
    size = 0
    for file in files:
        for rows in read_rows(file, scan.columns, scan.bounds):
            size += rows.bytes_read
            keys, times = rows.columns[: scan.keys], rows.columns[scan.keys :]
            codes = scan.index.codes(keys, len(rows.numbers))
            events, created = event_and_created(times)
            best.add(codes, events, created, places_in(file, rows.numbers), late_rows=scan.late_rows)
    return best.offers(), size


def _fetched(
    histories: Sequence[History], places: list[Ints], engine: Engine
) -> tuple[list[tuple[pa.Table, Ints]], int]:
    """Per view the features of its distinct winners, renamed, with the winners' places (ascending)."""
    tasks: list[tuple[int, HistoryFile, Ints]] = []
    distinct = [np.unique(at[at >= 0]) for at in places]
    for number, (history, wanted) in enumerate(zip(histories, distinct, strict=True)):
        if history.features:
            tasks += [(number, file, rows) for file, rows in files_of_places(history, wanted)]
    parts: list[list[pa.Table]] = [[_features(history)] for history in histories]
    size = 0
    columns = [history.features for history in histories]
    for (number, _, _), (table, read) in zip(tasks, engine.run(_fetch, columns, tasks), strict=True):
        parts[number].append(table.rename_columns(parts[number][0].column_names))
        size += read
    return [(pa.concat_tables(p).combine_chunks(), at) for p, at in zip(parts, distinct, strict=True)], size


def _features(history: History) -> pa.Table:
    """No rows of a view's features, by their output names."""
    fields = [(name, column.type) for (_, name), column in zip(history.view.features, history.features, strict=True)]
    return pa.schema(fields).empty_table()


def _fetch(columns: list[tuple[FileColumn, ...]], task: tuple[int, HistoryFile, Ints]) -> tuple[pa.Table, int]:
    """In a process of the engine: the features of some rows of a file, and the bytes read."""
    number, file, wanted = task
    rows = take_rows(file, columns[number], wanted)
    return pa.table(rows.columns, names=[str(i) for i in range(len(rows.columns))]), rows.bytes_read


def _rows(question: _Asked, places: Ints, distinct: Ints) -> Ints:
    """Each entity row's winner as a number among the distinct winners, -1 for none."""
    if not len(places):
        return np.full(len(question.rows), -1, np.int64)
    of_slot = np.where(places >= 0, np.searchsorted(distinct, places), -1)
    return np.where(question.rows >= 0, of_slot[question.rows], -1)
