"""What has to be read of a feature view's history: columns, and the files that can matter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import TableNotFoundError, UnsupportedTableError
from pipelines.point_in_time.delta_log import DataFile, Snapshot, read_snapshot
from pipelines.point_in_time.entity_keys import KeyIndex
from pipelines.point_in_time.history_files import FileColumn, HistoryFile, Range, overlap
from pipelines.point_in_time.instants import micros_of
from pipelines.point_in_time.slots import Ints, Slots

# A file is read in shares of about this size, so that one large file keeps several processes busy.
SHARE_BYTES = 64 * 2**20
# The version of a table that does not exist.
NO_TABLE = -1
_ROW_BITS = 36
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class HistoryView:
    """A feature view as the join sees it.

    `keys` pairs each entity column with the history's column, `features` each history column with its output name.
    `where` are values that partition columns must have. `version` None is the newest, NO_TABLE stands for no rows.
    `schema` holds the columns' types for a table that does not exist yet: its features are NULL; without it such a
    table is an error.
    With `late_rows` a row counts from its event_timestamp on, whenever it was created: created_at breaks ties alone.
    """

    name: str
    location: str
    keys: tuple[tuple[str, str], ...]
    event_timestamp: str
    created_at: str | None
    features: tuple[tuple[str, str], ...]
    ttl: timedelta | None = None
    where: Mapping[str, str] | None = None
    version: int | None = None
    schema: pa.Schema | None = None
    late_rows: bool = False


@dataclass(frozen=True)
class History:
    """A view's table at one version: the columns to read and the files of the wanted partitions."""

    view: HistoryView
    version: int
    location: str
    keys: tuple[FileColumn, ...]
    times: tuple[FileColumn, ...]
    features: tuple[FileColumn, ...]
    files: tuple[tuple[int, DataFile], ...]

    @property
    def narrow(self) -> tuple[FileColumn, ...]:
        """Keys, then event_timestamp, then created_at where there is one."""
        return (*self.keys, *self.times)

    def without_features(self) -> History:
        """Keys and times alone."""
        return replace(self, features=(), view=replace(self.view, features=()))

    @property
    def bytes(self) -> int:
        """Size of the files of the wanted partitions."""
        return sum(file.size for _, file in self.files)

    @property
    def ttl(self) -> int:
        """Microseconds, 0: no bound."""
        return micros_of(self.view.ttl)


def open_history(view: HistoryView) -> History:
    """Read the log of the view's table.

    Raises TableNotFoundError, VersionGoneError, UnsupportedTableError, and KeyError for a column that is not there.
    """
    snapshot = _snapshot(view)
    files = [(number, file) for number, file in enumerate(snapshot.files) if _chosen(file, view, snapshot)]
    times = [view.event_timestamp, *([view.created_at] if view.created_at else [])]
    return History(
        view=view,
        version=snapshot.version,
        location=view.location,
        keys=tuple(_column(snapshot, name) for _, name in view.keys),
        times=tuple(_column(snapshot, name) for name in times),
        features=tuple(_column(snapshot, name) for name, _ in view.features),
        files=tuple(files),
    )


def _snapshot(view: HistoryView) -> Snapshot:
    if view.version != NO_TABLE:
        try:
            return read_snapshot(view.location, view.version)
        except TableNotFoundError:
            if view.schema is None or view.version is not None:
                raise
    schema = view.schema or pa.schema([])
    return Snapshot(view.location, NO_TABLE, schema, {name: name for name in schema.names}, (), ())


def _column(snapshot: Snapshot, name: str) -> FileColumn:
    if name not in snapshot.physical:
        raise KeyError(f"table {snapshot.location} has no column '{name}'; there: {', '.join(snapshot.physical)}")
    kind = snapshot.schema.field(name).type
    if _has_null(kind) or (snapshot.physical[name] != name and _has_struct(kind)):
        raise UnsupportedTableError(f"column '{name}' of table {snapshot.location}: use the Spark engine")
    return FileColumn(name, snapshot.physical[name], kind)


def _has_null(kind: pa.DataType) -> bool:
    return pa.types.is_null(kind) or any(_has_null(kind.field(i).type) for i in range(kind.num_fields))


def _has_struct(kind: pa.DataType) -> bool:
    return pa.types.is_struct(kind) or any(_has_struct(kind.field(i).type) for i in range(kind.num_fields))


def _chosen(file: DataFile, view: HistoryView, snapshot: Snapshot) -> bool:
    for column, value in (view.where or {}).items():
        if column not in snapshot.partition_columns:
            raise UnsupportedTableError(f"table {view.location} is not partitioned by '{column}'; use the Spark engine")
        if file.partition[column] != value:
            return False
    return True


def bounds_of(history: History, index: KeyIndex, slots: Slots) -> dict[str, Range]:
    """By physical column name, between which values a row must lie to be anybody's winner."""
    oldest = slots.earliest - history.ttl if history.ttl else None
    # created_at bounds nothing: statistics leave out its nulls, and a row without one may win.
    event = history.times[0].physical
    bounds: dict[str, Range] = {event: (_instant(oldest), _instant(slots.latest))}
    for column, values in zip(history.keys, index.values, strict=True):
        if pa.types.is_string(values.type) or pa.types.is_integer(values.type):
            extremes = pc.min_max(values)
            bounds[column.physical] = (extremes["min"].as_py(), extremes["max"].as_py())
    return bounds


def _instant(micros: int | None) -> datetime | None:
    try:
        return None if micros is None else _EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        return None


def files_that_matter(history: History, index: KeyIndex, bounds: Mapping[str, Range]) -> list[HistoryFile]:
    """The files that may hold a row within the bounds, and of a key asked for; large ones in shares."""
    return [
        share
        for number, file in history.files
        if _may_matter(file, history, index, bounds)
        for share in _shares(history, number, file)
    ]


def all_files(history: History) -> list[HistoryFile]:
    """Every file of the wanted partitions; large ones in shares."""
    return [share for number, file in history.files for share in _shares(history, number, file)]


def places_in(file: HistoryFile, rows: Ints) -> Ints:
    """Rows of a file as places: the file's number and the row's number in it, as one whole number."""
    return rows + (file.number << _ROW_BITS)


def files_of_places(history: History, places: Ints) -> Iterator[tuple[HistoryFile, Ints]]:
    """The files, in shares, that hold the places (ascending), each with the numbers of the rows wanted of the file."""
    numbers = places >> _ROW_BITS
    for number, file in history.files:
        first, last = np.searchsorted(numbers, [number, number + 1])
        if first < last:
            rows = places[first:last] & ((1 << _ROW_BITS) - 1)
            for share in _shares(history, number, file):
                yield share, rows


def _shares(history: History, number: int, file: DataFile) -> Iterator[HistoryFile]:
    whole = HistoryFile(history.location, number, file.path, file.size, file.partition, file.deletion_vector)
    parts = max(1, file.size // SHARE_BYTES)
    for part in range(parts):
        yield replace(whole, size=file.size // parts, part=part, parts=parts)


def _may_matter(file: DataFile, history: History, index: KeyIndex, bounds: Mapping[str, Range]) -> bool:
    statistics = file.statistics()
    least, greatest = statistics.get("minValues", {}), statistics.get("maxValues", {})
    event = history.times[0].physical
    if not overlap(*file.instants(event), bounds[event]):
        return False
    for position, column in enumerate(history.keys):
        low, high = least.get(column.physical), greatest.get(column.physical)
        if low is None or high is None or column.physical not in bounds:
            continue
        if not index.may_hold(position, pa.scalar(low, column.type), pa.scalar(high, column.type)):
            return False
    return True
