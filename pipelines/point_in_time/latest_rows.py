"""A history by itself, without entity rows: all rows of a time range, or the newest row of each key in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from pipelines.point_in_time.engines import Engine
from pipelines.point_in_time.entity_keys import KeyIndex
from pipelines.point_in_time.history_files import FileColumn, HistoryFile, Range, read_rows, take_rows
from pipelines.point_in_time.history_plan import History, all_files, files_of_places, places_in
from pipelines.point_in_time.instants import as_integers, event_and_created
from pipelines.point_in_time.join import grouped
from pipelines.point_in_time.slots import NONE, Ints

_EVENT, _CREATED, _PLACE = "\0event", "\0created", "\0place"


@dataclass(frozen=True)
class _Reading:
    """What a process needs: columns (of which the first `keys` are keys, then the times) and the time range."""

    columns: tuple[FileColumn, ...]
    keys: int
    start: int
    end: int
    bounds: dict[str, Range]

    def covers(self, events: Ints) -> pa.Array:
        """Whether each instant lies in the range."""
        return pa.array((events != NONE) & (events >= self.start) & (events <= self.end))


def all_rows(history: History, start: datetime, end: datetime, engine: Engine) -> pa.Table:
    """Keys, times and features of the rows with start ≤ event_timestamp ≤ end, by their names in the table."""
    reading = _reading(history, start, end, (*history.narrow, *history.features))
    tasks = grouped(all_files(history), engine.parallelism)
    return pa.concat_tables([_schema(reading.columns).empty_table(), *engine.run(_read, reading, tasks)])


def latest_rows(history: History, start: datetime, end: datetime, engine: Engine) -> pa.Table:
    """As `all_rows`, but of each key the row with the greatest event_timestamp, then created_at, then place.

    Rows without a key (a NULL in it) are left out.
    """
    reading = _reading(history, start, end, history.narrow)
    tasks = grouped(all_files(history), engine.parallelism)
    parts = list(engine.run(_newest_of_files, reading, tasks))
    columns = (*history.narrow, *history.features)
    if not parts:
        return _schema(columns).empty_table()
    places = np.sort(_newest(pa.concat_tables(parts)).column(_PLACE).to_numpy())
    fetches = list(files_of_places(history, places))
    return pa.concat_tables([_schema(columns).empty_table(), *engine.run(_fetch, columns, fetches)])


def _reading(history: History, start: datetime, end: datetime, columns: Sequence[FileColumn]) -> _Reading:
    since, until = (at if at.tzinfo else at.replace(tzinfo=UTC) for at in (start, end))
    first, last = as_integers(pa.array([since, until], pa.timestamp("us", tz="UTC")))
    bounds: dict[str, Range] = {history.times[0].physical: (since, until)}
    return _Reading(tuple(columns), len(history.keys), int(first), int(last), bounds)


def _schema(columns: Sequence[FileColumn]) -> pa.Schema:
    return pa.schema([(c.name, c.type) for c in columns])


def _read(reading: _Reading, files: list[HistoryFile]) -> pa.Table:
    """In a process of the engine: the rows of some files that lie in the range."""
    tables = [_schema(reading.columns).empty_table()]
    for file in files:
        for rows in read_rows(file, reading.columns, reading.bounds):
            table = pa.table(rows.columns, names=[c.name for c in reading.columns])
            inside = reading.covers(as_integers(table.column(reading.keys)))
            tables.append(table.filter(inside).cast(tables[0].schema))
    return pa.concat_tables(tables)


def _newest_of_files(reading: _Reading, files: list[HistoryFile]) -> pa.Table:
    """In a process of the engine: of each key of some files its newest row: keys, times and place."""
    names = [str(i) for i in range(reading.keys)]
    types = [c.type for c in reading.columns[: reading.keys]]
    parts = [
        pa.schema(
            [*zip(names, types, strict=True), *((n, pa.int64()) for n in (_EVENT, _CREATED, _PLACE))]
        ).empty_table()
    ]
    for file in files:
        for rows in read_rows(file, reading.columns, reading.bounds):
            keys, times = rows.columns[: reading.keys], rows.columns[reading.keys :]
            events, created = event_and_created(times)
            numbers = pa.array(places_in(file, rows.numbers))
            table = pa.table([*keys, pa.array(events), pa.array(created), numbers], names=parts[0].column_names)
            parts.append(_newest(table.filter(reading.covers(events)).cast(parts[0].schema)))
    return _newest(pa.concat_tables(parts))


def _newest(table: pa.Table) -> pa.Table:
    keys = [name for name in table.column_names if name not in (_EVENT, _CREATED, _PLACE)]
    _, codes = KeyIndex.of([table.column(name) for name in keys], len(table))
    order = np.lexsort([table.column(name).to_numpy() for name in (_PLACE, _CREATED, _EVENT)] + [codes])
    sorted_codes = codes[order]
    last = np.append(sorted_codes[1:] != sorted_codes[:-1], np.ones(min(len(order), 1), bool))
    return table.take(pa.array(order[last & (sorted_codes >= 0)]))


def _fetch(columns: Sequence[FileColumn], task: tuple[HistoryFile, Ints]) -> pa.Table:
    """In a process of the engine: the columns of some rows of a file."""
    file, wanted = task
    return pa.table(take_rows(file, columns, wanted).columns, schema=_schema(columns))
