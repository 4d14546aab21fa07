"""A Delta table's log, read without Spark: schema and data files of a version, with what is needed to skip files.

Deletion vectors and column mapping by name are honoured; a table that asks its readers for more than is known here is
refused with UnsupportedTableError, never read wrongly.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from pipelines.errors import TableNotFoundError, UnsupportedTableError, VersionGoneError
from pipelines.tables.arrow_types import arrow_type

# What a reader must know to read a table, and this one does.
_KNOWN_FEATURES = frozenset({"deletionVectors", "columnMapping", "timestampNtz", "vacuumProtocolCheck"})
_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint(?:\.(\d{10})\.(\d{10}))?\.parquet")
# Checkpoints of the second kind, which only Spark reads.
_V2_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint\.[0-9a-f-]{36}\.(?:parquet|json)")
# Statistics cut timestamps to whole milliseconds.
_MILLISECOND = timedelta(milliseconds=1)
_LAST = datetime.max.replace(tzinfo=UTC)
_SCHEMES = {"s3a": "s3", "s3n": "s3"}
_ACTIONS = ("add", "remove", "metaData", "protocol")


def open_filesystem(location: str) -> tuple[fs.FileSystem, str]:
    """The file system of a folder or URI, and the folder's path in it.

    Raises UnsupportedTableError where only Hadoop knows the scheme.
    """
    scheme, separator, rest = location.partition("://")
    uri = f"{_SCHEMES.get(scheme, scheme)}://{rest}" if separator else location
    try:
        system, path = fs.FileSystem.from_uri(uri)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise UnsupportedTableError(f"table {location}: {str(error).splitlines()[0]}") from error
    return system, path.rstrip("/")


@dataclass(frozen=True)
class DataFile:
    """A Parquet file of a version. `partition` maps logical column names to their text, None for null."""

    path: str
    size: int
    partition: Mapping[str, str | None]
    stats: str | None
    deletion_vector: Mapping[str, Any] | None

    def statistics(self) -> dict[str, Any]:
        """`numRecords`, `minValues`, `maxValues`, by physical column names; empty where nothing was written."""
        return json.loads(self.stats) if self.stats else {}

    @property
    def rows(self) -> int:
        """Rows that are not deleted; 0 where the writer left no statistics."""
        deleted = (self.deletion_vector or {}).get("cardinality", 0)
        return max(0, self.statistics().get("numRecords", 0) - deleted)

    def instants(self, column: str) -> tuple[datetime | None, datetime | None]:
        """Bounds of a timestamp column's values, by its physical name; None where nothing is known. Aware, UTC."""
        statistics = self.statistics()
        least, greatest = (_instant(statistics.get(bound, {}).get(column)) for bound in ("minValues", "maxValues"))
        if greatest is None or greatest > _LAST - _MILLISECOND:
            return least, None
        return least, greatest + _MILLISECOND


def _instant(text: Any) -> datetime | None:
    if not isinstance(text, str):
        return None
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Snapshot:
    """A version of a table. `schema` and `partition_columns` hold logical names, `physical` those in the files."""

    location: str
    version: int
    schema: pa.Schema
    physical: Mapping[str, str]
    partition_columns: tuple[str, ...]
    files: tuple[DataFile, ...]


def read_snapshot(location: str, version: int | None = None) -> Snapshot:
    """The newest version of the table at a folder or URI, or the one asked for. Files are sorted by path.

    Raises TableNotFoundError, VersionGoneError where the log no longer reaches back, UnsupportedTableError.
    """
    system, path = open_filesystem(location)
    commits, checkpoints = _log_files(system, f"{path}/_delta_log")
    newest = max([*commits, *checkpoints], default=None)
    if newest is None:
        raise TableNotFoundError(f"there is no Delta table at {location}")
    wanted = newest if version is None else version
    if wanted > newest:
        raise VersionGoneError(f"table {location} has no version {wanted}; the newest is {newest}")
    base = max((v for v in checkpoints if v <= wanted), default=-1)
    needed = range(base + 1, wanted + 1)
    if missing := [v for v in needed if v not in commits]:
        if any(v <= wanted for v in _checkpoints_for_spark(system, f"{path}/_delta_log")):
            raise UnsupportedTableError(f"table {location} has checkpoints of version 2; use the Spark engine")
        raise VersionGoneError(
            f"version {wanted} of table {location} can no longer be rebuilt: its log does not hold version "
            f"{missing[0]} any more (log retention), and no checkpoint before"
        )
    return _replayed(location, path, wanted, _actions(system, checkpoints.get(base, []), [commits[v] for v in needed]))


def newest_version(location: str) -> int | None:
    """The newest version of the table, None where there is none."""
    system, path = open_filesystem(location)
    commits, checkpoints = _log_files(system, f"{path}/_delta_log")
    return max([*commits, *checkpoints], default=None)


def _log_files(system: fs.FileSystem, log: str) -> tuple[dict[int, str], dict[int, list[str]]]:
    """Commits and complete checkpoints by version."""
    commits: dict[int, str] = {}
    parts: dict[tuple[int, int], list[str]] = {}
    for info in system.get_file_info(fs.FileSelector(log, allow_not_found=True)):
        if found := _COMMIT.fullmatch(info.base_name):
            commits[int(found[1])] = info.path
        elif found := _CHECKPOINT.fullmatch(info.base_name):
            parts.setdefault((int(found[1]), int(found[3] or 1)), []).append(info.path)
    return commits, {version: paths for (version, count), paths in parts.items() if len(paths) == count}


def _checkpoints_for_spark(system: fs.FileSystem, log: str) -> list[int]:
    names = (info.base_name for info in system.get_file_info(fs.FileSelector(log)))
    return [int(found[1]) for name in names if (found := _V2_CHECKPOINT.fullmatch(name))]


def _actions(system: fs.FileSystem, checkpoint: list[str], commits: list[str]) -> Iterator[list[dict[str, Any]]]:
    """The actions of the checkpoint, then of each commit."""
    for path in checkpoint:
        with system.open_input_file(path) as file:
            parquet = pq.ParquetFile(file)
            present = [name for name in _ACTIONS if name in parquet.schema_arrow.names]
            yield parquet.read(columns=present).to_pylist(maps_as_pydicts="strict")
    for path in commits:
        with system.open_input_stream(path) as file:
            yield [json.loads(line) for line in file.read().splitlines() if line]


def _replayed(location: str, path: str, version: int, steps: Iterator[list[dict[str, Any]]]) -> Snapshot:
    added: dict[tuple[str, str], dict[str, Any]] = {}
    metadata: dict[str, Any] = {}
    protocol: dict[str, Any] = {}
    for actions in steps:
        for action in actions:
            metadata = action.get("metaData") or metadata
            protocol = action.get("protocol") or protocol
            if gone := action.get("remove"):
                added.pop(_identity(gone), None)
        for action in actions:
            if new := action.get("add"):
                added[_identity(new)] = new
    _require_readable(location, protocol, metadata)
    fields = json.loads(metadata["schemaString"])["fields"]
    physical = {f["name"]: f.get("metadata", {}).get("delta.columnMapping.physicalName", f["name"]) for f in fields}
    partition = tuple(metadata.get("partitionColumns") or ())
    files = [_data_file(path, add, {physical[name]: name for name in partition}) for add in added.values()]
    return Snapshot(
        location=location,
        version=version,
        schema=pa.schema([(f["name"], arrow_type(f["type"])) for f in fields]),
        physical=physical,
        partition_columns=partition,
        files=tuple(sorted(files, key=lambda file: file.path)),
    )


def _identity(action: Mapping[str, Any]) -> tuple[str, str]:
    """A file may be removed with one deletion vector and added with another in one commit."""
    vector = action.get("deletionVector") or {}
    return action["path"], f"{vector.get('storageType')}{vector.get('pathOrInlineDv')}@{vector.get('offset')}"


def _data_file(table: str, add: Mapping[str, Any], partition: Mapping[str, str]) -> DataFile:
    name = unquote(add["path"])
    values = add.get("partitionValues") or {}
    absolute = "://" in name or name.startswith("/")
    return DataFile(
        path=open_filesystem(name)[1] if absolute else f"{table}/{name}",
        size=add["size"],
        partition={logical: values.get(stored) or None for stored, logical in partition.items()},
        stats=add.get("stats"),
        deletion_vector=add.get("deletionVector"),
    )


def _require_readable(location: str, protocol: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
    unknown = sorted(set(protocol.get("readerFeatures") or ()) - _KNOWN_FEATURES)
    if unknown or protocol["minReaderVersion"] > 3:
        raise UnsupportedTableError(
            f"table {location} needs a reader that knows {', '.join(unknown) or 'a newer protocol'}; "
            "use the Spark engine"
        )
    mode = (metadata.get("configuration") or {}).get("delta.columnMapping.mode", "none")
    if mode == "id":
        raise UnsupportedTableError(f"table {location} maps its columns by id; use the Spark engine")
