"""The definitions in a real Postgres, as for more than one machine; the last good ones serve while it is gone."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine

from pipelines.errors import RegistryUnreadableError
from pipelines.online.reader import OnlineReader
from pipelines.settings import Settings
from tests.hand_made_home import tiny_release
from tests.online.online_home import ACTIVITY, OnlineHome
from tests.online.redis_server import RedisServer
from tests.postgres_server import PostgresServer
from tests.server.conftest import Serve
from tests.server.test_answers import column
from tests.server.test_bad_input import redis_settings


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    server = PostgresServer()
    server.start()
    yield server
    # Feast never closes the connections of its registries.
    for engine in [found for found in gc.get_objects() if issubclass(type(found), Engine)]:
        if engine.url.port == server.port:
            engine.dispose()
    server.remove()


def test_definitions_in_postgres(
    postgres: PostgresServer,
    settings: Settings,
    redis_server: RedisServer,
    serve: Serve,
    until: Callable[[Callable[[], bool]], None],
) -> None:
    home = OnlineHome(redis_settings(settings, redis_server).model_copy(update={"sql_registry": postgres.url}))
    home.furnish()
    assert settings.local_home is not None
    assert not (settings.local_home / "feast" / "registry.sqlite").exists()
    server = serve(home.settings)
    until(lambda: server.ask_ann().status == 200)
    home.release([tiny_release("r1", "1"), tiny_release("r2", "2")], "r2")
    # Reading definitions anew may take longer than a question may.
    until(lambda: server.ask_ann(release="r2").status == 200)
    assert server.ask_ann().json["metadata"]["release"] == "r2"
    postgres.stop()
    with pytest.raises(RegistryUnreadableError):
        server.application._work.reader.refresh()
    told = server.ask_ann(release="r1")
    assert column(told.json, f"{ACTIVITY}__views_7d")["values"] == [3]
    with pytest.raises(RegistryUnreadableError):
        OnlineReader(home.settings)
    postgres.start()
    home.release([tiny_release("r1", "1")], "r1")
    until(lambda: server.ask_ann().status == 200)
    assert server.ask_ann().json["metadata"]["release"] == "r1"
    assert server.ask_ann(release="r2").code == "release_not_live"
