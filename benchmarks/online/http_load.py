"""Questions over HTTP: `feast serve` and `mmfs serve`, one worker each, ours with authentication on."""

from __future__ import annotations

import json
import os
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from benchmarks.online.in_process import spread
from benchmarks.online.stores import SERVICE, Stores
from pipelines.server.renders import ARROW, COMPACT, MSGPACK
from pipelines.server.replies import JSON

_KEY = "a-key-of-the-benchmark"
_CONNECTIONS = 8
_SIZES = (1, 100)
_TURNS = 4


@dataclass(frozen=True)
class Way:
    """A server and the form of answer asked of it."""

    name: str
    port: int
    accept: str


def measure_http(stores: Stores, seconds: float) -> Table:
    """Latency at one connection, requests per second at eight; `seconds` for each way, size and of the two."""
    titles = [t for n in _SIZES for t in (f"{n} users: p50 / p99 ms", "requests/s", "ratio to stock", "body")]
    table = Table("over HTTP", *titles, title=f"1 worker, 40 numbers, 4 vectors of {stores.dimensions}")
    with ExitStack() as stack:
        stock = stack.enter_context(_stock(stores))
        ours = stack.enter_context(_ours(stores))
        ways = [Way("feast serve", stock, JSON), Way("ours, JSON as Feast's", ours, JSON)]
        ways += [Way("ours, JSON, vectors base64", ours, COMPACT), Way("ours, msgpack", ours, MSGPACK)]
        ways.append(Way("ours, Arrow", ours, ARROW))
        rows: dict[str, list[str]] = {way.name: [] for way in ways}
        for size in _SIZES:
            for name, cells in _measured(stores, ways, size, seconds).items():
                rows[name] += cells
    for name, cells in rows.items():
        table.add_row(name, *cells)
    return table


def _measured(stores: Stores, ways: list[Way], size: int, seconds: float) -> dict[str, list[str]]:
    latencies: dict[str, list[float]] = {way.name: [] for way in ways}
    rates: dict[str, list[float]] = {way.name: [] for way in ways}
    bodies: dict[str, int] = {}
    for _ in range(_TURNS):
        for way in ways:
            questions = [_request(way, stores, size) for _ in range(50)]
            taken, bodies[way.name] = _load(way.port, questions, 1, seconds / _TURNS)
            latencies[way.name] += taken
            started = time.perf_counter()
            busy, _ = _load(way.port, questions, _CONNECTIONS, seconds / _TURNS)
            rates[way.name].append(len(busy) / (time.perf_counter() - started))
    stock = np.median(rates[ways[0].name])
    return {
        name: [
            spread(np.array(latencies[name])),
            f"{np.median(rates[name]):,.0f}",
            f"{np.median(rates[name]) / stock:.1f}",
            f"{bodies[name] / 1000:,.0f} KB",
        ]
        for name in latencies
    }


def _request(way: Way, stores: Stores, size: int) -> bytes:
    users = [*map(str, stores.random.choice(stores.users, size))]
    body = json.dumps({"feature_service": SERVICE, "entities": {"user_id": users}}).encode()
    head = f"POST /get-online-features HTTP/1.1\r\nhost: localhost\r\naccept: {way.accept}\r\nx-api-key: {_KEY}\r\n"
    return f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def _load(port: int, questions: list[bytes], connections: int, seconds: float) -> tuple[list[float], int]:
    """Each connection asks, waits for the whole answer and asks again; the times taken and an answer's size."""
    chooser = selectors.DefaultSelector()
    taken: list[float] = []
    asked, length = 0, 0
    end = time.perf_counter() + seconds
    for _ in range(connections):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        chooser.register(connection, selectors.EVENT_READ, _Pending())
    for key in chooser.get_map().values():
        asked = _ask(key.fileobj, key.data, questions, asked)
    # However slow, every connection is answered twice.
    while time.perf_counter() < end or len(taken) < 2 * connections:
        for key, _ in chooser.select(timeout=30):
            pending: _Pending = key.data
            if pending.received(key.fileobj.recv(1 << 20)):  # type: ignore[union-attr]
                taken.append(time.perf_counter() - pending.since)
                length = pending.length
                asked = _ask(key.fileobj, pending, questions, asked)
    for key in [*chooser.get_map().values()]:
        key.fileobj.close()  # type: ignore[union-attr]
    chooser.close()
    return taken, length


def _ask(connection: Any, pending: _Pending, questions: list[bytes], asked: int) -> int:
    pending.begin()
    connection.sendall(questions[asked % len(questions)])
    return asked + 1


class _Pending:
    """An answer on its way."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.since, self.got, self.length, self._head = time.perf_counter(), 0, -1, b""

    def received(self, data: bytes) -> bool:
        """Whether the answer is whole."""
        if not data:
            raise ConnectionError("the server closed the connection")
        if self.length < 0:
            self._head += data
            head, found, body = self._head.partition(b"\r\n\r\n")
            if not found:
                return False
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"answered {self._head[:500]!r}")
            self.length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            data = body
        self.got += len(data)
        return self.got >= self.length


@contextmanager
def _stock(stores: Stores) -> Iterator[int]:
    repo = stores.folder / "stock"
    repo.mkdir()
    (repo / "feature_store.yaml").write_text(stores.stock_yaml())
    port = _free_port()
    # As `feast serve` is started in production; without the limit that makes a lone worker restart all the time.
    options = ["serve", "--workers", "1", "--no-access-log", "--port", str(port), "--max-requests", "0"]
    program = "from feast.cli.cli import cli; cli()"
    with _running([sys.executable, "-c", program, "--chdir", str(repo), *options], port, {}):
        yield port


@contextmanager
def _ours(stores: Stores) -> Iterator[int]:
    port = _free_port()
    settings = {
        "MMFS_FEAST_CONFIG": stores.settings.feast_config,
        "MMFS_REDIS": stores.settings.redis,
        "MMFS_API_KEYS": f"benchmark:{_KEY}",
        "MMFS_SERVE__REQUESTS_PER_SECOND": "1000000",
    }
    command = [sys.executable, "-m", "pipelines", "serve", "--port", str(port), "--home", stores.settings.home]
    with _running(command, port, settings):
        yield port


@contextmanager
def _running(command: list[str], port: int, settings: dict[str, str]) -> Iterator[None]:
    root = Path(__file__).resolve().parents[2]
    server = subprocess.Popen(
        command, cwd=root, env=os.environ | settings | {"PYTHONPATH": str(root)}, stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 240
        while not _listens(port):
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"did not start: {' '.join(command)}")
            time.sleep(0.2)
        # Both read their registries after they listen.
        time.sleep(5)
        yield
    finally:
        server.terminate()
        server.wait(60)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
