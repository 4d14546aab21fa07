"""Every kind of dirt is in the files as often as the summary says."""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines.sample_shop import SampleShopSummary
from pipelines.sample_shop.dirty_rows import INJECTIONS

Row = dict[str, object]
Read = Callable[[str], list[Row]]
FOUND: dict[str, Callable[[Row], bool]] = {
    "events.missing_id": lambda row: row["event_id"] is None,
    "events.missing_actor": lambda row: row["user_id"] is None and row["device_id"] is None,
    "events.missing_timestamp": lambda row: row["event_timestamp"] is None,
    "events.unknown_type": lambda row: row["event_type"] == "hover",
    "events.negative_price": lambda row: str(row["price"]).startswith("-"),
    "events.negative_quantity": lambda row: str(row["quantity"]).startswith("-"),
    "events.clock_far_ahead": lambda row: str(row["event_timestamp"]).startswith("2099"),
    "events.clock_at_zero": lambda row: str(row["event_timestamp"]).startswith("1970"),
    "events.endless_dwell": lambda row: row["dwell_seconds"] == 200_000,
    "events.unknown_currency": lambda row: row["currency"] == "ZZZ",
    "events.injection": lambda row: row["query"] in INJECTIONS,
    "products.injection": lambda row: row["title"] in INJECTIONS,
    "products.list_for_map": lambda row: isinstance(row["attributes"], list),
    "products.missing_title": lambda row: row["title"] is None,
    "products.missing_id": lambda row: row["product_id"] is None,
    "products.negative_price": lambda row: row["price"] == -5,
    "products.text_price": lambda row: row["price"] == "twelve",
    "products.bad_timestamp": lambda row: row["updated_at"] == "abc",
    "products.path_outside": lambda row: "../" in str(row["image_paths"]),
    "users.missing_id": lambda row: not row["user_id"],
    "users.impossible_birth_year": lambda row: row["birth_year"] == "1850",
    "users.text_birth_year": lambda row: row["birth_year"] == "nineties",
    "users.bad_timestamp": lambda row: row["updated_at"] == "abc",
    "reviews.rating_out_of_range": lambda row: row["rating"] == 9,
    "reviews.text_rating": lambda row: row["rating"] == "five",
    "reviews.missing_text": lambda row: row["text"] is None,
    "reviews.far_future": lambda row: str(row["event_timestamp"]).startswith("2099"),
    "messages.unknown_channel": lambda row: row["channel"] == "fax",
    "messages.mojibake": lambda row: "ä»" in str(row["text"]),
    "messages.gbk_bytes": lambda row: "\ufffd" in str(row["text"]),
    "messages.missing_user": lambda row: not row["user_id"],
    "identities.missing_identifier": lambda row: not row["identifier"],
    "identities.unlinked_before_linked": lambda row: str(row["unlinked_at"]).startswith("2001"),
}


@pytest.mark.parametrize("kind", FOUND)
def test_dirt_is_counted(shop: SampleShopSummary, rows: Read, kind: str) -> None:
    assert sum(map(FOUND[kind], rows(kind.split(".")[0]))) == shop.dirt[kind] > 0


def test_repeated_events_are_counted(shop: SampleShopSummary, rows: Read) -> None:
    events = [row for row in rows("events") if row["event_id"]]
    ids = Counter(str(row["event_id"]) for row in events)
    contents = Counter(repr(row) for row in events)
    assert sum(contents.values()) - len(contents) == shop.dirt["events.duplicate"]
    repeats = sum(ids.values()) - len(ids)
    assert repeats == shop.dirt["events.duplicate"] + shop.dirt["events.same_id_other_content"]


@pytest.mark.parametrize("name", ["products.jsonl", "reviews.jsonl"])
def test_malformed_lines_are_counted(shop: SampleShopSummary, drop: Path, name: str) -> None:
    lines = (drop / name).read_bytes().splitlines()
    assert sum(not line.endswith(b"}") for line in lines) == shop.dirt[f"{name.removesuffix('.jsonl')}.malformed"]


def test_contacts_and_markup_are_left_in_reviews(shop: SampleShopSummary, rows: Read) -> None:
    texts = [str(row["text"]) for row in rows("reviews") if not str(row["review_id"]).startswith("x")]
    contacts = sum(bool(re.search(r"@example|13[89]\d{8}", text)) for text in set(texts))
    assert contacts == shop.dirt.get("reviews.contact_in_text", 0)
    assert sum("<br />" in text for text in set(texts)) == shop.dirt.get("reviews.markup_in_text", 0)


def test_about_two_rows_in_a_hundred_are_dirty(shop: SampleShopSummary) -> None:
    dirty = sum(number for kind, number in shop.dirt.items() if kind.startswith("events."))
    assert 0.01 < dirty / shop.rows["events"] < 0.04


def test_every_dirty_row_is_where_the_truth_says(shop: SampleShopSummary, drop: Path) -> None:
    dirt = [row for row in pq.read_table(shop.truth / "dirt.parquet").to_pylist() if row["row"] is not None]
    tables = {file: _records(drop / file) for file in {row["file"] for row in dirt}}
    for spoilt in dirt:
        record = tables[spoilt["file"]][spoilt["row"]]
        for part in (spoilt["key"] or spoilt["witness"]).split(" | "):
            assert part in record, spoilt
    assert len({(row["file"], row["row"]) for row in dirt}) == len(dirt)


def _records(path: Path) -> list[str]:
    """Each record of a file as some text that holds its values."""
    if path.suffix == ".parquet":
        return [repr(row) for row in pq.read_table(path).to_pylist()]
    lines = path.read_bytes().decode(errors="replace").splitlines()
    return lines[1:] if path.suffix == ".csv" else lines
