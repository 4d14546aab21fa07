"""Tags through the tables: which moments get rows, what is known at each, the feed of changes, and a backfill."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from typing import Any

import pyarrow as pa
import pytest

from pipelines.consumers.tree_table import TreeTable
from pipelines.governance.progress import Batch
from pipelines.releases.backfill import backfill
from pipelines.releases.manifest import Release
from pipelines.releases.parity import same_pairs
from pipelines.tables.features import PRODUCT_ACTIVITY, PRODUCT_TAGS, TAG_CHANGES, USER_ACTIVITY, USER_TAGS
from pipelines.tables.sources import EVENTS, IDENTITIES, PRODUCTS
from pipelines.tags.build import build_tags
from pipelines.tags.confidence import Curve
from pipelines.tags.definition import Definition, write_definition
from tests.hand_made_home import Home, tiny_release
from tests.tags.test_catalogue import catalogue

# A Sunday: the first row is due on the Monday of the next week.
START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
SURE = Curve(intercept=-1.0, score=3.0)
END = START + dt.timedelta(days=29, hours=5)


def day(number: float) -> dt.datetime:
    return START + dt.timedelta(days=number)


@pytest.fixture(scope="module")
def release(standing_home: Home) -> Release:
    definition = Definition(
        catalogue(
            {"id": "likes.brand", "facet": "brand"},
            {"id": "quiet", "all_of": [{"feature": "user_activity.last_event_at", "at_least": 10, "scale": 0.5}]},
            facets={"brand": {"column": "brand"}},
        ),
        {"likes.brand": SURE},
    )
    write_definition(standing_home.settings, definition)
    return dataclasses.replace(tiny_release("r1"), tag_calibrations={"definition": definition.id})


def five_days(feature: str) -> TreeTable:
    """A model that is as good as sure where an instant is more than five days ago, or unknown."""
    node = {"tree": [0, 0, 0], "node": [0, 1, 2], "feature": [feature, None, None], "threshold": [5.0, 0.0, 0.0],
            "missing_left": [False] * 3, "left": [1, 0, 0], "right": [2, 0, 0], "value": [0.0, -6.0, 6.0]}  # fmt: skip
    return TreeTable(pa.table(node), (feature,), 0.0)


def view(event: str, subject: str, product: str, at: dt.datetime) -> dict[str, Any]:
    return {
        "event_id": event, "subject_id": subject, "event_type": "view", "event_timestamp": at, "event_date": at.date(),
        "product_id": product, "available_at": at, "drop_id": "d",
    }  # fmt: skip


def batch(as_of: dt.datetime, previous: dt.datetime | None) -> Batch:
    return Batch("features", ("d",), as_of, previous, previous is None, f"batch {as_of}")


@pytest.fixture(scope="module")
def standing_home(tmp_path_factory: pytest.TempPathFactory, spark: Any) -> Home:
    allowed = {"personalisation": "allow", "marketing": "allow"}
    home = Home(tmp_path_factory.mktemp("tags") / "home", spark, consent_default=allowed)
    products = [("k1", "Kivi"), ("k2", "Kivi"), ("k3", "Kivi"), *((f"m{i}", "Mosso") for i in range(9))]
    home.write(
        PRODUCTS,
        *({"product_id": p, "title": p, "brand": b, "valid_from": START, "available_at": START, "drop_id": "d"}
          for p, b in products),
    )  # fmt: skip
    home.write(
        PRODUCT_ACTIVITY,
        *({"product_id": p, "event_timestamp": day(1), "created_at": day(1), "views_30d": 5, "cart_adds_30d": 0,
           "purchases_30d": 0} for p, _ in products),
    )  # fmt: skip
    home.write(
        EVENTS,
        *(view(f"a{i}", "ann", f"k{i}", day(2)) for i in (1, 2, 3)),
        # Bob's are done on a device that becomes his on the 20th.
        *(view(f"b{i}", "device:x", f"k{i}", day(3)) for i in (1, 2, 3)),
        view("b4", "bob", "m1", day(4)),
    )
    home.write(
        IDENTITIES,
        {"identifier_type": "device", "identifier": "device:x", "user_id": "bob", "linked_at": day(19.5),
         "available_at": day(19.5), "drop_id": "d"},
    )  # fmt: skip
    home.write(
        USER_ACTIVITY,
        *({"user_id": "ann", "purpose": p, "event_timestamp": day(3), "created_at": day(3), "last_event_at": day(2)}
          for p in ("personalisation", "marketing")),
    )  # fmt: skip
    return home


@pytest.fixture(scope="module")
def first(standing_home: Home, release: Release) -> dict[str, int]:
    users = [("ann", START.date()), ("bob", START.date())]
    frame = standing_home.store.spark.createDataFrame(users, "user_id string, from_day date")
    return build_tags(standing_home.store, batch(END, None), release, frame)


def rows(home: Home, user: str) -> list[tuple[dt.datetime, list[str]]]:
    found = home.store.read(USER_TAGS).where(f"user_id = '{user}' and purpose = 'personalisation'")
    return [
        (row.event_timestamp.astimezone(dt.UTC), list(row.tags)) for row in found.orderBy("event_timestamp").collect()
    ]


def test_a_load_of_history_has_rows_at_the_ends_of_weeks_where_something_changes(
    standing_home: Home, first: dict[str, int]
) -> None:
    assert first["product_tags"] == 12
    found = rows(standing_home, "ann")
    assert [at for at, _ in found][:2] == [day(8), day(15)]
    assert {at.weekday() for at, _ in found} == {0}
    assert found[0][1] == ["likes.brand:Kivi"]
    assert set(found[1][1]) == {"likes.brand:Kivi", "quiet"}


def test_a_device_counts_from_its_link_on(standing_home: Home, first: dict[str, int]) -> None:
    found = rows(standing_home, "bob")
    assert [("likes.brand:Kivi" in tags, at >= day(19.5)) for at, tags in found] == [
        (at >= day(19.5), at >= day(19.5)) for at, _ in found
    ]
    assert found[-1][0] > day(19.5)


def test_no_row_could_know_more_than_its_time(standing_home: Home, first: dict[str, int]) -> None:
    later = standing_home.store.read(USER_TAGS).where("created_at != event_timestamp").count()
    assert later == 0


def test_evidence_names_the_products(standing_home: Home, first: dict[str, int]) -> None:
    row = standing_home.store.read(USER_TAGS).where("user_id = 'ann'").orderBy("event_timestamp").first()
    assert row is not None
    why = json.loads(row.evidence[0])
    assert {item["id"] for item in why["for"]} == {"k1", "k2", "k3"}
    assert why["usual"] == 0.25


def test_the_feed_says_who_got_and_lost_what(standing_home: Home, first: dict[str, int], release: Release) -> None:
    def feed(user: str) -> list[tuple[str, str]]:
        found = standing_home.store.read(TAG_CHANGES).where(f"user_id = '{user}' and purpose = 'marketing'")
        return [(row.tag, row.change) for row in found.orderBy("event_timestamp", "tag").collect()]

    assert feed("ann") == [("likes.brand:Kivi", "entered"), ("quiet", "entered")]
    store = standing_home.store
    standing_home.write(
        USER_ACTIVITY,
        {"user_id": "ann", "purpose": "marketing", "event_timestamp": day(30), "created_at": day(31),
         "last_event_at": day(29.5)},
    )  # fmt: skip
    again = store.spark.createDataFrame([("ann", day(29).date())], "user_id string, from_day date")
    second = build_tags(store, batch(day(31), END), release, again)
    assert second[TAG_CHANGES.name] == 1
    assert feed("ann")[-1] == ("quiet", "left")
    assert build_tags(store, batch(day(31), END), release, again)[USER_TAGS.name] == 0


def test_a_backfill_has_the_same_rows_at_the_same_times(
    standing_home: Home, first: dict[str, int], release: Release
) -> None:
    store = standing_home.store
    other = catalogue(
        {"id": "prefers.brand", "facet": "brand"},
        {"id": "long.gone", "model": "models:/gone/1"},
        version=2,
        facets={"brand": {"column": "brand"}},
    )
    definition = Definition(other, {"prefers.brand": SURE}, {"long.gone": five_days("last_event_at")})
    write_definition(standing_home.settings, definition)
    candidate = dataclasses.replace(release, name="r2", tag_calibrations={"definition": definition.id})
    for table in (PRODUCT_TAGS, USER_TAGS):
        backfill(store, table, release, candidate)
        assert same_pairs(store, table, release, candidate)
    _, version = candidate.encoder_for("tags")
    of_ann = store.read(USER_TAGS).where(f"encoder_version = '{version}' and user_id = 'ann'")
    found = of_ann.where("purpose = 'personalisation'").collect()
    assert {tuple(row.tags) for row in found} == {("long.gone", "prefers.brand:Kivi")}
    assert json.loads(found[0].evidence[0])["for"][0]["value"] == "2026-03-03"


def test_who_did_nothing_has_no_row(standing_home: Home, first: dict[str, int], release: Release) -> None:
    users = standing_home.store.spark.createDataFrame([("zoe", START.date())], "user_id string, from_day date")
    assert build_tags(standing_home.store, batch(day(40), END), release, users)[USER_TAGS.name] == 0
