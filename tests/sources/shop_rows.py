"""Good rows of each source table, to be spoilt one value at a time, and drops written from rows."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from pathlib import Path

from pipelines.delta import TableStore
from pipelines.governance.runs import Figure, Run, StepReport
from pipelines.settings import Settings, load_settings

Row = dict[str, object]
AS_OF = datetime(2026, 6, 1, tzinfo=UTC)
GOOD: dict[str, Row] = {
    "products": {
        "product_id": "p1", "title": "红苹果 | Red apples", "category": "Food/Fruit", "brand": "Orchard",
        "price": "4.50", "currency": "CNY", "attributes": '{"b": "2", "a": "1"}', "image_paths": '["a.jpg"]',
        "updated_at": "2026-01-01T00:00:00Z",
    },
    "users": {
        "user_id": "u1", "signup_at": "2026-01-01T00:00:00Z", "birth_year": "1990", "gender": "f", "region": "north",
        "consents": '["marketing"]', "updated_at": "2026-01-01T00:00:00Z",
    },
    "events": {
        "event_id": "e1", "user_id": "u1", "event_type": "purchase", "event_timestamp": "2026-02-01T10:00:00+08:00",
        "product_id": "p1", "quantity": "2", "price": "4.5", "currency": "CNY", "channel": "app",
        "dwell_seconds": "3.5", "attributes": '{"discount": "0.1"}',
    },
    "reviews": {
        "review_id": "r1", "user_id": "u1", "product_id": "p1", "rating": "5", "title": "Good",
        "text": "很好吃<br/>really", "language": "zh", "event_timestamp": "2026-02-02T00:00:00Z",
    },
    "messages": {
        "message_id": "m1", "user_id": "u1", "channel": "question", "text": "When? Call 13812345678",
        "event_timestamp": "2026-02-03T00:00:00Z",
    },
    "identities": {
        "identifier_type": "device", "identifier": "d1", "user_id": "u1", "linked_at": "2026-01-02T00:00:00Z",
    },
}  # fmt: skip


def write_csv(path: Path, rows: list[Row]) -> None:
    """A CSV whose header is the union of the rows' columns, in order of appearance."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, header)
        writer.writeheader()
        writer.writerows(rows)


def write_json_lines(path: Path, rows: list[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def settings_of(home: Path, **more: object) -> Settings:
    return load_settings(home=str(home), **more)


def run_of(store: TableStore, as_of: datetime = AS_OF) -> Run:
    return Run(store.settings, as_of, "test")


def figures(report: StepReport, subject: str | None, measure: str) -> dict[str | None, float]:
    """The figures of one subject and measure by reason."""
    found: list[Figure] = [f for f in report.figures if f.subject == subject and f.measure == measure]
    return {f.reason: f.value for f in found}
