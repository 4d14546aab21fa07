"""The drop keeps the contract of the source tables."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.sample_shop import SampleShopSummary
from pipelines.sample_shop.events import EVENT_TYPES

Read = Callable[[str], list[dict[str, object]]]
COLUMNS = {
    "products": "product_id title description category brand price currency attributes image_paths video_paths"
    " updated_at",
    "users": "user_id signup_at birth_year gender region consents updated_at",
    "events": "event_id user_id device_id event_type event_timestamp product_id query quantity price currency"
    " channel session_id dwell_seconds campaign_id attributes",
    "reviews": "review_id user_id product_id rating title text language image_paths event_timestamp",
    "messages": "message_id user_id channel text product_id event_timestamp",
    "identities": "identifier_type identifier user_id linked_at unlinked_at",
}


@pytest.mark.parametrize("table", COLUMNS)
def test_every_row_has_the_contracts_columns(rows: Read, table: str) -> None:
    assert all(set(COLUMNS[table].split()) <= set(row) for row in rows(table))


@pytest.mark.parametrize("table", COLUMNS)
def test_the_summary_counts_the_rows(shop: SampleShopSummary, rows: Read, table: str) -> None:
    assert len(rows(table)) + shop.dirt.get(f"{table}.malformed", 0) == shop.rows[table]


def test_event_files_share_one_typed_schema(drop: Path) -> None:
    schemas = [pq.read_schema(file) for file in sorted((drop / "events").glob("*.parquet"))]
    assert len(schemas) >= 3
    assert all(schema.equals(schemas[0]) for schema in schemas)
    assert schemas[0].field("event_timestamp").type == pa.timestamp("us", tz="UTC")
    assert schemas[0].field("price").type == pa.decimal128(12, 2)


def test_a_catalogue_of_many_kinds(rows: Read) -> None:
    products = rows("products")
    assert len({row["category"] for row in products}) >= 10
    assert len({row["brand"] for row in products}) >= 5
    assert {row["currency"] for row in products} == {"CNY"}
    assert len({row["product_id"] for row in products}) >= 60


def test_some_products_change_and_some_differ_only_by_picture(rows: Read) -> None:
    clean = [row for row in rows("products") if str(row["product_id"]).startswith("p")]
    versions = Counter(str(row["product_id"]) for row in clean)
    prices = {(row["product_id"], row["updated_at"]) for row in clean}
    assert len(prices) > len(versions)
    words: dict[str, set[str]] = {}
    for row in clean:
        told = {name: value for name, value in row.items() if name not in ("product_id", "image_paths", "video_paths")}
        words.setdefault(json.dumps(told, ensure_ascii=False), set()).add(str(row["product_id"]))
    assert any(len(same) > 1 for same in words.values())


def test_references_hold_where_both_tables_are_clean(rows: Read) -> None:
    products = {row["product_id"] for row in rows("products")}
    linked = {(row["user_id"], row["identifier"]) for row in rows("identities")}
    for event in rows("events"):
        assert event["product_id"] is None or event["product_id"] in products
        if event["user_id"] and event["device_id"]:
            assert (event["user_id"], event["device_id"]) in linked
    shown = {str(row["product_id"]) for row in rows("reviews")}
    assert {name for name in shown - products if not name.endswith("x")} == set()


def test_both_languages_are_used(rows: Read) -> None:
    def chinese(text: object) -> bool:
        return any("\u4e00" <= letter <= "\u9fff" for letter in str(text))

    assert {row["language"] for row in rows("reviews")} == {"zh", "en"}
    for table, column in (("products", "title"), ("events", "query"), ("messages", "text")):
        texts = [row[column] for row in rows(table) if row[column]]
        assert any(map(chinese, texts)), table
        assert not all(map(chinese, texts)), table


def test_consents_are_arrays_and_change_over_time(rows: Read) -> None:
    users = [row for row in rows("users") if str(row["user_id"]).startswith("u")]
    given = [json.loads(str(row["consents"])) for row in users if row["consents"]]
    assert {name for names in given for name in names} == {"personalisation", "marketing", "research"}
    assert len({(row["user_id"], row["updated_at"]) for row in users}) > len({row["user_id"] for row in users})


def test_the_licence_of_the_drawings_is_named(drop: Path) -> None:
    text = (drop / "README.md").read_text()
    assert "OpenMoji" in text
    assert "CC BY-SA 4.0" in text


def test_event_types_are_the_contracts() -> None:
    assert len(EVENT_TYPES) == 17
