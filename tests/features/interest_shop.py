"""A small random shop of users with devices, and what each of its drops brings to their interests.

The first drop is history; the second a regular one; the third, late, has late events, a late link and a late consent.
The pictures of product UNSEEN have no vector at first.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from encoders.spec import EncoderSpec
from pipelines.releases.manifest import Release

DIMENSIONS = {"clip": 8, "review": 5}
START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
UNSEEN = "p0"
TYPES = ("view", "purchase", "add_to_cart", "impression")
Row = dict[str, Any]


def spec(part: str) -> EncoderSpec:
    return EncoderSpec(part, "1", f"test:{part}", ("image", "text"), DIMENSIONS[part], "", "Apache-2.0")


RELEASE = Release("r1", clip=spec("clip"), review=spec("review"))


@dataclass
class Shop:
    """What the drops brought so far, as plain rows."""

    rows: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))

    def until(self, drops: set[str]) -> Shop:
        kept = Shop()
        for table, rows in self.rows.items():
            kept.rows[table] = [r for r in rows if r["drop_id"] in drops]
        return kept


def at(days: float) -> dt.datetime:
    return START + dt.timedelta(seconds=round(days * 86400))


def random_shop(seed: int = 7) -> Shop:
    random, shop = np.random.default_rng(seed), Shop()
    subjects = [f"u{i}" for i in range(5)] + [f"device:{i}" for i in range(4)]

    def act(n: int, drop: str, first: float, last: float, known: dt.datetime | None) -> None:
        for i in range(n):
            subject, when = subjects[random.integers(len(subjects))], at(random.uniform(first, last))
            common = {"event_timestamp": when, "available_at": known or when, "drop_id": drop}
            if subject.startswith("u") and random.random() < 0.2:
                text = f"review {drop} {i}"
                content = hashlib.sha256(text.encode()).hexdigest()
                shop.rows["reviews"].append(
                    {"review_id": f"{drop}-{i}", "user_id": subject, "text": text, "content_hash": content, **common}
                )
                continue
            kind, product = TYPES[random.integers(len(TYPES))], f"p{random.integers(6)}"
            shop.rows["events"].append(
                {"event_id": f"{drop}-{i}", "subject_id": subject, "event_type": kind, "product_id": product, **common}
            )

    act(90, "first", 0, 12.5, None)
    act(40, "second", 12.5, 16.5, at(17))
    act(12, "late", 3, 16, at(18))
    for i in range(6):
        shop.rows["contents"].append(content(f"p{i}", at(-1 if i else 4), 1, "first"))
    shop.rows["contents"].append(content("p1", at(6.25), 2, "first"))
    shop.rows["contents"].append(content("p2", at(14.5), 2, "second"))
    shop.rows["links"] = [
        link("device:0", "u0", at(4.5), at(9.25), "first"),
        link("device:0", "u1", at(10), None, "first"),
        link("device:1", "u1", at(2), at(13.5), "first"),
        link("device:2", "u2", at(14), None, "second"),
        link("device:3", "u3", at(5.5), None, "late"),
    ]
    shop.rows["consents"] = [
        consent("u4", False, at(5), at(11.5), "first"),
        consent("u4", True, at(11.5), None, "first"),
        consent("u2", False, at(15), None, "late"),
    ]
    return shop


def content(product: str, since: dt.datetime, version: int, drop: str) -> Row:
    content_id = hashlib.sha256(f"{product}/{version}".encode()).hexdigest()
    return {"product_id": product, "valid_from": since, "modality": "product_image", "content_id": content_id,
            "members": [content_id], "available_at": since, "drop_id": drop}  # fmt: skip


def link(device: str, user: str, since: dt.datetime, until: dt.datetime | None, drop: str) -> Row:
    known = {"first": since, "second": at(17), "late": at(18)}[drop]
    return {"identifier_type": "device", "identifier": device, "user_id": user, "linked_at": since,
            "unlinked_at": until, "available_at": known, "drop_id": drop}  # fmt: skip


def consent(user: str, granted: bool, since: dt.datetime, until: dt.datetime | None, drop: str) -> Row:
    return {"user_id": user, "purpose": "personalisation", "granted": granted, "valid_from": since,
            "valid_to": until, "available_at": since, "drop_id": drop}  # fmt: skip


def vector_of(content_id: str, part: str) -> np.ndarray:
    random = np.random.default_rng(int(content_id[:12], 16))
    vector = random.normal(size=DIMENSIONS[part]).astype(np.float32)
    return vector / np.linalg.norm(vector)


def contents_of(shop: Shop, drops: set[str]) -> list[tuple[str, str, str]]:
    held = shop.until(drops)
    images = [(r["content_id"], "product_image", "clip") for r in held.rows["contents"] if r["product_id"] != UNSEEN]
    return images + [(r["content_hash"], "review", "review") for r in held.rows["reviews"]]


def late_contents(shop: Shop) -> list[tuple[str, str, str]]:
    return [(r["content_id"], "product_image", "clip") for r in shop.rows["contents"] if r["product_id"] == UNSEEN]
