"""A tiny shop, written straight into silver as ingest leaves it: pictures, videos, texts in Chinese and English."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.delta import TableStore
from pipelines.governance.runs import Run, StepReport
from pipelines.tables.aggregates import EMBEDDINGS
from pipelines.tables.governance import DROPS
from pipelines.tables.schema import Table
from pipelines.tables.sources import EVENTS, MEDIA, MESSAGES, PRODUCT_CONTENTS, REVIEWS
from tests.table_frame import table_frame

MOMENT = datetime(2026, 3, 1, tzinfo=UTC)
AS_OF = datetime(2026, 3, 2, tzinfo=UTC)
ACTED = {"event_timestamp": MOMENT, "available_at": MOMENT}
Row = dict[str, Any]
# A row of embeddings by content, modality and encoder version.
Embeddings = dict[tuple[str, str, str], Any]


def sha256(data: bytes | str) -> str:
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


@dataclass
class Shop:
    """The home and the files of its drops; `media` has the bytes of every file that a drop ever brought, by name."""

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
        """Images, videos and titles are those of products; images and videos name files of this or an earlier drop."""
        self.media |= media or {}
        contents = [
            *self._pooled("product_image", images or {}),
            *self._pooled("product_video", videos or {}),
            *_titles(titles or {}),
        ]
        for table, rows in (
            (MEDIA, self._files(self.folder / drop_id, media or {})),
            (PRODUCT_CONTENTS, contents),
            (EVENTS, _searches(drop_id, queries)),
            (REVIEWS, _reviews(drop_id, reviews)),
            (MESSAGES, _messages(drop_id, messages)),
        ):
            self._append(table, drop_id, [{**row, "drop_id": drop_id} for row in rows])
        self._append(DROPS, drop_id, [{"drop_id": drop_id, "as_of": MOMENT, "history": False, "ingested_at": MOMENT}])

    def embeddings(self) -> Embeddings:
        """Every row there is; a doubled key fails."""
        rows = self.store.read(EMBEDDINGS).collect()
        keyed = {(r.content_hash, r.modality, r.encoder_version): r for r in rows}
        assert len(keyed) == len(rows)
        return keyed

    def run(self, days: int = 0) -> Run:
        return Run(self.store.settings, AS_OF + timedelta(days=days), f"run-{days}")

    def _files(self, folder: Path, media: Mapping[str, bytes]) -> list[Row]:
        folder.mkdir(parents=True)
        for name, data in media.items():
            (folder / name).write_bytes(data)
        return [
            {"media_path": str(folder / name), "given_path": name, "content_hash": sha256(data), "bytes": len(data)}
            for name, data in media.items()
        ]

    def _pooled(self, modality: str, files: Mapping[str, Sequence[str]]) -> list[Row]:
        rows = []
        for product, names in files.items():
            members = [sha256(self.media[name]) for name in names]
            rows.append(_content(product, modality, sha256(",".join(members))) | {"members": members})
        return rows

    def _append(self, table: Table, drop_id: str, rows: list[Row]) -> None:
        if rows:
            self.store.append_once(table_frame(self.store.spark, table, rows), table, drop_id)


def _content(product: str, modality: str, content_id: str) -> Row:
    times = {"valid_from": MOMENT, "available_at": MOMENT}
    return {"product_id": product, "modality": modality, "content_id": content_id, **times}


def _titles(titles: Mapping[str, str]) -> list[Row]:
    return [
        _content(product, "product_text", sha256(text)) | {"members": [], "text": text}
        for product, text in titles.items()
    ]


def _searches(drop_id: str, queries: Sequence[str | None]) -> list[Row]:
    return [
        {"event_id": f"{drop_id}-{i}", "event_type": "search", "query": query, "event_date": MOMENT.date(), **ACTED}
        for i, query in enumerate(queries)
    ]


def _reviews(drop_id: str, reviews: Sequence[tuple[str | None, str]]) -> list[Row]:
    return [
        {"review_id": f"{drop_id}-{i}", "title": title, "text": text, **ACTED}
        | {"content_hash": sha256(" ".join(part for part in (title, text) if part is not None))}
        for i, (title, text) in enumerate(reviews)
    ]


def _messages(drop_id: str, messages: Sequence[str]) -> list[Row]:
    return [
        {"message_id": f"{drop_id}-{i}", "text": text, "content_hash": sha256(text), **ACTED}
        for i, text in enumerate(messages)
    ]


def vector(row: Any) -> np.ndarray:
    return np.frombuffer(row.vector, "<f4")


def figures(report: StepReport) -> dict[tuple[str | None, str, str | None], float]:
    """All but the times, by subject, measure and reason."""
    return {(f.subject, f.measure, f.reason): f.value for f in report.figures if f.measure != "seconds"}
