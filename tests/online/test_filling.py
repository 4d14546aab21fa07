"""An online store that is emptied while it is filled is not marked as full."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.errors import OnlineStoreNotReadyError
from pipelines.serving.progress import Filling
from pipelines.settings import Settings
from tests.online.online_home import OnlineHome
from tests.online.redis_server import RedisServer


@pytest.mark.parametrize("mark", [None, "filled"])
def test_a_restart_in_the_midst_is_noticed(tmp_path: Path, mark: str | None) -> None:
    redis = RedisServer(tmp_path)
    redis.start()
    try:
        home = OnlineHome(
            Settings(home=str(tmp_path / "home"), feast_config="feature_store.redis.yaml", redis=redis.address)
        )
        if mark:
            home.keeper.set_mark(mark)
        filling = Filling(home.feast)
        home.write("product_activity", "p1", price=9.5)
        filling.require_unbroken()
        redis.stop()
        redis.start()
        # Writing goes on as if nothing had happened.
        home.write("product_activity", "p2", price=9.5)
        with pytest.raises(OnlineStoreNotReadyError, match="emptied while it was filled"):
            filling.require_unbroken()
    finally:
        redis.stop()
