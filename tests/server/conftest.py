"""A server over a filled home, asked over real HTTP."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from pydantic import SecretStr

from pipelines.server.access import Callers
from pipelines.server.app import Application
from pipelines.settings import ServeSettings, Settings
from tests.online.online_home import OnlineHome
from tests.online.redis_server import RedisServer

KEY = "a-key-of-the-tests"


@dataclass(frozen=True)
class Told:
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])


@dataclass(frozen=True)
class Served:
    """A running server: `ask` puts a question, `call` says anything."""

    port: int
    settings: Settings
    application: Application
    key: str | None = field(default=KEY)

    def call(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Told:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        authorised = {"authorization": f"Bearer {self.key}"} if self.key else {}
        connection.request(method, path, body, authorised | (headers or {}))
        answer = connection.getresponse()
        told = Told(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        connection.close()
        return told

    def ask(self, accept: str = "application/json", **question: Any) -> Told:
        return self.call("POST", "/get-online-features", json.dumps(question).encode(), {"accept": accept})

    def ask_ann(self, accept: str = "application/json", **question: Any) -> Told:
        question = {"feature_service": "recommendation", "full_feature_names": True} | question
        return self.ask(accept, **({"entities": {"user_id": ["ann"]}} | question))


Serve = Callable[..., Served]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers in this process; they end with the test."""
    stops = []

    def start(settings: Settings) -> Served:
        callers = Callers.of(settings.api_keys) if settings.authenticate else Callers(None)
        application = Application(settings, callers)
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(application, access_log=False, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()

        def stop() -> None:
            server.should_exit = True
            thread.join()
            listener.close()

        stops.append(stop)
        return Served(listener.getsockname()[1], settings, application)

    yield start
    for stop in stops:
        stop()


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """Wait until something holds."""

    def wait(holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not holds():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    return wait


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    limits = ServeSettings(max_body_bytes=20_000, max_batch=100, deadline_seconds=2.0)
    return Settings(home=str(tmp_path / "home"), api_keys=SecretStr(f"tests:{KEY}"), serve=limits)


@pytest.fixture
def home(settings: Settings) -> OnlineHome:
    return OnlineHome(settings).furnish()


@pytest.fixture
def served(home: OnlineHome, serve: Serve, until: Callable[[Callable[[], bool]], None]) -> Served:
    server = serve(home.settings)
    until(lambda: server.call("GET", "/ready").status == 200)
    return server


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()
