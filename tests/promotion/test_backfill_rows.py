"""Backfilled rows against their definition: what had happened by event_timestamp and was known by created_at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipelines.features.fused_rows import PUBLISHED, REVIEW, backfilled_fused, fuse
from pipelines.features.interest_rows import DAY_MICROSECONDS, TIMESTAMP, VECTOR, in_step_order
from pipelines.releases.backfill_rows import backfilled_interests

HALF_LIVES = (7, 30)
SIZES = (4, 3)
_TILES = pa.schema(
    [("user_id", pa.string()), ("purpose", pa.string()), ("day", pa.int32()), ("row", pa.int32()),
     *((f"weight_{h}d", pa.float64()) for h in HALF_LIVES), ("elapsed_days", pa.int32()), ("reset", pa.bool_()),
     ("available_at", TIMESTAMP), ("created_at", TIMESTAMP)]
)  # fmt: skip
_FUSED = pa.schema(
    [("user_id", pa.string()), ("purpose", pa.string()), ("day", pa.int32()), ("source", pa.int32()),
     ("created_at", TIMESTAMP), ("vector", VECTOR)]
)  # fmt: skip
Row = dict[str, Any]


def table(rows: list[Row], schema: pa.Schema) -> pa.Table:
    made = pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in rows], schema=schema)
    return made.set_column(2, "day", made["day"].cast(pa.date32()))


def tile(random: np.random.Generator, user: str, day: int, delay: int) -> Row:
    """Known `delay` days after its day's end; one in six has no vector."""
    weights = {f"weight_{h}d": float(random.uniform(0.5, 8)) for h in HALF_LIVES}
    return {"user_id": user, "purpose": "p", "day": day, "row": int(random.integers(-1, 5)), **weights,
            "elapsed_days": 0, "reset": False, "available_at": (day + 1 + delay) * DAY_MICROSECONDS}  # fmt: skip


def pair(user: str, day: int, created_day: int) -> Row:
    return {"user_id": user, "purpose": "p", "day": day, "created_at": created_day * DAY_MICROSECONDS}


@pytest.mark.parametrize("seed", range(5))
def test_interests_are_what_was_known_at_each_rows_time(seed: int) -> None:
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(5, 6)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    tiles, pairs = [], []
    for user in ("a", "b", "c"):
        days = sorted(random.choice(40, 8, replace=False).tolist())
        tiles += [tile(random, user, day, int(random.choice([0, 0, 0, 9]))) for day in days for _ in range(2)]
        pairs += [pair(user, day, day + 1) for day in days] + [pair(user, day, 60) for day in days[:3]]
    rows = in_step_order(table([*tiles, *pairs], _TILES))
    made = backfilled_interests(rows, vectors, HALF_LIVES).to_pylist()
    micros = [(m["user_id"], m["event_timestamp"].timestamp(), m["created_at"].timestamp()) for m in made]
    assert sorted(micros) == sorted((p["user_id"], (p["day"] + 1) * 86400.0, p["created_at"] / 1e6) for p in pairs)
    for row in made:
        at, created = row["event_timestamp"].timestamp() / 86400, row["created_at"].timestamp() * 1e6
        seen = [t for t in tiles if t["user_id"] == row["user_id"] and t["day"] < at and t["available_at"] <= created]
        for half_life in HALF_LIVES:
            weights = [
                t[f"weight_{half_life}d"] * 0.5 ** ((at - t["day"] - 1) / half_life) for t in seen if t["row"] >= 0
            ]
            assert row[f"weight_{half_life}d"] == pytest.approx(sum(weights), rel=1e-6, abs=1e-12)
            if not weights:
                assert row[f"mean_{half_life}d"] is None
                continue
            mean = np.average([vectors[t["row"]] for t in seen if t["row"] >= 0], axis=0, weights=weights)
            np.testing.assert_allclose(row[f"mean_{half_life}d"], mean, atol=1e-5)


def test_fused_rows_mix_the_interests_known_at_each_rows_time() -> None:
    random, rows = np.random.default_rng(1), []
    for user in ("a", "b"):
        for source in range(PUBLISHED):
            for day in sorted(random.choice(20, 4, replace=False).tolist()):
                for created in (day + 1, 30):
                    vector = random.normal(size=SIZES[source == REVIEW]).astype(np.float32)
                    rows.append({"user_id": user, "purpose": "p", "day": day, "source": source,
                                 "created_at": created * DAY_MICROSECONDS, "vector": vector.tolist()})  # fmt: skip
        rows += [{**pair(user, day, created), "source": PUBLISHED} for day in (5, 12, 19) for created in (day + 1, 30)]
    rows.sort(key=lambda r: (r["user_id"], r["day"], r["source"], r["created_at"]))
    made = backfilled_fused(table(rows, _FUSED), SIZES).to_pylist()
    assert len(made) == 12
    for row in made:
        day, created = row["event_timestamp"].timestamp() / 86400 - 1, row["created_at"].timestamp() * 1e6
        given, observed = [], []
        for source in range(PUBLISHED):
            known = [r for r in rows if r["user_id"] == row["user_id"] and r["source"] == source
                     and r["day"] <= day and r["created_at"] <= created]  # fmt: skip
            newest = max(known, key=lambda r: (r["day"], r["created_at"])) if known else None
            size = SIZES[source == REVIEW]
            given.append(np.array([newest["vector"] if newest else [0.0] * size], dtype=np.float32))
            observed.append(np.array([newest is not None]))
        vector, says = fuse(given, observed)
        np.testing.assert_allclose(row["vector"] or [], vector[0] if says[0] else [], atol=1e-6)
