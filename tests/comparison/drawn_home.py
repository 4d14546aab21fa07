"""A home of a drawn shop, made without Spark: the tables that a comparison reads, from the drop's own rows."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.governance.home import open_home
from pipelines.releases.bootstrap import planned_release
from pipelines.releases.compare.shop import content_id, text_hash
from pipelines.releases.pin import write_pin
from pipelines.sample_shop import write_sample_shop
from pipelines.settings import Settings
from pipelines.tables.aggregates import USER_TILES
from pipelines.tables.arrow_types import arrow_schema
from pipelines.tables.definitions import HALF_LIVES_DAYS, INTEREST_WEIGHTS
from pipelines.tables.schema import Table
from pipelines.tables.sources import EVENTS, IDENTITIES, MEDIA, PRODUCT_CONTENTS, PRODUCTS, REVIEWS
from tests.point_in_time.delta_by_hand import commit

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def drawn_home(folder: Path, users: int, days: int, seed: int = 5) -> Settings:
    """Draw a shop and write its rows as silver and tiles; the release is that of the bundled encoders."""
    summary = write_sample_shop(folder / "shop", users=users, days=days, seed=seed)
    settings = Settings(home=str(folder / "home"))
    open_home(settings, create=True)
    write_pin(settings, [planned_release(settings)], "r1")
    products = _products(folder / "shop")
    events = _events(folder / "shop", summary.end)
    publish(
        settings, PRODUCTS, [{"valid_from": LONG_AGO} | _chosen(p, "product_id", "title", "category") for p in products]
    )
    contents = [row for product in products for row in _contents(folder / "shop", product)]
    publish(settings, PRODUCT_CONTENTS, contents)
    files = sorted({path for product in products for path in product["image_paths"]})
    publish(settings, MEDIA, [{"media_path": str(p), "content_hash": file_hash(p)} for p in _there(folder, files)])
    publish(settings, EVENTS, events)
    publish(settings, REVIEWS, _reviews(folder / "shop"))
    publish(settings, IDENTITIES, _links(folder / "shop"))
    shown = {row["product_id"]: row["content_id"] for row in contents if row["modality"] == "product_image"}
    publish(settings, USER_TILES, tiles(events, shown))
    return settings


def publish(
    settings: Settings, table: Table, rows: Sequence[Mapping[str, Any]], partition: Mapping[str, str] | None = None
) -> None:
    """Write a table with the columns that the rows have."""
    declared = arrow_schema(table)
    schema = pa.schema([declared.field(name) for name in rows[0]])
    location = Path(table.location(settings.under_home()))
    commit(location, pa.Table.from_pylist([dict(row) for row in rows], schema=schema), partition=partition)


def file_hash(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def tiles(events: Sequence[Mapping[str, Any]], shown: Mapping[str, str]) -> list[dict[str, Any]]:
    """Tiles of product pictures: interest weights decayed to each day's end."""
    sums: dict[tuple[str, Any, str], list[float]] = defaultdict(lambda: [0.0] * len(HALF_LIVES_DAYS))
    for event in events:
        if event["event_type"] in INTEREST_WEIGHTS and event["product_id"] in shown:
            at = event["event_timestamp"]
            end = datetime(at.year, at.month, at.day, tzinfo=UTC) + timedelta(days=1)
            weights = sums[event["subject_id"], at.date(), shown[event["product_id"]]]
            for place, half_life in enumerate(HALF_LIVES_DAYS):
                weights[place] += INTEREST_WEIGHTS[event["event_type"]] * 0.5 ** (
                    (end - at) / timedelta(days=half_life)
                )
    return [
        {
            "subject_id": subject,
            "day": day,
            "modality": "product_image",
            "content_id": content,
            "allowed_purposes": ["personalisation"],
            **{f"weight_{h}d": w for h, w in zip(HALF_LIVES_DAYS, weights, strict=True)},
            "available_at": LONG_AGO,
        }
        for (subject, day, content), weights in sorted(sums.items())
    ]


def _chosen(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: row[name] for name in names}


def _json_lines(path: Path) -> list[dict[str, Any]]:
    """The rows that are whole; a drawn shop has others, too."""
    rows = []
    for line in path.read_bytes().splitlines():
        try:
            rows.append(json.loads(line.decode()))
        except ValueError:
            continue
    return rows


def _products(shop: Path) -> list[dict[str, Any]]:
    rows = [row for row in _json_lines(shop / "products.jsonl") if isinstance(row.get("price"), float) and row["title"]]
    newest = {row["product_id"]: row for row in sorted(rows, key=lambda row: str(row["updated_at"]))}
    return [row | {"image_paths": row["image_paths"] or []} for row in newest.values() if row["product_id"]]


def _contents(shop: Path, product: Mapping[str, Any]) -> list[dict[str, Any]]:
    text = " ".join(product[name] for name in ("title", "brand", "category") if product[name])
    members = [file_hash(path) for path in _there(shop.parent, product["image_paths"])]
    base = {"product_id": product["product_id"], "valid_from": LONG_AGO}
    rows = [base | {"modality": "product_text", "content_id": text_hash(text), "members": [], "text": text}]
    if members:
        shown = {"modality": "product_image", "content_id": content_id(members), "members": members, "text": None}
        rows.append(base | shown)
    return rows


def _there(folder: Path, files: Sequence[str]) -> list[Path]:
    paths = [folder / "shop" / "media" / name for name in files]
    return [path for path in paths if path.is_file() and 0 < path.stat().st_size < 1_000_000]


def _events(shop: Path, end: datetime) -> list[dict[str, Any]]:
    tables = [pq.read_table(path) for path in sorted((shop / "events").glob("*.parquet"))]
    columns = ["event_id", "user_id", "device_id", "event_type", "event_timestamp", "query", "product_id", "session_id"]
    rows = {row["event_id"]: row for table in tables for row in table.select(columns).to_pylist() if row["event_id"]}
    found = []
    for row in rows.values():
        subject = row["user_id"] or (row["device_id"] and f"device:{row['device_id']}")
        at = row["event_timestamp"]
        if subject and at is not None and end - timedelta(days=400) < at < end:
            found.append({name: row[name] for name in columns if not name.endswith("e_id") and name != "user_id"})
            found[-1] |= {"event_id": row["event_id"], "subject_id": subject}
    return found


def _reviews(shop: Path) -> list[dict[str, Any]]:
    rows = [row for row in _json_lines(shop / "reviews.jsonl") if isinstance(row.get("text"), str) and row["text"]]
    names = ("review_id", "product_id", "title", "text", "language")
    return [
        _chosen(row, *names)
        | {"rating": row["rating"] if isinstance(row["rating"], int) else None}
        | {"content_hash": text_hash(" ".join(part for part in (row["title"], row["text"]) if part is not None))}
        for row in rows
    ]


def _links(shop: Path) -> list[dict[str, Any]]:
    with (shop / "identities.csv").open(encoding="utf-8", errors="replace", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["identifier_type"] == "device" and row["user_id"]]
    found = []
    for row in rows:
        try:
            linked = datetime.fromisoformat(row["linked_at"])
            unlinked = datetime.fromisoformat(row["unlinked_at"]) if row["unlinked_at"] else None
        except (ValueError, TypeError):
            continue
        found.append(
            {
                "identifier_type": "device",
                "identifier": f"device:{row['identifier']}",
                "user_id": row["user_id"],
                "linked_at": linked.replace(tzinfo=linked.tzinfo or UTC),
                "unlinked_at": unlinked,
                "available_at": LONG_AGO,
            }
        )
    return found
