"""A day that came as a stream, cut off and repeated, gives what a feature run makes of the same events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from pyspark.sql import Window
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.features.build import build_features
from pipelines.stream import intake, job
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
from tests.stream.conftest import SHOP, NewHome, StreamedHome
from tests.stream.drawn_shop import DAY, RELEASE, DrawnShop

END = DAY + timedelta(days=1)
SCALARS = (USER_ACTIVITY, USER_VALUE, USER_RECENT_PRODUCTS)
VECTORS = (USER_VISUAL_INTEREST, USER_VIDEO_INTEREST, USER_TEXT_INTEREST, USER_SEARCH_INTENT, USER_FUSED)
MICRO_BATCHES = 5
STREAMED = "drop_id LIKE 'stream-%'"
Rows = dict[tuple[str, str], dict[str, Any]]


class KilledError(Exception):
    """Stands for the end of the process."""


LARGE = DrawnShop(seed=11, users=80, products=90, history_events=6000, day_events=4000)

# Whole days through the stream and through feature runs: minutes, also of the small shop.
pytestmark = pytest.mark.soak


@pytest.fixture(scope="module", params=[SHOP, LARGE], ids=["small", "large"])
def shop(request: pytest.FixtureRequest) -> DrawnShop:
    drawn: DrawnShop = request.param
    return drawn


@dataclass(frozen=True)
class Both:
    """A day that was streamed, then taken in by a feature run: the rows in force at its end before and after that."""

    store: TableStore
    streamed: dict[Table, Rows]
    expected: dict[Table, Rows]


@pytest.fixture(scope="module")
def both(shop: DrawnShop, new_home: NewHome) -> Both:
    """Streamed in pieces, ended hard after rows were landed and before that was noted, and carried on."""
    home = new_home(shop).served(DAY)
    for number, rows in enumerate(shop.micro_batches(MICRO_BATCHES)):
        home.put(f"{number:03}", rows)
    ended_in_the_third_batch(home)
    home.stream()
    streamed = {table: in_force(home.store, table, shop) for table in (*SCALARS, *VECTORS)}
    # What the stream took in became known when it was taken in, today: a run at the day's end would know none of it.
    run = home.run(datetime.now(UTC))
    assert close_pieces(home.store, run) == 1
    # It knows nothing of rows within a day: what is right at the day's end follows from silver.
    build_features(home.store, run, RELEASE)
    return Both(home.store, streamed, {table: in_force(home.store, table, shop) for table in streamed})


def ended_in_the_third_batch(home: StreamedHome) -> None:
    land = intake.land
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
def test_counts_and_products_are_equal(table: Table, both: Both) -> None:
    streamed, expected = both.streamed[table], both.expected[table]
    assert streamed.keys() == expected.keys()
    within_the_day = [DAY.timestamp() * 1e6 < row["at"] < END.timestamp() * 1e6 for row in streamed.values()]
    assert sum(within_the_day) > 5
    for key, values in expected.items():
        assert values | {"at": 0} == streamed[key] | {"at": 0}, key


@pytest.mark.parametrize("table", VECTORS, ids=lambda table: table.name)
def test_vectors_are_equal(table: Table, both: Both) -> None:
    streamed, expected = both.streamed[table], both.expected[table]
    assert streamed.keys() == expected.keys()
    assert len(streamed) > 3
    for key, values in expected.items():
        for name in values.keys() - {"at"}:
            want, got = values[name], streamed[key][name]
            if want is None or (isinstance(want, list) and want and isinstance(want[0], str)):
                assert got == want, (key, name)
            else:
                assert np.abs(np.array(got) - np.array(want)).max(initial=0) < 1e-6, (key, name)


def test_the_run_made_rows_of_its_own(both: Both) -> None:
    ends = [row["at"] == END.timestamp() * 1e6 for row in both.expected[USER_VISUAL_INTEREST].values()]
    assert all(ends)


def test_every_event_is_in_silver_once_and_what_is_wrong_in_quarantine(shop: DrawnShop, both: Both) -> None:
    ids = [row.event_id for row in both.store.read(EVENTS).where(STREAMED).collect()]
    assert sorted(ids) == sorted(str(event["event_id"]) for event in shop.day)
    refused = both.store.read(QUARANTINE).where(STREAMED).collect()
    assert sorted(row.rule for row in refused) == ["conflicting_key", "unknown_event_type"]
    arrived = sum(len(rows) for rows in shop.micro_batches(MICRO_BATCHES))
    assert both.store.read(BRONZE["events"]).where(STREAMED).count() == arrived
