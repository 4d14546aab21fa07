"""Dirt that was found counts, dirt that was not and clean rows that were thrown out count against."""

import json
from typing import Any

import pytest

from pipelines.evaluation.measures.dirty_files import DIRTY_FILES
from pipelines.evaluation.measures.dirty_rows import DIRTY_ROWS
from pipelines.tables.aggregates import EMBEDDINGS
from pipelines.tables.sources import EVENTS, MEDIA, QUARANTINE
from tests.evaluation.planted import RELEASE, Planted


def _dirt(table: str, kind: str, fate: str, key: str | None, witness: str | None = None) -> dict[str, Any]:
    return {"table": table, "kind": kind, "fate": fate, "file": f"{table}.csv", "key": key, "witness": witness}


def _quarantined(table: str, key: str | None, **record: str | None) -> dict[str, Any]:
    return {"source_table": table, "row_key": key, "record": json.dumps(record)}


@pytest.fixture
def dirty(planted: Planted) -> Planted:
    planted.true(
        "dirt",
        _dirt("events", "unknown_type", "reject", "x1"),
        _dirt("events", "unknown_type", "reject", "x2"),
        _dirt("events", "missing_id", "reject", None, "s7"),
        _dirt("reviews", "malformed", "reject", None, '{"review_id": "r'),
        _dirt("events", "duplicate", "duplicate", "e1"),
        _dirt("events", "duplicate", "duplicate", "e2"),
        _dirt("events", "clock_hours_off", "keep", "x3"),
    )
    planted.publish(EVENTS, [{"event_id": "e1"}, {"event_id": "e2"}, {"event_id": "e2"}])
    return planted


def test_recall_precision_and_what_is_kept(dirty: Planted) -> None:
    dirty.publish(
        QUARANTINE,
        [
            _quarantined("events", "x1", event_type="hover"),
            _quarantined("events", None, session_id="s7"),
            _quarantined("reviews", None, corrupt_record='{"review_id": "r\n'),
            _quarantined("events", "e9"),
            _quarantined("events", "x3"),
        ],
    )
    found = dirty.values(DIRTY_ROWS)
    assert found["events.unknown_type", "recall"] == 0.5
    assert found["events.missing_id", "recall"] == 1.0
    assert found["reviews.malformed", "recall"] == 1.0
    assert found["all rules", "recall"] == 0.75
    assert found["all rules", "precision"] == 0.6
    assert found["duplicates", "taken once"] == 0.5
    assert found["odd but valid", "kept"] == 0.0


def test_the_same_key_of_another_table_is_another_row(dirty: Planted) -> None:
    dirty.publish(QUARANTINE, [_quarantined("reviews", "x1"), _quarantined("messages", None, session_id="s7")])
    found = dirty.values(DIRTY_ROWS)
    assert found["all rules", "recall"] == 0.0
    assert found["all rules", "precision"] == 0.0


def _file(path: str, content: str | None, reason: str | None = None) -> dict[str, Any]:
    return {"given_path": path, "content_hash": content, "reason": reason}


def test_files_without_a_vector_are_refused_files(planted: Planted) -> None:
    def spoilt(name: str, kind: str, fate: str) -> dict[str, Any]:
        return {"table": "media", "kind": kind, "fate": fate, "file": f"media/images/{name}", "key": "p1"}

    planted.true(
        "dirt",
        spoilt("a.jpg", "missing_image", "reject"),
        spoilt("b.jpg", "truncated_jpeg", "reject"),
        spoilt("c.jpg", "truncated_jpeg", "reject"),
        spoilt("d.jpg", "cmyk_jpeg", "keep"),
    )
    planted.publish(
        MEDIA,
        [
            _file("images/a.jpg", None, "missing"),
            _file("images/b.jpg", "hb"),
            _file("images/c.jpg", "hc"),
            _file("images/d.jpg", "hd"),
            _file("images/good.jpg", "hg"),
            _file("../etc/passwd", None, "not_allowed"),
        ],
    )
    name, version = RELEASE.encoder_for("clip")
    vectors = [
        {"content_hash": content, "status": status}
        for content, status in (("hb", "failed"), ("hc", "ok"), ("hd", "ok"), ("hg", "failed"))
    ]
    planted.publish(EMBEDDINGS, vectors, {"encoder": name, "encoder_version": version, "modality": "image"})
    assert planted.values(DIRTY_FILES) == {
        ("all kinds", "recall"): pytest.approx(2 / 3),
        ("all kinds", "precision"): 0.75,
        ("odd but valid", "has a vector"): 1.0,
        ("missing_image", "recall"): 1.0,
        ("truncated_jpeg", "recall"): 0.5,
    }
