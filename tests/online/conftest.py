"""A real Redis, and a small Feast repository on each of the two stores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.online.redis_server import RedisServer
from tests.online.shop_repo import Shop


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["redis", "sqlite"])
def online_config(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """`online_store` of feature_store.yaml for each store, empty."""
    if request.param == "sqlite":
        return {"type": "pipelines.online.sqlite_store.SqliteOnlineStore", "path": str(tmp_path / "online.db")}
    server: RedisServer = request.getfixturevalue("redis_server")
    server.client().flushall()
    return {"type": "pipelines.online.redis_store.RedisOnlineStore", "connection_string": server.address}


@pytest.fixture
def shop(tmp_path: Path, online_config: dict[str, Any]) -> Shop:
    return Shop(tmp_path, online_config)
