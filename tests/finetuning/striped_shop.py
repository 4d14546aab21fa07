"""A home made by hand: products of many colours, and users who care for nothing but the stripe at the bottom."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from encoders.spec import EncoderSpec, resolve
from pipelines.governance.home import open_home
from pipelines.releases.compare.shop import content_id
from pipelines.releases.manifest import Release
from pipelines.releases.pin import write_pin
from pipelines.settings import ConsentDefaults, Settings
from pipelines.tables.aggregates import USER_TILES
from pipelines.tables.arrow_types import arrow_schema
from pipelines.tables.schema import Table
from pipelines.tables.sources import EVENTS, MEDIA, PRODUCT_CONTENTS, PRODUCTS
from tests.comparison.drawn_home import tiles
from tests.finetuning.tiny_clip import tiny_clip
from tests.point_in_time.delta_by_hand import commit

START = datetime(2026, 3, 1, tzinfo=UTC)
DAYS, USERS, PRODUCTS_THERE = 60, 40, 32
DAY = timedelta(days=1)
Row = dict[str, Any]


def striped_shop(folder: Path) -> Settings:
    """Everybody looks at and buys products of one stripe, light or dark; the tiny encoder sees colours first."""
    settings = Settings(home=str(folder / "home"), consent_default=ConsentDefaults(personalisation="allow"), cores=2)
    open_home(settings, create=True)
    clip = resolve(f"open-clip:{tiny_clip(folder / 'tiny-clip')}")
    review = EncoderSpec("tiny-e5", "1", "test:tiny-e5", ("text",), 4, "sha256:0", "Apache-2.0")
    write_pin(settings, [Release("r1", clip=clip, review=review)], "r1")
    version = {"valid_from": START, "available_at": START, "drop_id": "d"}
    paths = [_picture(folder, number) for number in range(PRODUCTS_THERE)]
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    contents = [content_id([one]) for one in hashes]
    products = [f"p{number:02d}" for number in range(PRODUCTS_THERE)]
    publish(settings, PRODUCTS, [
        version | {"product_id": p, "title": f"{_stripe(n)} thing {n}", "category": "things/all"}
        for n, p in enumerate(products)
    ])  # fmt: skip
    publish(settings, PRODUCT_CONTENTS, [
        version | {"product_id": p, "modality": "product_image", "content_id": c, "members": [h]}
        for p, c, h in zip(products, contents, hashes, strict=True)
    ])  # fmt: skip
    publish(settings, MEDIA, [
        {"media_path": str(path), "given_path": path.name, "content_hash": one, "drop_id": "d"}
        for path, one in zip(paths, hashes, strict=True)
    ])  # fmt: skip
    events = list(_events(products))
    publish(settings, EVENTS, events)
    shown = dict(zip(products, contents, strict=True))
    publish(settings, USER_TILES, tiles(events, shown))
    return settings


def publish(settings: Settings, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write all declared columns; what a row does not have is null."""
    commit(Path(table.location(settings.under_home())), pa.Table.from_pylist([
        dict.fromkeys(table.column_names) | dict(row) for row in rows
    ], schema=arrow_schema(table)))  # fmt: skip


def _stripe(number: int) -> str:
    return "light" if number % 2 else "dark"


def _picture(folder: Path, number: int) -> Path:
    """A random colour, noise, and a stripe of one sixteenth that tells what matters."""
    rng = np.random.default_rng(number)
    pixels = np.clip(rng.integers(40, 215, 3) + rng.normal(0, 25, (32, 32, 3)), 0, 255)
    pixels[28:] = 225 if number % 2 else 30
    path = folder / f"{number}.png"
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path


def _events(products: Sequence[str]) -> Iterator[Row]:
    rng, number = np.random.default_rng(5), 0
    for user in range(USERS):
        mine = products[user % 2 :: 2]
        for day in sorted(rng.choice(DAYS, 14, replace=False)):
            at = START + int(day) * DAY + int(rng.integers(0, 80_000)) * timedelta(seconds=1)
            chosen = rng.choice(mine, 3, replace=False)
            acts = [("search", None), ("click", chosen[0]), ("view", chosen[1]), ("purchase", chosen[2])]
            for place, (kind, product) in enumerate(acts):
                number += 1
                when = at + place * timedelta(minutes=1)
                yield {
                    "event_id": f"e{number:06d}", "subject_id": f"u{user:02d}", "event_type": kind,
                    "event_timestamp": when, "event_date": when.date(), "session_id": f"s{user}-{day}",
                    "product_id": None if product is None else str(product), "available_at": when, "drop_id": "d",
                    "query": f"{_stripe(user)} ones" if kind == "search" else None,
                }  # fmt: skip
