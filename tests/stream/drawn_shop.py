"""A small random shop: weeks of history, one day that comes as a stream, and what a home must hold of it."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from encoders.spec import EncoderSpec
from pipelines.delta import TableStore
from pipelines.releases.manifest import Release
from pipelines.tables.aggregates import EMBEDDINGS
from pipelines.tables.schema import Table
from pipelines.tables.sources import PRODUCT_CONTENTS
from tests.table_frame import table_frame

Row = dict[str, Any]
DAY = datetime(2026, 3, 20, tzinfo=UTC)
HISTORY_DAYS = 12
DIMENSIONS = {"clip": 8, "review": 5}
KINDS = ("view", "click", "search", "add_to_cart", "purchase", "return", "impression", "favorite", "coupon_issued")
PICTURES, VIDEOS, WORDS = "product_image", "product_video", "product_text"


def spec(part: str) -> EncoderSpec:
    return EncoderSpec(part, "1", f"test:{part}", ("image", "text"), DIMENSIONS[part], "", "Apache-2.0")


RELEASE = Release("r1", clip=spec("clip"), review=spec("review"))


@dataclass
class DrawnShop:
    """Rows as a shop hands them in. Events of `day` are in order of time."""

    seed: int
    users: int = 8
    products: int = 12
    history_events: int = 160
    day_events: int = 90
    history: list[Row] = field(default_factory=list)
    day: list[Row] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        start = DAY - timedelta(days=HISTORY_DAYS)
        self.history = self._events("h", self.history_events, start, DAY)
        self.day = self._events("d", self.day_events, DAY, DAY + timedelta(days=1))
        # Somebody who is new, somebody whose events came late, and somebody who refuses.
        self.day += self._events("late", 6, DAY - timedelta(days=5), DAY)
        self.people = [
            {"user_id": f"u{i}", "consents": json.dumps(["personalisation"] + ["marketing"] * (i % 2)),
             "updated_at": _text(start)}
            for i in range(self.users)
        ]  # fmt: skip
        self.people[0]["consents"] = "[]"
        self.links = [
            {"identifier_type": "device", "identifier": f"d{i}", "user_id": f"u{i + 1}",
             "linked_at": _text(start + timedelta(days=2 + i))}
            for i in range(3)
        ]  # fmt: skip

    def _events(self, name: str, count: int, start: datetime, end: datetime) -> list[Row]:
        r, found = self._random, []
        for i in range(count):
            at = start + timedelta(seconds=round(r.random() * ((end - start).total_seconds() - 1), 3))
            kind = r.choice(KINDS)
            who = (
                {"device_id": f"d{r.randrange(5)}"} if r.random() < 0.3 else {"user_id": f"u{r.randrange(self.users)}"}
            )
            event: Row = {"event_id": f"{name}{i}", "event_type": kind, "event_timestamp": _text(at), **who}
            if kind == "search":
                event["query"] = r.choice(["red shoes", "blue hat", "green tea"])
            elif r.random() < 0.9:
                event["product_id"] = f"p{r.randrange(self.products + 1)}"
            if kind in ("purchase", "return", "add_to_cart"):
                event |= {"quantity": r.randint(1, 3), "price": round(r.random() * 90, 2)}
            if r.random() < 0.5:
                event["session_id"] = f"s{r.randrange(3)}-{at:%d%H}"
            event |= {"channel": r.choice(["app", "web", "store"]), "dwell_seconds": round(r.random() * 50, 2)}
            found.append(event)
        return sorted(found, key=lambda e: str(e["event_timestamp"]))

    def write_contents(self, store: TableStore) -> None:
        """Products' contents and all vectors, as ingestion and encoding would leave them."""
        since = DAY - timedelta(days=HISTORY_DAYS - 3)
        contents = [
            {"product_id": f"p{i}", "valid_from": at, "modality": modality, "content_id": content_id(i, modality, n),
             "available_at": at, "drop_id": "contents"}
            for i in range(self.products)
            for n, at in enumerate([since] if i % 4 else [since, DAY + timedelta(hours=7)])
            for modality in (PICTURES, VIDEOS, WORDS)[: 1 + i % 3]
        ]  # fmt: skip
        made = [(str(row["content_id"]), str(row["modality"])) for row in contents]
        made += [(hashlib.sha256(q.encode()).hexdigest(), "query") for q in ("red shoes", "blue hat", "green tea")]
        # One picture could not be encoded.
        vectors = [_embedding(content, modality) for content, modality in made if content != content_id(5, PICTURES, 0)]
        _append(store, PRODUCT_CONTENTS, contents)
        _append(store, EMBEDDINGS, vectors)

    def write_history(self, drop: Path) -> None:
        """The drop that everything begins with."""
        write_lines(drop / "events.jsonl", self.history)
        write_lines(drop / "users.jsonl", self.people)
        write_lines(drop / "identities.jsonl", self.links)

    def micro_batches(self, count: int) -> list[list[Row]]:
        """The day in pieces: somewhat out of order, with repetitions and rows that break a rule."""
        r = random.Random(self.seed + 1)
        order = sorted(range(len(self.day)), key=lambda i: i + r.uniform(0, 12))
        rows = [self.day[i] for i in order]
        rows += r.sample(self.day, 8) + r.sample(self.history, 4)
        rows += [{**self.day[0], "price": "77"}, {**self.day[1], "event_id": "bad", "event_type": "teleport"}]
        cuts = sorted(r.sample(range(1, len(rows)), count - 1))
        return [rows[a:b] for a, b in zip([0, *cuts], [*cuts, len(rows)], strict=True)]


def content_id(product: int, modality: str, version: int) -> str:
    return hashlib.sha256(f"{product}/{modality}/{version}".encode()).hexdigest()


def write_lines(path: Path, rows: Sequence[Row]) -> None:
    """JSON Lines, put in place whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.with_name(f".{path.name}")
    hidden.write_text("".join(json.dumps(row) + "\n" for row in rows))
    hidden.rename(path)


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _embedding(content: str, modality: str) -> Row:
    vector = np.random.default_rng(int(content[:12], 16)).normal(size=DIMENSIONS["clip"]).astype("<f4")
    vector /= np.linalg.norm(vector)
    return {"content_hash": content, "modality": modality, "encoder": "clip", "encoder_version": "1", "status": "ok",
            "vector": vector.tobytes(), "dimensions": len(vector), "created_at": DAY}  # fmt: skip


def _append(store: TableStore, table: Table, rows: Sequence[Row]) -> None:
    store.append_once(table_frame(store.spark, table, rows).coalesce(1), table, "drawn")
