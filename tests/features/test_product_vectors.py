"""Product vectors from contents and embeddings."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
from pyspark.sql import SparkSession

from encoders.spec import EncoderSpec
from pipelines.delta import TableStore
from pipelines.features.product_vectors import build_product_vectors
from pipelines.governance.progress import Batch
from pipelines.releases.manifest import Release
from pipelines.settings import load_settings
from pipelines.tables.aggregates import EMBEDDINGS
from pipelines.tables.features import PRODUCT_VECTORS
from pipelines.tables.schema import Table
from pipelines.tables.sources import PRODUCT_CONTENTS
from tests.table_frame import table_frame

START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
VECTORS = {name: np.eye(4, dtype=np.float32)[i] for i, name in enumerate(("picture", "title", "new picture"))}


def release() -> Release:
    clip, review = (EncoderSpec(n, "1", f"test:{n}", ("image", "text"), 4, "", "MIT") for n in ("clip", "review"))
    return Release("r1", clip=clip, review=review)


def append(store: TableStore, table: Table, rows: list[dict[str, object]]) -> None:
    store.append_once(table_frame(store.spark, table, rows).coalesce(1), table, "rows")


def content(product: str, day: int, modality: str, name: str) -> dict[str, object]:
    since = START + dt.timedelta(days=day)
    return {"product_id": product, "valid_from": since, "modality": modality, "content_id": name,
            "available_at": since, "drop_id": "d"}  # fmt: skip


def test_a_row_stands_where_a_vector_changes(spark: SparkSession, tmp_path: Path) -> None:
    store = TableStore(spark, load_settings(home=str(tmp_path)))
    append(
        store,
        PRODUCT_CONTENTS,
        [
            *(content("p", day, "product_text", "title") for day in (0, 1, 2)),
            content("p", 0, "product_image", "picture"),
            content("p", 1, "product_image", "picture"),
            content("p", 2, "product_image", "new picture"),
            content("unseen", 0, "product_image", "not encoded"),
        ],
    )
    kinds = {"picture": "product_image", "new picture": "product_image", "title": "product_text"}
    append(
        store,
        EMBEDDINGS,
        [
            {"content_hash": name, "modality": kind, "encoder": "clip", "encoder_version": "1", "status": "ok",
             "vector": VECTORS[name].tobytes(), "dimensions": 4, "created_at": START}
            for name, kind in kinds.items()
        ],
    )  # fmt: skip
    batch = Batch("features", ("d",), START + dt.timedelta(days=5), None, True, "batch")

    assert build_product_vectors(store, batch, release()) == 2
    assert build_product_vectors(store, batch, release()) == 0

    rows = store.read(PRODUCT_VECTORS).orderBy("event_timestamp").collect()
    assert [(r.product_id, r.event_timestamp.astimezone(dt.UTC)) for r in rows] == [
        ("p", START),
        ("p", START + dt.timedelta(days=2)),
    ]
    assert rows[0].image_vector == VECTORS["picture"].tolist()
    assert rows[1].image_vector == VECTORS["new picture"].tolist()
    assert [r.text_vector for r in rows] == [VECTORS["title"].tolist()] * 2
    assert [r.video_vector for r in rows] == [None, None]
