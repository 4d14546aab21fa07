"""What is refused, how, and that nothing of it takes for ever."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from pipelines.errors import SettingsError
from pipelines.server.access import Callers
from pipelines.settings import Settings
from tests.online.online_home import OnlineHome
from tests.online.redis_server import RedisServer
from tests.server.conftest import KEY, Serve, Served

ASK = "/get-online-features"


@pytest.mark.parametrize(
    "path", [ASK, "/get-ranking-features", "/health", "/ready", "/metrics", "/openapi.json", "/nothing"]
)
def test_every_route_asks_who_is_there(served: Served, path: str) -> None:
    for headers in ({}, {"x-api-key": "wrong"}, {"authorization": f"Basic {KEY}"}, {"authorization": "Bearer "}):
        told = Served(served.port, served.settings, served.application, key=None).call("GET", path, headers=headers)
        assert (told.status, told.code, told.headers["www-authenticate"]) == (401, "unauthorised", "Bearer")
    known = Served(served.port, served.settings, served.application, key=None)
    assert known.call("GET", path, headers={"x-api-key": KEY}).status != 401


@pytest.mark.parametrize("keys", [None, "", "tests", "tests:short", "tests:a-key-of-the-tests,x"])
def test_nobody_is_served_without_usable_keys(keys: str | None) -> None:
    with pytest.raises(SettingsError, match="--no-authentication"):
        Callers.of(SecretStr(keys) if keys is not None else None)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "invalid_json"),
        (b"", 400, "invalid_json"),
        (b"[]", 422, "invalid_request"),
        (b"{}", 422, "invalid_request"),
        (b'{"entities": {"user_id": []}, "feature_service": "risk"}', 422, "invalid_request"),
        (b'{"entities": {"user_id": [7]}, "feature_service": "risk"}', 422, "invalid_request"),
        (b'{"entities": {"user_id": [null]}, "feature_service": "risk"}', 422, "invalid_request"),
        (b'{"entities": {"user_id": "ann"}, "feature_service": "risk"}', 422, "invalid_request"),
        (b'{"entities": {"user_id": ["ann"]}}', 422, "invalid_request"),
        (b'{"entities": {"user_id": ["ann"]}, "feature_service": "risk", "relase": "r1"}', 422, "invalid_request"),
        (b'{"entities": {"cat": ["ann"]}, "feature_service": "risk"}', 422, "unknown_entity"),
        (b'{"entities": {"product_id": ["p"]}, "feature_service": "risk"}', 422, "unknown_entity"),
        (b'{"entities": {"user_id": ["ann"]}, "feature_service": "churn"}', 404, "unknown_service"),
        (b'{"entities": {"user_id": ["ann"]}, "features": ["user_value:x"]}', 404, "unknown_feature"),
        (b'{"entities": {"user_id": ["ann"]}, "feature_service": "recommendation"}', 422, "ambiguous_names"),
        (b'{"entities": {"user_id": ["' + b'", "'.join([b"u"] * 101) + b'"]}, "feature_service": "risk"}', 413,
         "batch_too_large"),
        (b'"' + b"x" * 20_001 + b'"', 413, "body_too_large"),
    ],
)  # fmt: skip
def test_a_bad_question_has_its_code(served: Served, body: bytes, status: int, code: str) -> None:
    told = served.call("POST", ASK, body)
    assert (told.status, told.code) == (status, code), told.body


def test_the_fault_is_placed(served: Served) -> None:
    told = served.call("POST", ASK, b'{"entities": {"user_id": ["a", 7]}, "feature_service": "risk"}')
    assert told.json["error"]["message"].startswith("entities.user_id.1: ")


def test_routes_methods_and_media_types(served: Served) -> None:
    assert served.call("GET", "/nothing").code == "not_found"
    assert served.call("GET", ASK).code == "method_not_allowed"
    assert served.ask_ann("text/html").code == "not_acceptable"
    assert served.ask_ann("text/html, */*;q=0.1").status == 200


def test_a_body_without_length_is_cut_off_at_the_limit(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as raw:
        raw.sendall(
            f"POST {ASK} HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\ntransfer-encoding: chunked\r\n\r\n".encode()
        )
        raw.sendall(b"5000\r\n" + b"x" * 0x5000 + b"\r\n")
        assert b" 413 " in raw.recv(4096)


def test_a_body_that_does_not_come_is_not_waited_for(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as raw:
        raw.sendall(f"POST {ASK} HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\ncontent-length: 10\r\n\r\n{{".encode())
        started = time.monotonic()
        answer = raw.recv(4096)
    assert b" 408 " in answer
    assert time.monotonic() - started < 10


def test_who_asks_too_often_waits(home: OnlineHome, serve: Serve) -> None:
    limits = home.settings.serve.model_copy(update={"requests_per_second": 3})
    server = serve(home.settings.model_copy(update={"serve": limits}))
    told = [server.call("GET", "/health") for _ in range(8)]
    refused = [t for t in told if t.status == 429]
    assert refused
    assert (refused[0].code, refused[0].headers["retry-after"]) == ("rate_limited", "1")


def redis_settings(settings: Settings, server: RedisServer) -> Settings:
    return settings.model_copy(update={"feast_config": "feature_store.redis.yaml", "redis": server.address})


def test_a_dead_redis_is_told_and_recovered_from(
    settings: Settings, redis_server: RedisServer, serve: Serve, until: Callable[[Callable[[], bool]], None]
) -> None:
    home = OnlineHome(redis_settings(settings, redis_server)).furnish()
    server = serve(home.settings)
    until(lambda: server.ask_ann().status == 200)
    redis_server.stop()
    told = server.ask_ann()
    assert (told.status, told.code) == (503, "online_store_unreachable")
    assert server.call("GET", "/health").status == 200
    assert server.call("GET", "/ready").code == "online_store_unreachable"
    redis_server.start()
    # Back, but empty: nobody is called unknown.
    until(lambda: server.ask_ann().code == "online_store_not_ready")
    home.furnish()
    until(lambda: server.ask_ann().status == 200)


def test_a_slow_redis_is_not_waited_for(
    settings: Settings, redis_server: RedisServer, serve: Serve, until: Callable[[Callable[[], bool]], None]
) -> None:
    home = OnlineHome(redis_settings(settings, redis_server)).furnish()
    server = serve(home.settings)
    until(lambda: server.ask_ann().status == 200)
    redis_server.client().execute_command("CLIENT", "PAUSE", "4000")
    started = time.monotonic()
    told = server.ask_ann()
    assert (told.status, told.code) == (503, "online_store_unreachable")
    assert time.monotonic() - started < 3
    assert server.call("GET", "/health").status == 200
    until(lambda: server.ask_ann().status == 200)


def test_a_server_starts_before_its_store_does(
    settings: Settings, redis_server: RedisServer, serve: Serve, until: Callable[[Callable[[], bool]], None]
) -> None:
    home = OnlineHome(redis_settings(settings, redis_server))
    redis_server.stop()
    server = serve(home.settings)
    assert server.call("GET", "/health").status == 200
    assert server.ask_ann().code == "starting"
    redis_server.start()
    home.furnish()
    until(lambda: server.ask_ann().status == 200)


def test_a_registry_that_is_broken_is_served_past(served: Served, home: OnlineHome, tmp_path: Path) -> None:
    (tmp_path / "home" / "feast" / "registry.db").write_bytes(b"\xff broken")
    home.keeper.raise_generation()
    assert served.ask_ann().status == 200
