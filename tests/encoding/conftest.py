"""A tiny shop, written straight into silver: pictures of several formats, dirt, a video, Chinese and English."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from PIL import Image, ImageDraw

from encoders.bundled import prepare
from encoders.spec import resolve
from pipelines.delta import TableStore
from pipelines.frames import frame_of
from pipelines.releases.manifest import Release
from pipelines.settings import Settings, load_settings
from pipelines.tables.governance import DROPS
from pipelines.tables.schema import Table
from pipelines.tables.sources import EVENTS, MEDIA, MESSAGES, PRODUCT_CONTENTS, REVIEWS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MOMENT = datetime(2026, 3, 1, tzinfo=UTC)


def picture(seed: int, size: tuple[int, int] = (96, 80), image_format: str = "PNG", **options: Any) -> bytes:
    """A drawn picture; the same seed gives the same one."""
    colours = np.random.default_rng(seed).integers(0, 255, (6, 3))
    image = Image.new("RGB", size, tuple(int(c) for c in colours[0]))
    draw = ImageDraw.Draw(image)
    for i in range(1, 6):
        corner = (i * size[0] // 8, i * size[1] // 9)
        draw.ellipse((*corner, corner[0] + size[0] // 3, corner[1] + size[1] // 3), fill=tuple(map(int, colours[i])))
    stream = io.BytesIO()
    image.save(stream, image_format, **options)
    return stream.getvalue()


def video(seed: int, frames: int = 24) -> bytes:
    """A black frame, then moving discs."""
    stream = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 255, (120, 160, 3)).astype(np.uint8)
    with av.open(stream, "w", format="mp4") as container:
        track = container.add_stream("mpeg4", rate=8)
        track.width, track.height, track.pix_fmt = 160, 120, "yuv420p"
        for i in range(frames):
            image = Image.fromarray(noise if i else np.zeros_like(noise))
            if i:
                ImageDraw.Draw(image).ellipse((4 * i, 20, 4 * i + 50, 80), fill=(200, 40, 8 * i))
            for packet in track.encode(av.VideoFrame.from_image(image)):
                container.mux(packet)
        for packet in track.encode():
            container.mux(packet)
    return stream.getvalue()


def sha256(data: bytes | str) -> str:
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


@dataclass
class Shop:
    """Writes drops of a home, as ingest leaves them."""

    store: TableStore
    folder: Path
    media: dict[str, bytes] = field(default_factory=dict)

    def drop(
        self,
        drop_id: str,
        *,
        media: Mapping[str, bytes] | None = None,
        images: Mapping[str, Sequence[str]] | None = None,
        videos: Mapping[str, Sequence[str]] | None = None,
        titles: Mapping[str, str] | None = None,
        queries: Sequence[str | None] = (),
        reviews: Sequence[tuple[str | None, str]] = (),
        messages: Sequence[str] = (),
    ) -> None:
        provenance = {"drop_id": drop_id, "available_at": MOMENT, "event_timestamp": MOMENT}
        folder = self.folder / drop_id
        folder.mkdir(parents=True)
        for name, data in (media or {}).items():
            (folder / name).write_bytes(data)
        self.media |= media or {}
        files = [
            {"media_path": str(folder / n), "given_path": n, "content_hash": sha256(d), "bytes": len(d), **provenance}
            for n, d in (media or {}).items()
        ]
        contents = [
            {"product_id": p, "valid_from": MOMENT, "modality": modality, "members": members, **provenance}
            | {"content_id": sha256(",".join(members))}
            for modality, named in (("product_image", images), ("product_video", videos))
            for p, paths in (named or {}).items()
            for members in [[sha256(self.media[path]) for path in paths]]
        ]
        contents += [
            {"product_id": p, "valid_from": MOMENT, "modality": "product_text", "members": [], **provenance}
            | {"content_id": sha256(text), "text": text}
            for p, text in (titles or {}).items()
        ]
        self._append(MEDIA, drop_id, files)
        self._append(PRODUCT_CONTENTS, drop_id, contents)
        self._append(
            EVENTS,
            drop_id,
            [
                {"event_id": f"{drop_id}-{i}", "event_type": "search", "query": q, "event_date": MOMENT.date()}
                | provenance
                for i, q in enumerate(queries)
            ],
        )
        self._append(
            REVIEWS,
            drop_id,
            [
                {"review_id": f"{drop_id}-{i}", "title": title, "text": text, **provenance}
                | {"content_hash": sha256(" ".join(part for part in (title, text) if part is not None))}
                for i, (title, text) in enumerate(reviews)
            ],
        )
        self._append(
            MESSAGES,
            drop_id,
            [
                {"message_id": f"{drop_id}-{i}", "text": text, "content_hash": sha256(text), **provenance}
                for i, text in enumerate(messages)
            ],
        )
        self._append(DROPS, drop_id, [{"drop_id": drop_id, "as_of": MOMENT, "history": False, "ingested_at": MOMENT}])

    def _append(self, table: Table, drop_id: str, rows: list[dict[str, Any]]) -> None:
        values = [tuple(row.get(name) for name in table.column_names) for row in rows]
        if values:
            self.store.append_once(frame_of(self.store.spark, values, table.ddl), table, drop_id)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return load_settings(home=str(tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="session")
def release() -> Release:
    chosen = load_settings()
    if chosen.clip_encoder.startswith("bundled:"):
        prepare(chosen.cache_dir)
    clip, review = (resolve(uri) for uri in (chosen.clip_encoder, chosen.review_encoder))
    return Release("r1", clip=clip, review=review)


@pytest.fixture(scope="module")
def new_shop(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Shop]:
    def make() -> Shop:
        folder = tmp_path_factory.mktemp("shop")
        return Shop(TableStore(spark, load_settings(home=str(folder / "home"))), folder / "drops")

    return make


@pytest.fixture(scope="session")
def drawn() -> Callable[..., bytes]:
    return picture


@pytest.fixture(scope="session")
def filmed() -> Callable[..., bytes]:
    return video
