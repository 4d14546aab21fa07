"""The two online stores through Feast's own calls, on a real Redis and a real SQLite file."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from feast import Field
from feast.protos.feast.types.Value_pb2 import Value
from feast.types import Float64

from pipelines.errors import FeatureViewError, OnlineStoreNotReadyError
from pipelines.online.layout import RowSchema, field_id
from pipelines.online.rows import Held
from tests.online.shop_repo import DAY, HOUR, Shop, likes_row

ANN = {
    "taste": [0.5, -1e-7, 3e38],
    "brands": ["a", "", "牌"],
    "since": DAY - HOUR,
    "level": -3,
    "member": False,
    "city": "上海",
    "share": 0.1,
}


def level(shop: Shop, user: str = "ann") -> tuple[str, object]:
    return shop.asked(user, features=["likes:level"])["level"][0]


def put_level(shop: Shop, value: int, at: datetime, created: datetime | None = None) -> None:
    shop.put("ann", at, created, level=Value(int32_val=value))


def test_materialise_brings_every_type_and_tells_every_status(shop: Shop) -> None:
    shop.like(likes_row("ann", DAY, DAY, **ANN), likes_row("bob", DAY, DAY, level=7))
    shop.store.materialize(DAY - HOUR, DAY + HOUR)
    answer = shop.asked("nobody", "bob", "ann", "bob")
    assert answer["level"] == [("NOT_FOUND", None), ("PRESENT", 7), ("PRESENT", -3), ("PRESENT", 7)]
    assert answer["city"] == [("NOT_FOUND", None), ("NULL_VALUE", None), ("PRESENT", "上海"), ("NULL_VALUE", None)]
    assert answer["taste"][2] == ("PRESENT", pytest.approx(ANN["taste"]))
    assert answer["brands"][2] == ("PRESENT", ["a", "", "牌"])
    assert answer["member"][2] == ("PRESENT", False)
    assert answer["share"][2] == ("PRESENT", 0.1)
    assert answer["since"][2][0] == "PRESENT"
    assert {status for status, _ in answer["visits"]} == {"NOT_FOUND"}
    times = shop.store.get_online_features(["likes:level"], [{"user_id": "nobody"}, {"user_id": "ann"}])
    stamped = [t.seconds for t in times.proto.results[1].event_timestamps]
    assert stamped == [0, DAY.timestamp()]


def test_the_newer_row_wins_and_a_correction_arrives(shop: Shop) -> None:
    put_level(shop, 1, DAY, DAY)
    put_level(shop, 2, DAY - HOUR, DAY + HOUR)
    assert level(shop) == ("PRESENT", 1)
    put_level(shop, 3, DAY, DAY + HOUR)
    assert level(shop) == ("PRESENT", 3)
    put_level(shop, 4, DAY, DAY)
    assert level(shop) == ("PRESENT", 3)
    put_level(shop, 5, DAY, DAY + HOUR)
    assert level(shop) == ("PRESENT", 5)
    put_level(shop, 6, DAY + timedelta(microseconds=1))
    assert level(shop) == ("PRESENT", 6)
    assert level(shop, "zoe") == ("NOT_FOUND", None)


def test_a_row_replaces_the_earlier_one_whole(shop: Shop) -> None:
    shop.put("ann", DAY, level=Value(int32_val=1), city=Value(string_val="Oslo"))
    shop.put("ann", DAY + HOUR, level=Value())
    answer = shop.asked("ann", features=["likes:level", "likes:city"])
    assert (answer["level"], answer["city"]) == ([("NULL_VALUE", None)], [("NOT_FOUND", None)])


def test_the_newest_of_many_writers_stays(shop: Shop) -> None:
    def write(offset: int) -> None:
        for i in range(offset, 400, 4):
            put_level(shop, i, DAY + i * timedelta(microseconds=1))

    writers = [threading.Thread(target=write, args=(offset,)) for offset in (3, 1, 2, 0)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert level(shop) == ("PRESENT", 399)


def test_push_and_ttl(shop: Shop) -> None:
    now = datetime.now(UTC)
    rows = pd.DataFrame({"user_id": ["new", "old"], "at": [now, now - timedelta(days=2)], "visits": [5, 6]})
    shop.store.push("visits_pushed", rows)
    answer = shop.asked("new", "old", "none", features=["visits:visits"])
    assert answer["visits"] == [("PRESENT", 5), ("OUTSIDE_MAX_AGE", None), ("NOT_FOUND", None)]


def test_reading_asynchronously_answers_the_same(shop: Shop) -> None:
    put_level(shop, 1, DAY)
    arguments = (["likes:level"], [{"user_id": "ann"}, {"user_id": "zoe"}])
    now = shop.store.get_online_features(*arguments)
    later = asyncio.run(shop.store.get_online_features_async(*arguments))
    assert now.proto == later.proto


def test_an_emptied_store_is_not_ready(shop: Shop) -> None:
    put_level(shop, 1, DAY)
    shop.online.keeper(shop.store.config).delete_everything()
    with pytest.raises(OnlineStoreNotReadyError, match="mmfs materialise"):
        level(shop)
    # Rows that arrive meanwhile do not make it whole.
    put_level(shop, 2, DAY)
    with pytest.raises(OnlineStoreNotReadyError):
        level(shop)
    shop.store.apply(shop.objects())
    assert level(shop) == ("PRESENT", 2)


def test_a_user_is_deleted_from_every_view_and_nobody_else(shop: Shop) -> None:
    now = datetime.now(UTC)
    shop.store.push("visits_pushed", pd.DataFrame({"user_id": ["ann", "annie"], "at": [now] * 2, "visits": [5, 6]}))
    put_level(shop, 1, DAY)
    assert shop.online.delete_entities(shop.store.config, "user_id", ["ann", "zoe"]) == 1
    answer = shop.asked("ann", "annie")
    assert {status for column in answer.values() for status, _ in column[:1]} == {"PRESENT", "NOT_FOUND"}
    assert (answer["level"][0][0], answer["visits"]) == ("NOT_FOUND", [("NOT_FOUND", None), ("PRESENT", 6)])


def test_rows_of_an_earlier_schema_are_read_by_name(shop: Shop) -> None:
    shop.put("ann", DAY, level=Value(int32_val=1), city=Value(string_val="Oslo"))
    shop.store.apply(shop.objects((Field(name="extra", dtype=Float64),)))
    answer = shop.asked("ann", features=["likes:city", "likes:level", "likes:extra"])
    assert answer["city"] == [("PRESENT", "Oslo")]
    assert answer["level"] == [("PRESENT", 1)]
    assert answer["extra"] == [("NOT_FOUND", None)]


def test_a_deleted_view_takes_its_rows_along(shop: Shop) -> None:
    put_level(shop, 1, DAY)
    shop.put("bob", DAY, city=Value(string_val="a city"))
    keeper = shop.online.keeper(shop.store.config)
    fields = [field_id("visits"), field_id("likes")]
    row = RowSchema.of(shop.store.get_feature_view("likes")).prefix
    assert keeper.held(fields) == [Held(0, 0), Held(2, 2 * row + len("a city"))]
    before = keeper.read([], []).generation
    objects = shop.objects()
    gone: list[Any] = [shop.store.get_feature_service("all"), shop.store.get_feature_view("likes")]
    shop.store.apply(objects[:1], objects_to_delete=gone, partial=False)
    assert keeper.read([], []).generation > before
    assert keeper.held(fields) == [Held(0, 0)] * 2
    shop.store.apply(objects)
    assert level(shop) == ("NOT_FOUND", None)


def test_projects_share_a_store_without_meeting(shop: Shop, online_config: dict[str, object]) -> None:
    put_level(shop, 1, DAY)
    other = Shop(shop.folder / "other", online_config, project="other")
    put_level(other, 2, DAY)
    assert (level(shop), level(other)) == (("PRESENT", 1), ("PRESENT", 2))
    other.store.teardown()
    assert level(shop) == ("PRESENT", 1)


def test_a_value_of_another_type_is_refused(shop: Shop) -> None:
    with pytest.raises(FeatureViewError, match="feature 'level' holds int32"):
        shop.put("ann", DAY, level=Value(string_val="high"))
