"""Packed rows in Redis: a hash per entity, a field per view. `type: pipelines.online.redis_store.RedisOnlineStore`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle, product
from typing import Any, Literal

import redis
from feast.repo_config import RepoConfig
from redis.backoff import NoBackoff
from redis.retry import Retry

from pipelines.errors import OnlineStoreError, OnlineStoreUnreachableError, SettingsError
from pipelines.online.keys import project_prefix
from pipelines.online.redis_commands import LOAD_PUT, put_command, read_commands
from pipelines.online.rows import Held, Reading, Row
from pipelines.online.store import PackedOnlineStore, PackedOnlineStoreConfig

# A script blocks the server while it runs, about 5 microseconds a row.
_ROWS_PER_SCRIPT = 200
_ROWS_PER_EXCHANGE = 1000
_KEYS_PER_SCAN = 1000
# Longest wait of a reader that must not wait.
_QUICK_SECONDS = 0.05


class RedisOnlineStoreConfig(PackedOnlineStoreConfig):
    """`online_store` in feature_store.yaml."""

    type: Literal["pipelines.online.redis_store.RedisOnlineStore"] = "pipelines.online.redis_store.RedisOnlineStore"
    # As Feast's own: "host:port" with options, "redis:6379,db=0,username=…,password=…,ssl=true".
    connection_string: str = "localhost:6379"
    # Longest wait for a connection and for an answer.
    timeout_seconds: float = 1.0
    max_connections: int = 64


class RedisOnlineStore(PackedOnlineStore):
    """See the module."""

    def _open(self, config: RepoConfig) -> RedisRows:
        return RedisRows(redis_client(config.online_store, config.online_store.timeout_seconds), config.project)

    def quick_keeper(self, config: RepoConfig) -> RedisRows:
        return RedisRows(redis_client(config.online_store, _QUICK_SECONDS), config.project)


def redis_client(config: RedisOnlineStoreConfig, timeout_seconds: float) -> redis.Redis:
    """A client of the configured server; nothing is sent yet. Raises SettingsError for a string that is none."""
    place, *options = config.connection_string.split(",")
    host, _, port = place.rpartition(":")
    known: dict[str, Any] = {"username": str, "password": str, "db": int, "ssl": lambda text: text.lower() == "true"}
    known |= dict.fromkeys(("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs"), str)
    given = dict(option.partition("=")[::2] for option in options)
    if not host or not port.isdigit() or not given.keys() <= known.keys():
        raise SettingsError(
            "setting MMFS_REDIS: expected host:port and options of "
            f"{', '.join(sorted(known))}, separated by commas; host given: {place!r}"
        )
    return redis.Redis(
        host=host,
        port=int(port),
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        max_connections=config.max_connections,
        # A pool finds out by itself that its connections were closed; waiting longer is the caller's choice.
        retry=Retry(NoBackoff(), 0),
        **{name: known[name](text) for name, text in given.items()},
    )


class RedisRows:
    """A RowKeeper. Keys of the project's entities begin with `mmfs:<project>:`, what is said of them is beside it."""

    def __init__(self, client: redis.Redis, project: str) -> None:
        # redis-py's types do not tell its synchronous commands from the asynchronous ones.
        self._client: Any = client
        self._prefix = project_prefix(project)
        self._about = f"mmfs-about:{project}"
        self._about_command = read_commands([self._about.encode()], [b"mark", b"generation"])

    def put(self, rows: Sequence[Row], schemas: Mapping[int, str]) -> int:
        written = 0
        with _told():
            if schemas:
                self._client.hset(self._about, mapping={_schema_field(f): text for f, text in schemas.items()})
            for start in range(0, len(rows), _ROWS_PER_EXCHANGE):
                end = min(start + _ROWS_PER_EXCHANGE, len(rows))
                chunks = [rows[at : min(at + _ROWS_PER_SCRIPT, end)] for at in range(start, end, _ROWS_PER_SCRIPT)]
                # A server that was restarted has forgotten its scripts.
                commands = [LOAD_PUT, *(part for chunk in chunks for part in put_command(chunk))]
                _, *counts = self._exchange(b"".join(commands), 1 + len(chunks))
                written += sum(counts)
        return written

    def read(self, keys: Sequence[bytes], fields: Sequence[bytes]) -> Reading:
        # What is said of the store is read last: whoever finds a view's rows gone also finds the generation raised.
        commands = read_commands(keys, fields) + self._about_command
        with _told():
            *rows, (mark, generation) = self._exchange(commands, len(keys) + 1)
        return Reading(rows, None if mark is None else mark.decode(), int(generation or 0))

    def _exchange(self, commands: bytes, count: int) -> list[Any]:
        """One write, then all answers. A pipeline of redis-py would take twice the time of the rest."""
        pool = self._client.connection_pool
        connection = pool.get_connection()
        try:
            connection.send_packed_command([commands])
            answers = [connection.read_response() for _ in range(count)]
        except BaseException:
            # Answers that nobody read would be taken for those of the next request.
            connection.disconnect()
            raise
        finally:
            pool.release(connection)
        return answers

    def held(self, fields: Sequence[bytes]) -> list[Held]:
        rows, sizes = [0] * len(fields), [0] * len(fields)
        with _told():
            for keys in self._all_keys():
                with self._client.pipeline(transaction=False) as pipe:
                    for key, field in product(keys, fields):
                        pipe.hstrlen(key, field)
                    for place, size in zip(cycle(range(len(fields))), pipe.execute(), strict=False):
                        # No packed row is empty: nothing is there.
                        rows[place] += size > 0
                        sizes[place] += size
        return [Held(*of_field) for of_field in zip(rows, sizes, strict=True)]

    def delete_keys(self, keys: Sequence[bytes]) -> int:
        with _told():
            return int(self._client.unlink(*keys)) if keys else 0

    def delete_fields(self, fields: Sequence[bytes]) -> None:
        with _told():
            for keys in self._all_keys():
                with self._client.pipeline(transaction=False) as pipe:
                    for key in keys:
                        pipe.hdel(key, *fields)
                    pipe.execute()

    def delete_everything(self) -> None:
        with _told():
            for keys in self._all_keys():
                self._client.unlink(*keys)
            self._client.unlink(self._about)

    def _all_keys(self) -> Iterator[list[bytes]]:
        cursor = 0
        while True:
            cursor, keys = self._client.scan(cursor, match=self._prefix + b"*", count=_KEYS_PER_SCAN)
            if keys:
                yield keys
            if not cursor:
                return

    def schema(self, fingerprint: int) -> str | None:
        with _told():
            text = self._client.hget(self._about, _schema_field(fingerprint))
        return None if text is None else text.decode()

    def set_mark(self, mark: str, *, only_if_none: bool = False) -> None:
        with _told():
            if only_if_none:
                self._client.hsetnx(self._about, "mark", mark)
            else:
                self._client.hset(self._about, "mark", mark)

    def mark(self) -> str | None:
        with _told():
            mark = self._client.hget(self._about, "mark")
        return None if mark is None else mark.decode()

    def raise_generation(self) -> None:
        with _told():
            self._client.hincrby(self._about, "generation", 1)


def _schema_field(fingerprint: int) -> str:
    return f"schema:{fingerprint:08x}"


@contextmanager
def _told() -> Iterator[None]:
    """Redis's errors as ours."""
    try:
        yield
    except (redis.ConnectionError, redis.TimeoutError) as error:
        message = f"Redis does not answer ({error}); check MMFS_REDIS and the server"
        raise OnlineStoreUnreachableError(message) from error
    except redis.RedisError as error:
        raise OnlineStoreError(f"Redis refuses: {error}") from error
