"""The second configuration, against a real Redis and an SQL registry."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from pipelines.errors import OnlineStoreNotReadyError, OnlineStoreUnreachableError
from pipelines.governance.runs import Run
from pipelines.online.reader import OnlineReader
from pipelines.serving.online import UserFeatures, user_features
from pipelines.serving.repo import apply, feature_store, packed_store
from pipelines.settings import Settings
from tests.online.redis_server import RedisServer

if TYPE_CHECKING:
    from tests.hand_made_home import Home

AT = datetime(2026, 3, 1, tzinfo=UTC)
TIMES = ("event_timestamp", "created_at")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


def test_values_and_corrections_through_redis(home: Home, server: RedisServer) -> None:
    settings = Settings(home=home.settings.home, feast_config="feature_store.redis.yaml", redis=server.address)
    apply(settings, Run(settings, AT, "x"), home.releases)
    feast = feature_store(settings, offline=False)
    online = packed_store(feast)

    def write(view_name: str, **values: Any) -> None:
        view = feast.get_feature_view(view_name)
        columns = {"user_id": ["ann"], **{n: [v] for n, v in values.items()}, **{t: [AT] for t in TIMES}}
        empty = {f.name: pa.nulls(1) for f in view.features if f.name not in columns}
        online.write_arrow(feast.config, view, pa.RecordBatch.from_pydict(columns | empty), TIMES)

    def read() -> UserFeatures:
        return user_features(reader.read(["ann"]), 0, reader.default)

    reader = OnlineReader(settings)
    write("user_consent", purposes=["personalisation"])
    write("user_activity_personalisation", views_7d=3)
    with pytest.raises(OnlineStoreNotReadyError, match="mmfs materialise"):
        read()
    online.keeper(feast.config).set_mark("filled")
    assert read().value("user_activity", "views_7d") == 3
    # Of the same instants: stock Feast would keep the first.
    write("user_activity_personalisation", views_7d=4)
    found = read()
    assert found.value("user_activity", "views_7d") == 4
    by_name = {f.name: f for f in found.features if f.view == "user_activity_personalisation"}
    assert (by_name["views_7d"].status, by_name["views_7d"].event_timestamp) == ("present", AT)
    assert by_name["clicks_7d"].status == "null"
    assert {f.status for f in found.features if f.view.startswith("user_fused")} == {"not_found"}
    server.stop()
    with pytest.raises(OnlineStoreUnreachableError, match="Redis does not answer"):
        read()
    server.start()
    with pytest.raises(OnlineStoreNotReadyError):
        read()
