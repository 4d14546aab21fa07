"""Packed rows in an SQLite file, for one machine. `type: pipelines.online.sqlite_store.SqliteOnlineStore`."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from feast.repo_config import RepoConfig

from pipelines.errors import OnlineStoreError, OnlineStoreUnreachableError
from pipelines.online.keys import project_prefix
from pipelines.online.layout import LAYOUT, times_of
from pipelines.online.rows import Held, Reading, Row
from pipelines.online.store import PackedOnlineStore, PackedOnlineStoreConfig

_KEYS_PER_QUERY = 500
_TABLES = """
CREATE TABLE rows (
  key BLOB, field BLOB, event INTEGER NOT NULL, created INTEGER NOT NULL, packed BLOB NOT NULL,
  PRIMARY KEY (key, field)
) WITHOUT ROWID;
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_PUT = """
INSERT INTO rows VALUES (?, ?, ?, ?, ?) ON CONFLICT (key, field) DO UPDATE
SET event = excluded.event, created = excluded.created, packed = excluded.packed
WHERE (excluded.event, excluded.created) >= (event, created)
"""
_SAY = "INSERT INTO about VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"


class SqliteOnlineStoreConfig(PackedOnlineStoreConfig):
    """`online_store` in feature_store.yaml."""

    type: Literal["pipelines.online.sqlite_store.SqliteOnlineStore"] = "pipelines.online.sqlite_store.SqliteOnlineStore"
    path: str = "online.db"
    # Longest wait for another writer.
    timeout_seconds: float = 5.0


class SqliteOnlineStore(PackedOnlineStore):
    """See the module."""

    def _open(self, config: RepoConfig) -> SqliteRows:
        path = Path(config.online_store.path)
        if config.repo_path and not path.is_absolute():
            path = Path(config.repo_path) / path
        return SqliteRows(path, config.project, config.online_store.timeout_seconds)


class SqliteRows:
    """A RowKeeper. A file of another layout, Feast's own included, reads as empty and is made anew by the first write.

    Every thread has a connection of its own.
    """

    def __init__(self, path: Path, project: str, timeout_seconds: float) -> None:
        self._path = path
        self._timeout = timeout_seconds
        self._prefix = project_prefix(project)
        self._about = f"{project}:"
        self._threads = threading.local()

    def put(self, rows: Sequence[Row], schemas: Mapping[int, str]) -> int:
        with self._writing() as connection:
            connection.executemany(_SAY, [(self._schema(f), text) for f, text in schemas.items()])
            done = connection.executemany(_PUT, ((r.key, r.field, *times_of(r.packed), r.packed) for r in rows))
            return done.rowcount

    def read(self, keys: Sequence[bytes], fields: Sequence[bytes]) -> Reading:
        found: dict[tuple[bytes, bytes], bytes] = {}
        with self._reading() as connection:
            if connection is None:
                return Reading([[None] * len(fields) for _ in keys], None, 0)
            for start in range(0, len(keys), _KEYS_PER_QUERY):
                some = keys[start : start + _KEYS_PER_QUERY]
                where = f"key IN ({_marks(some)}) AND field IN ({_marks(fields)})"
                query = f"SELECT key, field, packed FROM rows WHERE {where}"
                found |= {(k, f): packed for k, f, packed in connection.execute(query, [*some, *fields])}
            said = self._said(connection, "mark", "generation")
        rows = [[found.get((key, field)) for field in fields] for key in keys]
        return Reading(rows, said.get("mark"), int(said.get("generation", 0)))

    def held(self, fields: Sequence[bytes]) -> list[Held]:
        with self._reading() as connection:
            if connection is None:
                return [Held(0, 0)] * len(fields)
            query = "SELECT field, count(*), sum(length(packed)) FROM rows WHERE substr(key, 1, ?) = ? GROUP BY field"
            found = connection.execute(query, [len(self._prefix), self._prefix])
            by_field = {field: Held(rows, size) for field, rows, size in found}
        return [by_field.get(field, Held(0, 0)) for field in fields]

    def delete_keys(self, keys: Sequence[bytes]) -> int:
        with self._writing() as connection:
            gone = 0
            for key in keys:
                gone += connection.execute("DELETE FROM rows WHERE key = ?", [key]).rowcount > 0
            return gone

    def delete_fields(self, fields: Sequence[bytes]) -> None:
        with self._writing() as connection:
            beginning = "substr(key, 1, ?) = ?"
            query = f"DELETE FROM rows WHERE {beginning} AND field IN ({_marks(fields)})"
            connection.execute(query, [len(self._prefix), self._prefix, *fields])

    def delete_everything(self) -> None:
        with self._writing() as connection:
            connection.execute("DELETE FROM rows WHERE substr(key, 1, ?) = ?", [len(self._prefix), self._prefix])
            connection.execute("DELETE FROM about WHERE substr(name, 1, ?) = ?", [len(self._about), self._about])

    def schema(self, fingerprint: int) -> str | None:
        with self._reading() as connection:
            name = f"schema:{fingerprint:08x}"
            return None if connection is None else self._said(connection, name).get(name)

    def set_mark(self, mark: str, *, only_if_none: bool = False) -> None:
        with self._writing() as connection:
            say = "INSERT OR IGNORE INTO about VALUES (?, ?)" if only_if_none else _SAY
            connection.execute(say, [f"{self._about}mark", mark])

    def mark(self) -> str | None:
        with self._reading() as connection:
            return None if connection is None else self._said(connection, "mark").get("mark")

    def raise_generation(self) -> None:
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO about VALUES (?, '1') ON CONFLICT (name) DO UPDATE SET value = value + 1",
                [f"{self._about}generation"],
            )

    def _schema(self, fingerprint: int) -> str:
        return f"{self._about}schema:{fingerprint:08x}"

    def _said(self, connection: sqlite3.Connection, *names: str) -> dict[str, str]:
        query = f"SELECT name, value FROM about WHERE name IN ({_marks(names)})"
        rows = connection.execute(query, [self._about + name for name in names])
        return {name.removeprefix(self._about): value for name, value in rows}

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """A connection within one read transaction; None where there is no file of this layout."""
        with _told(self._path):
            connection = self._connection() if self._path.is_file() else None
            if connection is None or _layout(connection) != LAYOUT:
                yield None
                return
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.rollback()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A connection within one write transaction."""
        with _told(self._path):
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                if _layout(connection) != LAYOUT:
                    _make_anew(connection)
                yield connection
                connection.commit()
            except BaseException:
                connection.rollback()
                raise

    def _connection(self) -> sqlite3.Connection:
        held: tuple[sqlite3.Connection, int] | None = getattr(self._threads, "held", None)
        # A file that was deleted or replaced is another one.
        inode = self._path.stat().st_ino if self._path.exists() else -1
        if held is None or held[1] != inode:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if inode < 0:
                # The log of a file that was deleted would be played into the new one.
                for suffix in ("-wal", "-shm"):
                    self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
            connection = sqlite3.connect(self._path, timeout=self._timeout, isolation_level=None)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            held = self._threads.held = (connection, self._path.stat().st_ino)
        return held[0]


def _layout(connection: sqlite3.Connection) -> int:
    [(version,)] = connection.execute("PRAGMA user_version")
    return int(version)


def _make_anew(connection: sqlite3.Connection) -> None:
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    for (name,) in tables.fetchall():
        connection.execute('DROP TABLE "{}"'.format(name.replace('"', '""')))
    for statement in filter(str.strip, _TABLES.split(";")):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {LAYOUT}")


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise OnlineStoreUnreachableError(f"the online store {path} cannot be used ({error})") from error
    except sqlite3.Error as error:
        message = f"the online store {path} is damaged ({error}); delete it and run: mmfs materialise"
        raise OnlineStoreError(message) from error
