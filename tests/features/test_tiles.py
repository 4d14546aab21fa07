"""Tiles against a plain loop over the acts."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from pyspark.sql import SparkSession

from pipelines.features.tiles import interest_events, tiles
from pipelines.tables.definitions import HALF_LIVES_DAYS, INTEREST_WEIGHTS
from pipelines.tables.sources import EVENTS, PRODUCT_CONTENTS
from tests.table_frame import table_frame

START = dt.datetime(2026, 2, 27, tzinfo=dt.UTC)
TYPES = (*INTEREST_WEIGHTS, "impression")


def moment(days: float) -> dt.datetime:
    return START + dt.timedelta(microseconds=round(days * 86_400_000_000))


def random_rows() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    random = np.random.default_rng(3)
    events = []
    for i in range(400):
        when = moment(float(random.integers(0, 4)) if random.random() < 0.1 else random.uniform(0, 4))
        kind = TYPES[random.integers(len(TYPES))]
        events.append(
            {"event_id": f"e{i}", "subject_id": f"s{random.integers(3)}", "event_type": kind, "event_timestamp": when,
             "product_id": f"p{random.integers(5)}" if random.random() < 0.8 else None, "drop_id": f"d{i % 2}",
             "query": ["shoe", " ", "鞋"][random.integers(3)], "available_at": when + dt.timedelta(hours=i % 3)}
        )  # fmt: skip
    contents = []
    # p3 has no picture in its second version, p4 is unknown.
    for product, since in (("p0", -1.0), ("p1", 1.0), ("p1", 2.5), ("p2", 2.0), ("p3", 0.0), ("p3", 2.0)):
        for modality in ("product_image", "product_text"):
            if modality == "product_text" or (product, since) != ("p3", 2.0):
                contents.append({"product_id": product, "valid_from": moment(since), "modality": modality,
                                 "content_id": f"{product}/{since}/{modality}"})  # fmt: skip
    return events, contents


def brute_force(events: list[dict[str, Any]], contents: list[dict[str, Any]]) -> dict[tuple[Any, ...], list[Any]]:
    made: dict[tuple[Any, ...], list[Any]] = defaultdict(lambda: [0, 0.0, 0.0, False, START])
    for e in events:
        if e["event_type"] not in INTEREST_WEIGHTS:
            continue
        found: list[tuple[str, str, bool]] = []
        versions = sorted({c["valid_from"] for c in contents if c["product_id"] == e["product_id"]})
        if versions:
            valid = ([v for v in versions if v <= e["event_timestamp"]] or versions[:1])[-1]
            found += [(c["modality"], c["content_id"], e["event_timestamp"] < valid) for c in contents
                      if c["product_id"] == e["product_id"] and c["valid_from"] == valid]  # fmt: skip
        if e["event_type"] == "search" and e["query"].strip():
            found.append(("query", hashlib.sha256(e["query"].encode()).hexdigest(), False))
        day = e["event_timestamp"].date()
        end = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), dt.UTC)
        for modality, content, first in found:
            tile = made[(e["subject_id"], day, modality, content, e["drop_id"])]
            tile[0] += 1
            for i, h in enumerate(HALF_LIVES_DAYS):
                age = (end - e["event_timestamp"]).total_seconds() / 86400
                tile[1 + i] += INTEREST_WEIGHTS[e["event_type"]] * 2 ** (-age / h)
            tile[3] |= first
            tile[4] = max(tile[4], e["available_at"])
    return made


def test_tiles_equal_a_plain_loop(spark: SparkSession) -> None:
    events, contents = random_rows()
    acts = interest_events(table_frame(spark, EVENTS, events)).selectExpr(
        "*", "cast(null as string) content_hash", "array('personalisation') allowed_purposes"
    )
    made = tiles(acts, table_frame(spark, PRODUCT_CONTENTS, contents)).collect()
    expected = brute_force(events, contents)
    assert {(r.subject_id, r.day, r.modality, r.content_id, r.drop_id) for r in made} == set(expected)
    for r in made:
        actions, *weights, first, available = expected[(r.subject_id, r.day, r.modality, r.content_id, r.drop_id)]
        assert (r.actions, r.first_version_used) == (actions, first)
        assert r.available_at.astimezone(dt.UTC) == available
        assert [r[f"weight_{h}d"] for h in HALF_LIVES_DAYS] == pytest.approx(weights, rel=1e-12)
