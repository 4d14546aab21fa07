"""What reviews say, by user and by product: windows that fill and empty, devices, consent, other heads' judgements."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from pyspark.sql import SparkSession

from encoders.spec import EncoderSpec
from pipelines.delta import TableStore
from pipelines.features.opinions import build_product_opinions, build_user_opinions
from pipelines.frames import frame_of
from pipelines.governance.progress import Batch
from pipelines.releases.manifest import Release
from pipelines.settings import load_settings
from pipelines.tables.aggregates import REVIEW_JUDGEMENTS
from pipelines.tables.features import PRODUCT_OPINIONS, USER_OPINIONS
from pipelines.tables.schema import Table
from pipelines.tables.sources import CONSENTS, IDENTITIES, REVIEWS
from tests.table_frame import table_frame

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
SPECS = [EncoderSpec(name, "1", f"test:{name}", ("image", "text"), 4, "", "MIT") for name in ("clip", "review")]
RELEASE = Release("r1", clip=SPECS[0], review=SPECS[1], heads={"aspects": "1", "sentiment": "1"})
# id, who, product, day, score, praised, blamed
SAID = [
    ("r1", "ann", "p1", 0, 0.8, ["quality", "price"], ["delivery"]),
    ("r2", "ann", "p1", 10, -0.4, [], ["delivery", "size"]),
    ("r3", "ann", "p2", 10, 0.2, ["price"], []),
    ("r4", "phone", "p1", 20, 1.0, ["quality"], []),
    ("r5", "bob", "p1", 20, -1.0, [], ["quality"]),
]
LAST = 130


def at(day: float) -> dt.datetime:
    return START + dt.timedelta(days=day)


def append(store: TableStore, table: Table, rows: list[dict[str, Any]]) -> None:
    store.append_once(table_frame(store.spark, table, rows).coalesce(1), table, "rows")


@pytest.fixture(scope="module")
def store(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> TableStore:
    """Ann's phone is linked from day 30 on; Bob refuses."""
    home = tmp_path_factory.mktemp("opinions")
    store = TableStore(spark, load_settings(home=str(home), consent_default={"personalisation": "allow"}))
    known = {"drop_id": "d"}
    append(
        store,
        REVIEWS,
        [
            known
            | {"review_id": r, "user_id": who, "product_id": p}
            | {"event_timestamp": at(day + 0.5), "available_at": at(day + 0.5)}
            for r, who, p, day, *_ in SAID
        ],
    )  # fmt: skip
    name, version = RELEASE.encoder_for("opinions")
    judged = [
        {"review_id": r, "encoder": name, "encoder_version": version, "sentiment": "mixed", "score": score,
         "aspects_praised": praised, "aspects_blamed": blamed}
        for r, _, _, _, score, praised, blamed in SAID
    ]  # fmt: skip
    others = [row | {"encoder_version": "0.0-other", "score": -0.9} for row in judged]
    append(store, REVIEW_JUDGEMENTS, judged + others)
    link = {
        "identifier_type": "device",
        "identifier": "phone",
        "user_id": "ann",
        "linked_at": at(30),
        "available_at": at(30),
    }
    append(store, IDENTITIES, [known | link])
    said = {
        "user_id": "bob",
        "purpose": "personalisation",
        "granted": False,
        "valid_from": at(0),
        "available_at": at(0),
    }
    append(store, CONSENTS, [known | said])
    users = frame_of(spark, [(user, at(0).date()) for user in ("ann", "bob", "phone")], "user_id string, from_day date")
    days = frame_of(
        spark,
        sorted({(who, at(day).date()) for _, who, _, day, *_ in SAID}),
        "subject_id string, day date",
    )
    batch = Batch("features", ("d",), at(LAST), None, True, "first")
    build_user_opinions(store, batch, RELEASE, users)
    build_product_opinions(store, batch, RELEASE, days)
    assert build_user_opinions(store, batch, RELEASE, users) == 0
    return store


def history(store: TableStore, table: Table, key: str) -> dict[int, dict[str, Any]]:
    """The rows of a user or product by the day at whose beginning they stand."""
    rows = store.read(table).where(f"{table.join_key} = '{key}'").collect()
    return {(row.event_timestamp.astimezone(dt.UTC) - START).days: row.asDict() for row in rows}


def in_force(rows: dict[int, dict[str, Any]], day: int) -> dict[str, Any]:
    return rows[max(d for d in rows if d <= day)]


def test_windows_fill_and_empty(store: TableStore) -> None:
    rows = history(store, USER_OPINIONS, "ann")
    first, both = in_force(rows, 1), in_force(rows, 11)
    assert (first["reviews_judged_90d"], first["sentiment_mean_90d"]) == (1, pytest.approx(0.8))
    assert first["aspects_praised_90d"] == ["quality", "price"]
    assert (both["reviews_judged_30d"], both["sentiment_mean_30d"]) == (3, pytest.approx(0.2))
    assert (both["delivery_blamed_90d"], both["price_praised_90d"], both["size_blamed_90d"]) == (2, 2, 1)
    assert both["aspects_praised_90d"] == ["price", "quality"]
    assert both["aspects_blamed_90d"] == ["delivery", "size"]
    # Without a new review: the thirty days of the first one are over.
    assert in_force(rows, 31)["reviews_judged_30d"] == 3, "the phone's review has come with the link"
    assert in_force(rows, 41)["reviews_judged_30d"] == 1
    empty = in_force(rows, LAST)
    assert (empty["reviews_judged_90d"], empty["sentiment_mean_90d"], empty["aspects_praised_90d"]) == (0, None, [])


def test_a_devices_reviews_count_from_the_link_on(store: TableStore) -> None:
    rows = history(store, USER_OPINIONS, "ann")
    assert in_force(rows, 29)["quality_praised_90d"] == 1
    assert in_force(rows, 30)["quality_praised_90d"] == 2
    assert in_force(history(store, USER_OPINIONS, "phone"), 21)["sentiment_mean_90d"] == pytest.approx(1.0)


def test_who_refuses_is_in_no_opinion(store: TableStore) -> None:
    assert history(store, USER_OPINIONS, "bob") == {}
    product = in_force(history(store, PRODUCT_OPINIONS, "p1"), 21)
    assert product["quality_blamed_90d"] == 0


def test_products_sum_what_all_say(store: TableStore) -> None:
    rows = history(store, PRODUCT_OPINIONS, "p1")
    found = in_force(rows, 21)
    assert (found["reviews_judged_90d"], found["sentiment_mean_90d"]) == (3, pytest.approx(1.4 / 3, abs=1e-6))
    assert (found["quality_praised_90d"], found["delivery_blamed_90d"]) == (2, 2)
    assert found["aspects_praised_90d"] == ["quality", "price"]
    assert in_force(history(store, PRODUCT_OPINIONS, "p2"), 11)["aspects_praised_90d"] == ["price"]


def test_rows_name_the_heads_and_hold_nothing_later(store: TableStore) -> None:
    for table in (USER_OPINIONS, PRODUCT_OPINIONS):
        for row in store.read(table).collect():
            assert (row.encoder, row.encoder_version) == RELEASE.encoder_for("opinions")
            assert row.created_at >= row.event_timestamp
