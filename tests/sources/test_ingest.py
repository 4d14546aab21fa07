"""Drops end to end: what is kept, repeated, refused, and that the same again changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pyspark.sql import DataFrame

from pipelines.delta import TableStore
from pipelines.frames import frame_of
from pipelines.governance.runs import StepReport
from pipelines.identity.subject_keys import subject_key
from pipelines.sources import ingest as ingest_step
from pipelines.sources.contract import SOURCES
from pipelines.sources.ingest import ingest
from pipelines.tables.governance import DROPS
from pipelines.tables.sources import (
    BRONZE,
    CONSENTS,
    EVENTS,
    IDENTITIES,
    MEDIA,
    MESSAGES,
    PRODUCT_CONTENTS,
    PRODUCTS,
    QUARANTINE,
    REVIEWS,
    TOMBSTONES,
    USERS,
)
from tests.sources.shop_rows import AS_OF, GOOD, figures, run_of, settings_of, write_csv, write_json_lines

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ALL = (*BRONZE.values(), EVENTS, PRODUCTS, USERS, CONSENTS, IDENTITIES, REVIEWS, MESSAGES, MEDIA, PRODUCT_CONTENTS)
STORED = (*ALL, QUARANTINE, DROPS)
LATER = AS_OF + timedelta(days=1)


class PowerCutError(Exception):
    pass


def cut_off(*_: object) -> None:
    raise PowerCutError


class Shop:
    """A home that has taken two drops in, with both reports."""

    def __init__(self, store: TableStore, folder: Path) -> None:
        self.store, self.folder = store, folder
        self.first = self.take_in(first_drop(folder / "first"), AS_OF)
        second = second_drop(folder / "second")
        with pytest.MonkeyPatch.context() as power:
            power.setattr(ingest_step, "_write_quarantine", cut_off)
            with pytest.raises(PowerCutError):
                self.take_in(second, LATER)
        self.second = self.take_in(second, LATER)

    def take_in(self, drop: Path, as_of: datetime) -> StepReport:
        return ingest(self.store, run_of(self.store, as_of), str(drop))

    def rows(self, table: DataFrame, *columns: str) -> list[tuple[object, ...]]:
        return sorted(tuple(row) for row in table.selectExpr(*columns).na.fill("").collect())


def first_drop(folder: Path) -> Path:
    (folder / "media").mkdir(parents=True)
    (folder / "media" / "a.jpg").write_bytes(b"picture a")
    (folder / "media" / "b.jpg").write_bytes(b"picture b")
    (folder / "media" / "empty.jpg").touch()
    (folder.parent / "outside.jpg").write_bytes(b"not of the drop")
    (folder / "media" / "link.jpg").symlink_to(folder.parent / "outside.jpg")
    paths = "b.jpg;a.jpg;gone.jpg;empty.jpg;../../outside.jpg;link.jpg;/etc/hostname;https://elsewhere/x.jpg"
    write_csv(folder / "products.csv", [{**GOOD["products"], "image_paths": paths}])
    write_csv(folder / "users.csv", [GOOD["users"], {**GOOD["users"], "user_id": "gone"}])
    event = GOOD["events"]
    write_json_lines(
        folder / "events.jsonl",
        [
            event,
            event,
            {**event, "price": "9"},
            {**event, "event_id": "e2", "product_id": "unheard-of", "mood": "good"},
            {**event, "event_id": "e3", "price": "-1"},
            {**event, "event_id": "e4", "user_id": None, "device_id": "d1"},
            {**event, "event_id": "e4", "user_id": None, "device_id": "d1"},
            {**event, "event_id": "e5", "user_id": "gone"},
        ],
    )
    write_csv(folder / "identities.csv", [GOOD["identities"]])
    write_json_lines(folder / "reviews.jsonl", [GOOD["reviews"]])
    write_json_lines(folder / "messages.jsonl", [GOOD["messages"]])
    return folder


def second_drop(folder: Path) -> Path:
    """Repeats, a conflict, a late older version of product and user, and the end of a link."""
    event = GOOD["events"]
    write_json_lines(
        folder / "events.jsonl",
        [
            {**event, "price": "9"},
            {**event, "event_id": "e2", "quantity": "7"},
            {**event, "event_id": "e6", "event_timestamp": "2026-01-05T00:00:00Z"},
        ],
    )
    old = {"title": "Green apples", "updated_at": "2025-12-01T00:00:00Z"}
    write_csv(folder / "products.csv", [{**GOOD["products"], **old}])
    write_csv(
        folder / "users.csv",
        [
            {**GOOD["users"], "consents": '["research"]', "updated_at": "2025-12-01T00:00:00Z"},
            {**GOOD["users"], "consents": "", "updated_at": "2026-03-01T00:00:00Z"},
            GOOD["users"],
            {**GOOD["users"], "consents": "[]"},
        ],
    )
    write_csv(
        folder / "identities.csv", [{**GOOD["identities"], "unlinked_at": "2026-04-01T00:00:00Z"}, GOOD["identities"]]
    )
    return folder


@pytest.fixture(scope="module")
def shop(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("shop")
    store = TableStore(spark, settings_of(folder / "home"))
    erased = [(subject_key("user", "gone", store.settings), AS_OF, "asked")]
    store.append_once(frame_of(spark, erased, TOMBSTONES.ddl), TOMBSTONES, "test")
    return Shop(store, folder)


def test_counts_add_up(shop: Shop) -> None:
    for report in (shop.first, shop.second):
        for source in SOURCES:
            parts = sum(report.total(measure, source) for measure in ("kept", "duplicates", "quarantined"))
            assert report.total("rows_in", source) == parts
    assert figures(shop.first, "events", "rows_in") == {None: 8}
    assert figures(shop.first, "events", "kept") == {None: 3}
    assert figures(shop.first, "events", "duplicates") == {None: 1}
    # Of the rows that claim one key the smallest signature wins, here the single one at price 9.
    assert figures(shop.first, "events", "quarantined") == {"conflicting_key": 2, "erased": 1, "negative_price": 1}
    assert figures(shop.first, "events", "unknown_column") == {"mood": 1}
    assert figures(shop.first, "events", "of_unknown_products") == {None: 1}
    assert figures(shop.second, "events", "kept") == {None: 1}
    assert figures(shop.second, "events", "late") == {None: 1}
    assert figures(shop.second, "events", "quarantined") == {"conflicting_key": 1}
    assert figures(shop.second, "users", "duplicates") == {None: 1}
    assert figures(shop.second, "users", "quarantined") == {"conflicting_key": 1}


def test_events_carry_the_acting_subject_and_when_they_could_be_known(shop: Shop) -> None:
    events = shop.store.read(EVENTS)
    got = shop.rows(events, "event_id", "subject_id", "string(available_at)", "to_json(attributes)")
    at, attributes = "2026-02-01 02:00:00", '{"discount":"0.1"}'
    # The first drop of a home is history: known at its own time. The second one when it came.
    assert got[1:] == [
        ("e2", "u1", at, attributes),
        ("e4", "device:d1", at, attributes),
        ("e6", "u1", "2026-06-02 00:00:00", attributes),
    ]


def test_versions_follow_each_other(shop: Shop) -> None:
    products = shop.rows(shop.store.read(PRODUCTS), "title", "string(valid_from)", "string(valid_to)")
    assert products == [
        ("Green apples", "2025-12-01 00:00:00", "2026-01-01 00:00:00"),
        ("红苹果 | Red apples", "2026-01-01 00:00:00", ""),
    ]
    users = shop.rows(shop.store.read(USERS), "string(valid_from)", "string(valid_to)")
    assert users == [
        ("2025-12-01 00:00:00", "2026-01-01 00:00:00"),
        ("2026-01-01 00:00:00", "2026-03-01 00:00:00"),
        ("2026-03-01 00:00:00", ""),
    ]
    consents = shop.store.read(CONSENTS).where("granted")
    # The version of March says nothing of consents, so January's hold on.
    assert shop.rows(consents, "purpose", "string(valid_from)", "string(valid_to)") == [
        ("marketing", "2026-01-01 00:00:00", ""),
        ("research", "2025-12-01 00:00:00", "2026-01-01 00:00:00"),
    ]


def test_a_link_is_closed_by_a_later_row(shop: Shop) -> None:
    links = shop.rows(
        shop.store.read(IDENTITIES), "identifier", "user_id", "string(unlinked_at)", "string(available_at)"
    )
    assert links == [("device:d1", "u1", "2026-04-01 00:00:00", "2026-01-02 00:00:00")]
    assert figures(shop.second, "identities", "kept") == {None: 1}
    assert figures(shop.second, "identities", "duplicates") == {None: 1}


def test_media_are_hashed_or_refused_with_a_reason(shop: Shop) -> None:
    media = shop.store.read(MEDIA).where("drop_id like 'first-%'")
    reasons = {row.given_path: row.reason for row in media.collect()}
    assert reasons == {
        "a.jpg": None,
        "b.jpg": None,
        "gone.jpg": "missing",
        "empty.jpg": "empty",
        "../../outside.jpg": "not_allowed",
        "link.jpg": "not_allowed",
        "/etc/hostname": "not_allowed",
        "https://elsewhere/x.jpg": "not_allowed",
    }
    assert figures(shop.first, "media", "failed") == {"missing": 1, "empty": 1, "not_allowed": 4}


def test_contents_keep_the_order_of_pictures(shop: Shop) -> None:
    hashes = {r.given_path: r.content_hash for r in shop.store.read(MEDIA).where("drop_id like 'first-%'").collect()}
    contents = shop.store.read(PRODUCT_CONTENTS).where("drop_id like 'first-%'").collect()
    by_modality = {row.modality: row for row in contents}
    assert by_modality["product_image"].members == [hashes["b.jpg"], hashes["a.jpg"]]
    assert by_modality["product_text"].text == "红苹果 | Red apples Orchard Food Fruit"
    assert set(by_modality) == {"product_image", "product_text"}


def test_texts_are_clean_of_markup_and_identifiers(shop: Shop) -> None:
    assert shop.rows(shop.store.read(REVIEWS), "text") == [("很好吃 really",)]
    assert shop.rows(shop.store.read(MESSAGES), "text") == [("When? Call [phone]",)]


def test_nothing_of_an_erased_subject_is_stored(shop: Shop) -> None:
    quarantined = shop.store.read(QUARANTINE).where("rule = 'erased'").collect()
    assert [(r.row_key, r.value, r.record) for r in quarantined] == [(None, None, None)] * 2
    for source in ("users", "events"):
        assert shop.store.read(BRONZE[source]).where("user_id = 'gone'").count() == 0


def test_the_same_drop_again_changes_nothing(shop: Shop) -> None:
    versions = [shop.store.version(table) for table in STORED]
    report = shop.take_in(shop.folder / "first", LATER)
    assert report.total("already_taken_in") == 1
    assert None not in versions
    assert [shop.store.version(table) for table in STORED] == versions


def test_a_drop_cut_off_is_taken_in_once(shop: Shop) -> None:
    """The second drop was cut off before its quarantine and then given again."""
    assert [row.drop_id[:6] for row in shop.store.read(DROPS).orderBy("ingested_at").collect()] == ["first-", "second"]
    for source, table in BRONZE.items():
        if source not in ("reviews", "messages"):
            rows = shop.store.read(table).where("drop_id like 'second-%'").count()
            assert rows == shop.second.total("rows_in", source)


# Of a slice of it the ordinary tests end to end check the same figures.
@pytest.mark.soak
def test_counts_of_the_grocery_drop(spark: SparkSession, test_data: Path, tmp_path: Path) -> None:
    store = TableStore(spark, settings_of(tmp_path / "home"))
    report = ingest(store, run_of(store, datetime(2018, 1, 2, tzinfo=UTC)), str(test_data / "grocery"))
    assert figures(report, "events", "rows_in") == {None: 91_781}
    assert figures(report, "events", "kept") == {None: 91_521}
    assert figures(report, "events", "quarantined") == {"quantity_below_one": 260}
    assert figures(report, "users", "kept") == {None: 1_262}
    assert len(figures(report, "users", "unknown_column")) == 7
    assert figures(report, "products", "kept") == {None: 706}
    assert figures(report, "reviews", "of_unknown_products") == {None: 1_000}
    assert figures(report, "media", "read") == {None: 1_004}
    assert {f.subject for f in report.figures if f.measure == "not_a_table"} == {"README.md", "mapping.csv"}
