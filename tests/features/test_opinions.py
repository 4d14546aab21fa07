"""Histories of opinions through Spark: late texts, links, consents and windows that end, against their definition."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest
from pyspark.sql import SparkSession

from encoders.heads.spec import HeadsSpec
from pipelines.errors import PromotionRefusedError
from pipelines.features.changes import dirty_subject_days, dirty_users
from pipelines.features.opinions import build_opinions
from pipelines.governance.progress import Batch, finish, start
from pipelines.governance.runs import Run
from pipelines.releases.backfill import backfill, begin_history
from pipelines.releases.manifest import Release
from pipelines.releases.parity import require_parity
from pipelines.tables.aggregates import TEXT_JUDGEMENTS
from pipelines.tables.features import PRODUCT_OPINIONS, USER_OPINIONS
from pipelines.tables.schema import Table
from pipelines.tables.sources import CONSENTS, IDENTITIES, MESSAGES, REVIEWS
from tests.features.shop_oracle import at
from tests.features.test_histories import ShopStore, check, history
from tests.hand_made_home import tiny_release
from tests.table_frame import table_frame

HEADS = HeadsSpec("tiny-heads", "1", "file:/nowhere", "sha256:1", "sha256:0")
KEY = {"encoder": HEADS.name, "encoder_version": HEADS.version}
RUNS = (40.0, 460.5)
Row = dict[str, Any]


def release() -> Release:
    return dataclasses.replace(tiny_release("r1"), heads=HEADS)


def opinion(aspect: str, polarity: int, confidence: float = 0.9) -> Row:
    return {"aspect": aspect, "polarity": polarity, "confidence": confidence, "quote": "…", "start": 0, "end": 4}


JUDGED = {
    "good": (0.8, [opinion("quality", 1)]),
    "bad": (-0.6, [opinion("quality", -1, 0.8), opinion("delivery", -1), opinion("delivery", -1)]),
    "awful": (-0.9, [opinion("quality", -1, 0.99)]),
    "question": (-0.2, [opinion("size", -1)]),
}


def judged(*names: str) -> list[Row]:
    return [
        KEY | {"content_hash": name, "label": "x", "sentiment": JUDGED[name][0], "confidence": 0.9, "language": "zh",
               "opinions": JUDGED[name][1], "created_at": at(0)}
        for name in names
    ]  # fmt: skip


def text(number: str, user: str, content: str, day: float, known: float, drop: str, product: str = "p1") -> Row:
    return {"review_id": number, "user_id": user, "product_id": product, "content_hash": content,
            "event_timestamp": at(day), "available_at": at(known), "drop_id": drop}  # fmt: skip


def message(row: Row, channel: str) -> Row:
    return {name.replace("review_id", "message_id"): value for name, value in row.items()} | {"channel": channel}


FIRST = [text("r1", "ann", "good", 3.5, 3.5, "first"), text("r2", "bob", "bad", 10.2, 10.2, "first"),
         text("r5", "cat", "bad", 20.5, 20.5, "first", "p2")]  # fmt: skip
ASKED = message(text("m1", "ann", "question", 4.5, 4.5, "first"), "question")
COMPLAINED = message(text("m2", "ann", "awful", 12.1, 12.1, "first"), "service")
LATE = [text("r3", "ann", "awful", 5.5, RUNS[1], "late"), text("r4", "phone", "bad", 55.1, RUNS[1], "late")]


@pytest.fixture(scope="module")
def store(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> ShopStore:
    """Two batches: a load of history, and over a year later a late drop with a link and a refusal."""
    store = ShopStore(spark, tmp_path_factory.mktemp("opinions"))
    messages = [ASKED, COMPLAINED]
    link = {"identifier_type": "device", "identifier": "phone", "user_id": "ann", "linked_at": at(50),
            "available_at": at(RUNS[1]), "drop_id": "late"}  # fmt: skip
    refusal = {"user_id": "bob", "purpose": "personalisation", "granted": False, "valid_from": at(10),
               "available_at": at(RUNS[1]), "drop_id": "late"}  # fmt: skip
    _append(store, "good", "bad", "awful", "question")
    previous = None
    brought: tuple[tuple[str, list[Row], list[Row], list[Row]], ...] = (
        ("first", FIRST, [], []),
        ("late", FIRST + LATE, [link], [refusal]),
    )
    for (drop, reviews, links, words), day in zip(brought, RUNS, strict=True):
        for table, rows in ((REVIEWS, reviews), (MESSAGES, messages), (IDENTITIES, links), (CONSENTS, words)):
            store.put(table, rows)
        _build(store, Batch("features", (drop,), at(day), previous, drop == "first", drop))
        previous = at(day)
    return store


def _append(store: ShopStore, *names: str) -> None:
    store.append_once(table_frame(store.spark, TEXT_JUDGEMENTS, judged(*names)), TEXT_JUDGEMENTS, "-".join(names))


def _build(store: ShopStore, batch: Batch) -> None:
    start(store, batch)
    days = dirty_subject_days(store, batch)
    build_opinions(store, batch, release(), dirty_users(store, batch, days))
    finish(store, batch)


def value(store: ShopStore, table: Table, day: int, key: Mapping[str, str], created: datetime | None = None) -> Row:
    """The row in force at a day's end, of those known by a moment."""
    rows = history(store, table)[tuple({**KEY, **key}[name] for name in table.keys[:-2])]
    known = [(d, c, row) for d, of in rows.items() for c, row in of if d <= day and (created is None or c <= created)]
    return max(known, key=lambda item: item[:2])[2] if known else {}


def test_a_user_says_what_the_texts_say(store: ShopStore) -> None:
    ann = {"user_id": "ann", "purpose": "personalisation"}
    first = value(store, USER_OPINIONS, 13, ann, at(40))
    # A question is no opinion on goods.
    assert (first["texts_judged_90d"], first["size_blamed_90d"]) == (2, 0)
    assert (first["aspects_praised"], first["aspects_blamed"]) == (["quality"], ["quality"])
    assert first["negative_share_365d"] == 0.5
    weight = 2.0 ** (-9 / 90)
    assert first["sentiment_mean"] == pytest.approx((0.8 * weight - 0.9) / (weight + 1), abs=1e-6)
    assert first["last_negative_at"] == at(12.1)
    # The marketing default is to deny.
    assert value(store, USER_OPINIONS, 13, ann | {"purpose": "marketing"}) == {}


def test_what_comes_late_corrects_and_does_not_leak(store: ShopStore) -> None:
    ann = {"user_id": "ann", "purpose": "personalisation"}
    before, after = (value(store, USER_OPINIONS, 20, ann, at(day)) for day in (40, 461))
    assert (before["texts_judged_90d"], after["texts_judged_90d"]) == (2, 3)
    assert after["event_timestamp"] == before["event_timestamp"]
    # The phone counts from its link on.
    assert value(store, USER_OPINIONS, 59, ann)["delivery_blamed_90d"] == 1
    assert value(store, USER_OPINIONS, 54, ann)["delivery_blamed_90d"] == 0
    # Bob had refused before he wrote.
    bob = {"user_id": "bob", "purpose": "personalisation"}
    assert value(store, USER_OPINIONS, 30, bob, at(40))["texts_judged_90d"] == 1
    assert value(store, USER_OPINIONS, 30, bob)["texts_judged_90d"] == 0


def test_a_user_who_goes_quiet_does_not_keep_the_counts(store: ShopStore) -> None:
    found = history(store, USER_OPINIONS)
    key = ("ann", "personalisation", HEADS.name, HEADS.version)
    for day, expected in ((93, 4), (94, 3), (145, 1), (146, 0)):
        check(found, USER_OPINIONS, key, day, {"texts_judged_90d": expected}, "windows end")
    for day, expected in ((368, 4), (369, 3), (421, 0)):
        check(found, USER_OPINIONS, key, day, {"texts_judged_365d": expected}, "windows end")
    # Nothing but time touched Cat, and what she wrote of.
    for day, expected in ((110, 1), (111, 0)):
        key = ("cat", "personalisation", HEADS.name, HEADS.version)
        check(found, USER_OPINIONS, key, day, {"texts_judged_90d": expected}, "windows end")
        row = value(store, PRODUCT_OPINIONS, day, {"product_id": "p2"})
        assert (row["texts_judged_90d"], row["texts_judged_365d"]) == (expected, 1)


def test_a_product_is_praised_and_blamed_with_quotes_and_trend(store: ShopStore) -> None:
    early = value(store, PRODUCT_OPINIONS, 13, {"product_id": "p1"}, at(40))
    assert (early["texts_judged_30d"], early["quality_praised_30d"], early["quality_blamed_30d"]) == (3, 1, 2)
    assert early["quality_blamed_quotes"] == ["m2#0-4", "r2#0-4"]
    assert early["quality_blamed_trend"] is None
    # Bob's word is withdrawn, Ann's late one and her phone's are there.
    late = value(store, PRODUCT_OPINIONS, 60, {"product_id": "p1"})
    assert (late["texts_judged_90d"], late["texts_judged_30d"]) == (4, 1)
    assert late["quality_blamed_quotes"] == ["m2#0-4", "r3#0-4", "r4#0-4"]
    assert late["delivery_blamed_trend"] == pytest.approx(1 - 0)
    assert late["quality_blamed_trend"] == pytest.approx(1 - 2 / 3)
    assert late["sentiment_mean_90d"] == pytest.approx((0.8 - 0.9 - 0.9 - 0.6) / 4)
    over = value(store, PRODUCT_OPINIONS, 460, {"product_id": "p1"})
    assert (over["texts_judged_365d"], over["quality_blamed_quotes"], over["sentiment_mean_365d"]) == (0, [], None)


def test_new_heads_get_the_rows_of_those_that_stand(store: ShopStore) -> None:
    tuned = dataclasses.replace(release(), name="r2", heads=dataclasses.replace(HEADS, version="2"))
    rows = [row | {"encoder_version": "2"} for row in judged(*JUDGED)]
    store.append_once(table_frame(store.spark, TEXT_JUDGEMENTS, rows), TEXT_JUDGEMENTS, "tuned")
    run = Run(store.settings, at(RUNS[-1]), "promotion")
    for table in (USER_OPINIONS, PRODUCT_OPINIONS):
        backfill(store, table, release(), tuned)
        require_parity(store, table, release(), tuned)
        standing, made = (_values(store, table, version) for version in ("1", "2"))
        assert made.keys() == standing.keys()
        # What Bob refused is not used again, not even where that was not known yet.
        same = [key for key in standing if key[0] == "ann" or key[3] >= at(RUNS[1])]
        assert {key: made[key] for key in same} == {key: standing[key] for key in same}
    # A home without heads until now: every row is as true as it was, and known when its newest text was.
    first = dataclasses.replace(tuned, heads=dataclasses.replace(HEADS, version="3"))
    store.append_once(
        table_frame(store.spark, TEXT_JUDGEMENTS, [row | {"encoder_version": "3"} for row in rows]),
        TEXT_JUDGEMENTS,
        "3",
    )
    begin_history(store, run, USER_OPINIONS, first)
    newest = {key[:3]: row for key, row in sorted(_values(store, USER_OPINIONS, "1").items())}
    made = _values(store, USER_OPINIONS, "3")
    assert {key[:3]: row for key, row in made.items()} == {key: newest[key] for key in {k[:3] for k in made}}
    assert [created for user, _, event, created in made if (user, event) == ("ann", at(13))] == [at(RUNS[1])]
    wrong = table_frame(store.spark, TEXT_JUDGEMENTS, [rows[0] | {"encoder_version": "2", "content_hash": "awful"}])
    store.append_once(wrong, TEXT_JUDGEMENTS, "wrong")
    with pytest.raises(PromotionRefusedError, match="is not what its texts say: texts_judged"):
        require_parity(store, USER_OPINIONS, release(), tuned)


def _values(store: ShopStore, table: Table, version: str) -> dict[tuple[Any, ...], Row]:
    """Features by key, purpose and both times."""
    rows = store.read(table).where(f"encoder_version = '{version}'").toArrow().to_pylist()
    names = [column.name for column in table.feature_columns]
    return {
        (row[table.join_key], row.get("purpose"), row["event_timestamp"], row["created_at"]): {n: row[n] for n in names}
        for row in rows
    }
