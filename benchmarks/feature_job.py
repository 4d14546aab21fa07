"""The feature job over ten times the events: bar ≤ 11 times the time.

Silver tables and embeddings are made by Spark in a temporary home: a shop whose users' and products' popularity is
skewed, 50 events a user over 60 days. Each size is a first load into a home of its own, in one session.
"""

from __future__ import annotations

import tempfile
import time
from datetime import UTC, datetime, timedelta

import numpy as np
from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table as RichTable

from encoders.load import WORKER_ENVIRONMENT
from encoders.spec import EncoderSpec
from pipelines.delta import TableStore
from pipelines.features.build import build_features
from pipelines.frames import frame_of
from pipelines.releases.manifest import Release
from pipelines.run import new_run
from pipelines.settings import load_settings
from pipelines.spark import spark_session
from pipelines.tables.aggregates import EMBEDDINGS
from pipelines.tables.governance import DROPS
from pipelines.tables.sources import EVENTS, PRODUCT_CONTENTS

START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 60
EVENTS_PER_USER = 50
PRODUCTS = 2_000
DIMENSIONS = 128
SIZES = (50_000, 500_000)


def spec(name: str) -> EncoderSpec:
    """An encoder of random vectors, named so that nothing else is taken for it."""
    return EncoderSpec(f"benchmark-{name}", "1", "", ("image", "text"), DIMENSIONS, "", "", {}, "", None)


def write_shop(store: TableStore, events: int) -> None:
    """Silver events, product contents and embeddings of a shop with the given number of events."""
    users = events // EVENTS_PER_USER
    draws = store.spark.range(events).withColumns({f"u{i}": F.rand(seed=i) for i in range(5)})
    kinds = F.array(*map(F.lit, ("view", "click", "add_to_cart", "purchase", "search")))
    rows = draws.select(
        F.concat(F.lit("e"), "id").alias("event_id"),
        F.concat(F.lit("u"), F.floor(F.pow("u0", F.lit(1.5)) * users)).alias("subject_id"),
        F.element_at(kinds, (F.floor(F.pow("u1", F.lit(2)) * 5) + 1).cast("int")).alias("event_type"),
        F.timestamp_micros(
            F.lit(int(START.timestamp() * 1e6)) + F.floor(F.col("u2") * DAYS * 86_400).cast("bigint") * 1_000_000
        ).alias("event_timestamp"),
        F.concat(F.lit("p"), F.floor(F.pow("u3", F.lit(2)) * PRODUCTS)).alias("product_id"),
        F.lit(1).alias("quantity"),
        F.round(F.col("u4") * 100, 2).alias("price"),
        F.lit("app").alias("channel"),
    )
    complete = rows.withColumns(
        {
            "event_date": F.to_date("event_timestamp"),
            "session_id": F.concat("subject_id", F.lit("-"), F.to_date("event_timestamp")),
            "available_at": F.col("event_timestamp"),
            "drop_id": F.lit("benchmark"),
        }
    )
    missing = {c.name: F.lit(None) for c in EVENTS.columns if c.name not in complete.columns}
    store.append_once(complete.withColumns(missing), EVENTS, "benchmark")
    _write_products(store)
    drop = [("benchmark", "benchmark", START + timedelta(days=DAYS), True, START + timedelta(days=DAYS))]
    store.append_once(frame_of(store.spark, drop, DROPS.ddl), DROPS, "benchmark")


def _write_products(store: TableStore) -> None:
    contents, embeddings = [], []
    generator = np.random.default_rng(0)
    for i in range(PRODUCTS):
        for modality in ("product_image", "product_text"):
            content = f"{modality}-{i}"
            contents.append((f"p{i}", START, modality, content, [content], None, START, "benchmark"))
            vector = generator.standard_normal(DIMENSIONS).astype("<f4")
            vector /= np.linalg.norm(vector)
            embeddings.append(
                (
                    content,
                    modality,
                    "benchmark-clip",
                    "1",
                    "ok",
                    None,
                    bytearray(vector.tobytes()),
                    DIMENSIONS,
                    None,
                    START,
                )
            )
    frame = frame_of(store.spark, contents, PRODUCT_CONTENTS.ddl)
    store.append_once(frame, PRODUCT_CONTENTS, "benchmark")
    store.append_once(frame_of(store.spark, embeddings, EMBEDDINGS.ddl), EMBEDDINGS, "benchmark")


def main() -> None:
    """Measure and print."""
    release = Release("r1", spec("clip"), spec("review"))
    seconds: dict[int, float] = {}
    for size in (SIZES[0] // 10, *SIZES):  # the first one warms the session up
        with tempfile.TemporaryDirectory() as home:
            settings = load_settings(home=home, consent_default={"personalisation": "allow", "marketing": "allow"})
            store = TableStore(spark_session(settings, "benchmark", WORKER_ENVIRONMENT), settings)
            write_shop(store, size)
            started = time.perf_counter()
            build_features(store, new_run(settings, START + timedelta(days=DAYS)), release)
            seconds[size] = time.perf_counter() - started
    table = RichTable("events", "seconds", "ratio", title="feature job, first load")
    for size in SIZES:
        table.add_row(f"{size:,}", f"{seconds[size]:.1f}", f"{seconds[size] / seconds[SIZES[0]]:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
