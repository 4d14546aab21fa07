"""Each format gives the same rows of text; what cannot be read is kept as it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipelines.errors import DropNotFoundError, MissingColumnError
from pipelines.frames import frame_of
from pipelines.sources.drop_files import open_drop
from pipelines.sources.fingerprint import drop_id
from pipelines.sources.readers import read_source
from tests.sources.shop_rows import GOOD, Row, write_csv, write_json_lines

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

VALUES = ("product_id", "title", "description", "price", "attributes", "image_paths", "updated_at", "unknown_columns")
INSTANT = "2026-01-01T00:00:00.000000+00:00"


def read(spark: SparkSession, drop: Path, source: str) -> list[Row]:
    frame = read_source(spark, open_drop(spark, str(drop)), source).frame
    return [row.asDict() for row in frame.collect()]


def test_all_formats_give_the_same_text(spark: SparkSession, tmp_path: Path) -> None:
    row: Row = {
        "product_id": "7", "title": 'a "quoted"\ntitle, 苹果', "price": "4.50", "attributes": '{"a":"1"}',
        "image_paths": '["x.jpg","y;z.jpg"]', "updated_at": INSTANT, "colour": "red",
    }  # fmt: skip
    write_csv(tmp_path / "csv" / "products.csv", [row])
    nested: Row = {**row, "attributes": {"a": "1"}, "image_paths": ["x.jpg", "y;z.jpg"]}
    write_json_lines(tmp_path / "json" / "products" / "part-1.jsonl", [nested])
    typed = frame_of(spark, [tuple(row.values())], ", ".join(f"{c} string" for c in row)).selectExpr(
        "product_id", "title", "cast(price as decimal(8,2)) price",
        "from_json(attributes, 'map<string,string>') attributes",
        "from_json(image_paths, 'array<string>') image_paths", "cast(updated_at as timestamp) updated_at", "colour",
    )  # fmt: skip
    typed.coalesce(1).write.parquet(str(tmp_path / "parquet" / "products"))
    typed.coalesce(1).write.format("delta").save(str(tmp_path / "delta" / "products"))
    expected = {**dict.fromkeys(VALUES), **row, "unknown_columns": '{"colour":"red"}'}
    for form in ("csv", "json", "parquet", "delta"):
        (got,) = read(spark, tmp_path / form, "products")
        assert {c: got[c] for c in VALUES} == {c: expected[c] for c in VALUES}, form
        assert str(got["source_file"]).startswith("products"), form
        assert got["corrupt_record"] is None


def test_malformed_lines_are_kept_and_the_others_read(spark: SparkSession, tmp_path: Path) -> None:
    good = GOOD["messages"]
    lines = [
        json.dumps(good),
        '{"message_id": "m2", "text": ',
        "",
        "[1, 2]",
        "not json",
        json.dumps({**good, "n": {"x": [1]}}),
    ]
    (tmp_path / "messages.ndjson").write_text("\n".join(lines))
    rows = read(spark, tmp_path, "messages")
    assert [r["corrupt_record"] for r in rows] == [None, lines[1], "[1, 2]", "not json", None]
    assert rows[4]["unknown_columns"] == '{"n":"{\\"x\\":[1]}"}'


def test_csv_rows_of_another_length_are_kept_as_corrupt(spark: SparkSession, tmp_path: Path) -> None:
    text = "identifier_type,identifier,user_id,linked_at\ndevice,d1,u1,2026-01-01T00:00:00Z\ndevice,d2\na,b,c,d,e,f\n"
    (tmp_path / "identities.csv").write_text("\ufeff" + text, encoding="utf-8")
    rows = read(spark, tmp_path, "identities")
    assert [r["corrupt_record"] is None for r in rows] == [True, False, False]
    assert rows[0]["identifier"] == "d1"


@pytest.mark.parametrize("name", ["messages.csv", "messages.jsonl"])
def test_bytes_of_another_encoding_become_replacement_characters(
    spark: SparkSession, tmp_path: Path, name: str
) -> None:
    write = write_csv if name.endswith("csv") else write_json_lines
    write(tmp_path / name, [{**GOOD["messages"], "text": "很好吃"}])
    content = (tmp_path / name).read_bytes().replace("很好吃".encode(), "很好吃".encode("gbk"))
    (tmp_path / name).write_bytes(content)
    (row,) = read(spark, tmp_path, "messages")
    assert "\ufffd" in str(row["text"])


def test_files_that_are_no_table_are_named(spark: SparkSession, tmp_path: Path) -> None:
    write_csv(tmp_path / "users.csv", [GOOD["users"]])
    for name in ("README.md", "mapping.csv", "events.xlsx"):
        (tmp_path / name).write_text("x")
    (tmp_path / "media").mkdir()
    drop = open_drop(spark, str(tmp_path))
    assert [t.source for t in drop.tables] == ["users"]
    assert drop.ignored == ("README.md", "events.xlsx", "mapping.csv")


@pytest.mark.parametrize(
    ("source", "column", "named"),
    [
        ("products", "updated_at", "updated_at"),
        ("events", "user_id", "user_id or device_id"),
        ("reviews", "text", "text"),
    ],
)
@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_missing_column_is_named(
    spark: SparkSession, tmp_path: Path, source: str, column: str, named: str, ending: str
) -> None:
    write = write_csv if ending == "csv" else write_json_lines
    write(tmp_path / f"{source}.{ending}", [{k: v for k, v in GOOD[source].items() if k != column}])
    with pytest.raises(MissingColumnError, match=f"table '{source}' has no column '{named}'"):
        read(spark, tmp_path, source)


def test_no_drop_and_an_empty_one_are_errors(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(DropNotFoundError, match=r"there is no drop at .*nowhere"):
        open_drop(spark, str(tmp_path / "nowhere"))
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DropNotFoundError, match=r"expected a file or folder named one of products.*found: notes.txt"):
        open_drop(spark, str(tmp_path))


def test_a_drop_is_known_by_its_content(spark: SparkSession, tmp_path: Path) -> None:
    def fingerprint(shop: Path) -> str:
        return drop_id(spark, open_drop(spark, str(shop)))

    shop = tmp_path / "shop"
    write_csv(shop / "users.csv", [GOOD["users"]])
    before = fingerprint(shop)
    assert before.startswith("shop-")
    assert len(before) == len("shop-") + 12
    (shop / "users.csv").touch()
    (shop / "README.md").write_text("not a table")
    assert fingerprint(shop) == before
    write_csv(shop / "users.csv", [{**GOOD["users"], "region": "south"}])
    assert fingerprint(shop) != before
