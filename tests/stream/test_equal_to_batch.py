"""A day that came as a stream, cut off and repeated, gives what the same day gives as a drop."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from pyspark.sql import Window
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.features.build import build_features
from pipelines.sources.ingest import ingest
from pipelines.stream import job
from pipelines.stream.pieces import close_pieces
from pipelines.tables.features import (
    USER_ACTIVITY,
    USER_FUSED,
    USER_RECENT_PRODUCTS,
    USER_SEARCH_INTENT,
    USER_TEXT_INTEREST,
    USER_VALUE,
    USER_VIDEO_INTEREST,
    USER_VISUAL_INTEREST,
)
from pipelines.tables.schema import Table
from pipelines.tables.sources import BRONZE, EVENTS, QUARANTINE
from tests.stream.conftest import SHOP, StreamedHome
from tests.stream.drawn_shop import DAY, RELEASE, DrawnShop, write_lines

END = DAY + timedelta(days=1)
SCALARS = (USER_ACTIVITY, USER_VALUE, USER_RECENT_PRODUCTS)
VECTORS = (USER_VISUAL_INTEREST, USER_VIDEO_INTEREST, USER_TEXT_INTEREST, USER_SEARCH_INTENT, USER_FUSED)
Rows = dict[tuple[str, str], dict[str, Any]]


class KilledError(Exception):
    """Stands for the end of the process."""


LARGE = DrawnShop(seed=11, users=80, products=90, history_events=6000, day_events=4000)


@pytest.fixture(scope="module", params=[SHOP, pytest.param(LARGE, marks=pytest.mark.soak)], ids=["small", "large"])
def shop(request: pytest.FixtureRequest) -> DrawnShop:
    drawn: DrawnShop = request.param
    return drawn


@pytest.fixture(scope="module")
def as_drop(shop: DrawnShop, new_home: Callable[[DrawnShop], StreamedHome]) -> TableStore:
    home = new_home(shop)
    drop = home.incoming.parent / "day"
    write_lines(drop / "events.jsonl", shop.day)
    run = home.run(END)
    ingest(home.store, run, str(drop))
    build_features(home.store, run, RELEASE)
    return home.store


@pytest.fixture(scope="module")
def as_stream(shop: DrawnShop, new_home: Callable[[DrawnShop], StreamedHome]) -> StreamedHome:
    """Streamed in pieces, ended hard after rows were landed and before that was noted, then carried on."""
    home = new_home(shop).served(DAY)
    for number, rows in enumerate(shop.micro_batches(5)):
        home.put(f"{number:03}", rows)
    ended_in_the_third_batch(home)
    home.stream()
    return home


def ended_in_the_third_batch(home: StreamedHome) -> None:
    land = job.land
    with pytest.MonkeyPatch.context() as patch:

        def landed_and_killed(store: TableStore, judged: Any, batch: Any) -> None:
            land(store, judged, batch)
            if batch.number == 2:
                raise KilledError

        patch.setattr(job, "land", landed_and_killed)
        with pytest.raises(KilledError):
            home.stream()


def in_force(store: TableStore, table: Table, shop: DrawnShop) -> Rows:
    """Of each profile that was active that day, the row in force at the day's end; weights as they are then."""
    newest = Window.partitionBy("user_id", "purpose").orderBy(F.desc("event_timestamp"), F.desc("created_at"))
    rows = (
        store.read(table).where(F.col("event_timestamp") <= F.lit(END)).withColumn("rank", F.row_number().over(newest))
    )
    rows = rows.where("rank = 1").withColumn("at", F.unix_micros("event_timestamp"))
    active = {event.get("user_id") or f"device:{event['device_id']}" for event in shop.day}
    found = {}
    for row in rows.collect():
        values = {c.name: row[c.name] for c in table.feature_columns} | {"at": row["at"]}
        elapsed = END.timestamp() - row["at"] / 1e6
        for name in values:
            if name.startswith("weight_"):
                half_life = float(name.removeprefix("weight_").removesuffix("d"))
                values[name] *= 2 ** (-elapsed / 86_400 / half_life)
        if row["user_id"] in active:
            found[row["user_id"], row["purpose"]] = values
    return found


@pytest.mark.parametrize("table", SCALARS, ids=lambda table: table.name)
def test_counts_and_products_are_equal(
    table: Table, shop: DrawnShop, as_stream: StreamedHome, as_drop: TableStore
) -> None:
    streamed, expected = (in_force(store, table, shop) for store in (as_stream.store, as_drop))
    assert streamed.keys() == expected.keys()
    assert len(streamed) > 10 or table is not USER_ACTIVITY
    within_the_day = 0
    for key, values in expected.items():
        within_the_day += DAY.timestamp() * 1e6 < streamed[key]["at"] < END.timestamp() * 1e6
        assert values | {"at": 0} == streamed[key] | {"at": 0}, key
    assert within_the_day > 5


@pytest.mark.parametrize("table", VECTORS, ids=lambda table: table.name)
def test_vectors_are_equal(table: Table, shop: DrawnShop, as_stream: StreamedHome, as_drop: TableStore) -> None:
    streamed, expected = (in_force(store, table, shop) for store in (as_stream.store, as_drop))
    assert streamed.keys() == expected.keys()
    assert len(streamed) > 3
    for key, values in expected.items():
        for name, value in values.items():
            got = streamed[key][name]
            if name == "at" or value is None or isinstance(value[0] if isinstance(value, list) else 0.0, str):
                assert name == "at" or got == value, (key, name)
            else:
                assert np.abs(np.array(got) - np.array(value)).max() < 1e-6, (key, name)


def test_every_event_is_in_silver_once_and_what_is_wrong_in_quarantine(
    shop: DrawnShop, as_stream: StreamedHome
) -> None:
    store = as_stream.store
    ids = [row.event_id for row in store.read(EVENTS).where("drop_id LIKE 'stream-%'").collect()]
    assert sorted(ids) == sorted(str(event["event_id"]) for event in shop.day)
    refused = store.read(QUARANTINE).where("drop_id LIKE 'stream-%'").collect()
    assert sorted(row.rule for row in refused) == ["conflicting_key", "unknown_event_type"]
    arrived = sum(len(rows) for rows in shop.micro_batches(5))
    assert store.read(BRONZE["events"]).where("drop_id LIKE 'stream-%'").count() == arrived


def test_the_next_feature_run_finds_the_events_and_says_the_same(as_stream: StreamedHome, as_drop: TableStore) -> None:
    # Last of this module: it changes the home.
    run = as_stream.run(END)
    assert close_pieces(as_stream.store, run) == 1
    build_features(as_stream.store, run, RELEASE)
    for table in (USER_ACTIVITY, USER_VISUAL_INTEREST):
        streamed, expected = (in_force(store, table, shop) for store in (as_stream.store, as_drop))
        assert streamed.keys() == expected.keys()
        for key, values in expected.items():
            for name in values.keys() - {"at"}:
                assert streamed[key][name] == pytest.approx(values[name], abs=1e-6), (key, name)
