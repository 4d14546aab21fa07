"""From a file put into a folder to what a reader is told, and what happens when something is in the way."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.errors import HomeEmptyError
from pipelines.online.reader import OnlineReader
from pipelines.serving.online import UserFeatures, read_features, user_features
from pipelines.serving.repo import feature_store, packed_store
from pipelines.stream.job import EventStream, StreamOptions
from pipelines.stream.known_keys import KnownKeys
from pipelines.stream.metrics import StreamMetrics
from pipelines.stream.sources import FolderSource
from pipelines.tables.sources import QUARANTINE
from tests.online.redis_server import RedisServer
from tests.stream.conftest import SHOP, NewHome, StreamedHome
from tests.stream.drawn_shop import DAY, Row


def event(name: str, user: str, minute: int, **more: Any) -> Row:
    at = f"2026-03-20T10:{minute:02}:00Z"
    return {"event_id": name, "user_id": user, "event_type": "view", "event_timestamp": at, "product_id": "p1"} | more


def views(features: UserFeatures) -> object:
    return features.value("user_activity", "views_1d")


def test_events_are_online_and_a_damaged_file_is_set_aside(streamed_home: StreamedHome) -> None:
    home = streamed_home
    home.put("a", [event("s1", "u1", 1), event("s2", "u1", 2), event("s3", "u0", 2)])
    (home.incoming / "b.parquet").write_bytes(b"no parquet")
    [said] = home.stream(files_per_batch=10)
    assert {name: said[name] for name in ("rows", "kept", "unreadable_files")} == {
        "rows": 3,
        "kept": 3,
        "unreadable_files": 1,
    }
    found = read_features(home.store.settings, "u1")
    assert views(found) == 2
    assert found.value("user_recent_products", "last_product_ids")[:2] == ["p1", "p1"]  # type: ignore[index]
    [activity] = [f for f in found.features if (f.name, f.view) == ("views_1d", "user_activity_personalisation")]
    assert activity.event_timestamp is not None
    assert activity.event_timestamp.isoformat() == "2026-03-20T10:02:00+00:00"
    # Who refuses the purpose has nothing online.
    refusing = OnlineReader(home.store.settings).read(["u0"], "recommendation")
    assert {f.status for f in user_features(refusing, 0, frozenset()).features} == {"no_consent"}
    [file] = home.store.read(QUARANTINE).where("rule = 'unreadable_file'").collect()
    assert file.value.endswith("b.parquet")


@contextmanager
def streaming(home: StreamedHome) -> Iterator[None]:
    """A stream that goes on."""
    home.incoming.mkdir()
    stop, source = threading.Event(), FolderSource(str(home.incoming))
    stream = EventStream(home.store, source, StreamOptions(trigger_seconds=0.1, append_seconds=0), home.said.append)
    worker = threading.Thread(target=stream.run, args=(stop.is_set,))
    worker.start()
    try:
        yield
    finally:
        stop.set()
        worker.join()


def wait_for(home: StreamedHome, figure: str, times: int = 1) -> None:
    """Until so many announcements have a figure."""
    deadline = time.monotonic() + 300
    while sum(figure in said for said in [*home.said]) < times:
        assert time.monotonic() < deadline, home.said
        time.sleep(0.05)


@pytest.mark.soak
def test_what_others_change_is_read_anew(streamed_home: StreamedHome) -> None:
    home = streamed_home
    with streaming(home):
        home.put("a", [event("s1", "u2", 1)])
        wait_for(home, "batch")
        home.served(None)
        home.put("b", [event("s2", "u2", 3)])
        wait_for(home, "batch", 2)
    assert home.said[1]["reread_acts"] == 1
    assert views(read_features(home.store.settings, "u2")) == 2


@pytest.mark.soak
def test_events_wait_while_the_online_store_is_gone(new_home: NewHome, tmp_path: Path) -> None:
    redis = RedisServer(tmp_path)
    redis.start()
    home = new_home(SHOP, feast_config="feature_store.redis.yaml", redis=redis.address).served(DAY)
    redis.stop()
    try:
        with streaming(home):
            home.put("a", [event("s1", "u2", 1)])
            wait_for(home, "waiting")
            redis.start()
            wait_for(home, "batch")
        feast = feature_store(home.store.settings, offline=False)
        # It was emptied, and would call itself not ready.
        packed_store(feast).keeper(feast.config).set_mark("filled")
        assert views(read_features(home.store.settings, "u2")) == 1
    finally:
        redis.stop()


def test_a_home_without_features_is_told(tmp_path: Path, new_home: NewHome) -> None:
    home = new_home(SHOP)
    home.put("a", [event("s1", "u1", 1)])
    (home.incoming.parent / "home" / "tables" / "governance" / "progress").rename(tmp_path / "gone")
    with pytest.raises(HomeEmptyError, match="mmfs run DROP"):
        home.stream()


def test_known_keys_tell_the_days_to_look_at() -> None:
    keys = KnownKeys(np.array([7, 3, 5]), np.array([70, 30, 50]))
    keys.add(np.array([9]), np.array([90]))
    assert keys.days_of(np.array([5, 9, 4])) == {50, 90}
    assert keys.days_of(np.array([], dtype=np.int64)) == set()


def test_figures_are_kept_for_prometheus(tmp_path: Path) -> None:
    metrics = StreamMetrics(tmp_path / "stream.prom")
    metrics.take({"rows": 5, "lag_seconds": 1.5})
    metrics.take({"rows": 2, "lag_seconds": 0.5})
    text = (tmp_path / "stream.prom").read_text()
    assert "mmfs_stream_rows_total 7.0" in text
    assert "mmfs_stream_lag_seconds 0.5" in text
