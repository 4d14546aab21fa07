"""What lies in a drop: the files of each source table, found by the table's name, through Hadoop's file systems."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from pipelines.errors import DropNotFoundError, UnreadableFileError
from pipelines.sources.contract import SOURCES

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_FORMATS = {"csv": "csv", "jsonl": "json", "ndjson": "json", "json": "json", "parquet": "parquet"}
# How Spark says that a data file is damaged or of another format, wherever in a job it met it.
_UNREADABLE = re.compile(r"\[FAILED_READ_FILE\.\w+\] Encountered error while reading file (.+?)\.\s")
_FILE = re.compile(r"^(?P<stem>.+?)\.(?P<ending>csv|jsonl|ndjson|json|parquet)(\.(gz|bz2|zst|lz4|snappy))?$")


@dataclass(frozen=True)
class TableFiles:
    """Files of one source table that share a format: csv, json, parquet, or delta (then the table's folder)."""

    source: str
    format: str
    paths: tuple[str, ...]


@dataclass(frozen=True)
class Drop:
    """A drop: where it is (absolute path or URI), its tables, and the entries that are neither table nor media."""

    location: str
    tables: tuple[TableFiles, ...]
    ignored: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.location.rstrip("/").rsplit("/", 1)[-1]

    @property
    def is_local(self) -> bool:
        return "://" not in self.location

    def of(self, source: str) -> tuple[TableFiles, ...]:
        return tuple(t for t in self.tables if t.source == source)

    def relative(self, path: str) -> str:
        return path.removeprefix("file:").removeprefix(self.location).lstrip("/")


@dataclass(frozen=True)
class Entry:
    """A file or folder as Hadoop lists it; `path` without the scheme where it is local."""

    path: str
    name: str
    is_folder: bool
    length: int


def require_folder(path: str) -> None:
    """Raise DropNotFoundError where a drop on this machine is not there; needs no Spark."""
    location = _absolute(path)
    if "://" not in location and not Path(location).exists():
        raise _no_drop(path)


def open_drop(spark: SparkSession, path: str) -> Drop:
    """Look through the top of a drop and into the folders that bear a table's name.

    Raises DropNotFoundError where there is no such folder, it cannot be listed, or it holds none of the tables.
    """
    location = _absolute(path)
    try:
        if not file_system(spark, location).exists(_hadoop_path(spark, location)):
            raise _no_drop(path)
        entries = list_folder(spark, location)
        tables = tuple(t for e in entries for t in _tables_of(spark, e))
    except Py4JJavaError as error:
        reason = str(error.java_exception.getMessage()).splitlines()[0]
        if "ClassNotFoundException" in reason:
            reason += ". Put the file system's connector on Spark's class path (for s3a: hadoop-aws)"
        raise DropNotFoundError(f"the drop at {path} cannot be read: {reason}") from error
    if not tables:
        raise DropNotFoundError(
            f"nothing at {path} is a source table; expected a file or folder named one of {', '.join(SOURCES)} "
            f"(CSV, JSON Lines, Parquet or Delta), found: {', '.join(e.name for e in entries) or 'nothing'}."
        )
    taken = {e.name for e in entries for t in tables if t.paths[0].startswith(e.path)}
    ignored = (e.name for e in entries if e.name not in taken and not (e.is_folder and e.name == "media"))
    return Drop(location, tables, tuple(sorted(ignored)))


@contextmanager
def readable(drop: Drop) -> Iterator[None]:
    """Work that reads a drop's files; one that cannot be read becomes UnreadableFileError."""
    try:
        yield
    except (Py4JJavaError, PySparkException) as error:
        found = _UNREADABLE.search(str(error))
        file = unquote(found[1]) if found else ""
        if not file or drop.location not in file:
            raise
        raise UnreadableFileError(
            f"file {drop.relative(_plain(file))} of the drop cannot be read: it is damaged, or not of the format "
            "that its name says. Bring it anew or take it out, then run the drop again."
        ) from error


def _no_drop(path: str) -> DropNotFoundError:
    return DropNotFoundError(f"there is no drop at {path}. Give the folder that holds the source tables.")


def list_folder(spark: SparkSession, folder: str) -> list[Entry]:
    """Entries by name; hidden files and writers' markers are left out, `_delta_log` is not."""
    statuses = file_system(spark, folder).listStatus(_hadoop_path(spark, folder))
    entries = (
        Entry(_plain(s.getPath().toString()), s.getPath().getName(), s.isDirectory(), s.getLen()) for s in statuses
    )
    visible = (e for e in entries if e.name == "_delta_log" or not e.name.startswith((".", "_")))
    return sorted(visible, key=lambda e: e.name)


def files_below(spark: SparkSession, folder: str) -> list[Entry]:
    """All files of a folder and its sub-folders, by path."""
    found: list[Entry] = []
    for entry in list_folder(spark, folder):
        found += files_below(spark, entry.path) if entry.is_folder else [entry]
    return found


def file_system(spark: SparkSession, location: str) -> Any:
    return _hadoop_path(spark, location).getFileSystem(spark._jsc.hadoopConfiguration())


def _tables_of(spark: SparkSession, entry: Entry) -> list[TableFiles]:
    if not entry.is_folder:
        match = _FILE.match(entry.name)
        known = match is not None and match["stem"] in SOURCES
        return [TableFiles(match["stem"], _FORMATS[match["ending"]], (entry.path,))] if match and known else []
    if entry.name not in SOURCES:
        return []
    if any(e.name == "_delta_log" for e in list_folder(spark, entry.path)):
        return [TableFiles(entry.name, "delta", (entry.path,))]
    by_format: dict[str, list[str]] = {}
    for file in files_below(spark, entry.path):
        match = _FILE.match(file.name)
        if match:
            by_format.setdefault(_FORMATS[match["ending"]], []).append(file.path)
    return [TableFiles(entry.name, form, tuple(paths)) for form, paths in sorted(by_format.items())]


def _absolute(path: str) -> str:
    if "://" in path and not path.startswith("file://"):
        return path.rstrip("/")
    return str(Path(path.removeprefix("file://")).expanduser().resolve())


def _plain(uri: str) -> str:
    return re.sub(r"^file:(//)?(?=/)", "", uri)


def _hadoop_path(spark: SparkSession, location: str) -> Any:
    return spark._jvm.org.apache.hadoop.fs.Path(location)  # type: ignore[union-attr]
