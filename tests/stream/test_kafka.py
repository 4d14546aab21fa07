"""Events from a real Kafka broker."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines.environment import jars
from pipelines.environment.jars import DeltaJarsError, kafka_jars, local_jars
from pipelines.serving.online import read_features
from pipelines.stream.job import EventStream, StreamOptions
from pipelines.stream.sources import KafkaSource
from pipelines.tables.sources import QUARANTINE
from tests.conftest import SparkSettings
from tests.stream.conftest import SHOP, NewHome
from tests.stream.drawn_shop import DAY
from tests.stream.kafka_broker import broker
from tests.stream.test_events_arrive import event, views


def test_messages_are_events_and_each_counts_once(
    spark_settings: SparkSettings, new_home: NewHome, tmp_path: Path
) -> None:
    # The broker first: without one there is no need for a home.
    kafka = broker(spark_settings.cache_dir, tmp_path)
    home = new_home(SHOP).served(DAY)
    source = KafkaSource(kafka.address, "shop-events")

    def stream() -> None:
        EventStream(home.store, source, StreamOptions(trigger_seconds=None), home.said.append).run()

    with kafka.running():
        kafka.send("shop-events", [json.dumps(event("k1", "u1", 1)), json.dumps(event("k2", "u1", 2)), "no JSON"])
        stream()
        kafka.send("shop-events", [json.dumps(event("k2", "u1", 2)), json.dumps(event("k3", "u1", 3))])
        stream()
    assert views(read_features(home.store.settings, "u1")) == 3
    assert [(said["kept"], said["duplicates"], said["quarantined"]) for said in home.said] == [(2, 0, 1), (1, 1, 0)]
    [refused] = home.store.read(QUARANTINE).where("drop_id LIKE 'stream-%'").collect()
    assert refused.rule == "unreadable_row"


def test_missing_jars_say_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeltaJarsError, match="--kafka"):
        local_jars(tmp_path, kafka_jars())
    # A session without them starts as ever.
    monkeypatch.setattr(jars, "local_jars", lambda cache_dir: [])
    assert jars.session_jars(tmp_path) == []
