"""Decayed vector interests on Spark against one scipy process that does the same.

Same input (tiles as Parquet), same output (mean and weight per user and half-life, as Parquet), measured in
turns. Then a day's increment for a share of the users, carried on from the published rows.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table as Printed
from scipy import sparse

from pipelines.delta import TableStore
from pipelines.features.interest_rows import PUBLISHED_VALUES, list_array
from pipelines.features.interests import interests
from pipelines.features.published import places_in_files, with_values
from pipelines.features.steps import ALWAYS, NEVER, bases, published_rows, step_weights
from pipelines.features.vectors import VectorMatrix, vectors_of
from pipelines.governance.progress import Batch
from pipelines.settings import load_settings
from pipelines.spark import spark_session
from pipelines.tables.aggregates import EMBEDDINGS
from pipelines.tables.definitions import HALF_LIVES_DAYS, TILE_WEIGHTS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

EVENTS, USERS, PRODUCTS, DIMENSIONS, DAYS = 5_000_000, 50_000, 20_000, 512, 30
FIRST = dt.date(2026, 1, 1)
LAST = FIRST + dt.timedelta(days=DAYS - 1)
NEXT = LAST + dt.timedelta(days=1)
_SHARES = (0.01, 0.1, 1.0)
PURPOSES = ("personalisation",)
PAIRS = 7
BATCH = Batch("benchmark", (), dt.datetime(2026, 2, 1, tzinfo=dt.UTC), None, True, "benchmark")


def main() -> None:
    """Measure and print a table."""
    scale = float(os.environ.get("MMFS_BENCH_SCALE", "1"))
    folder = Path(tempfile.mkdtemp(prefix="mmfs-bench-"))
    printed = Printed(title=f"Decayed interests, {EVENTS * scale:,.0f} events, {DIMENSIONS} dimensions, zipf")
    for heading in ("what", "seconds", "ratio"):
        printed.add_column(heading, justify="left" if heading == "what" else "right")
    try:
        _measure(folder, scale, printed.add_row)
        Console().print(printed)
    finally:
        shutil.rmtree(folder)


def _measure(folder: Path, scale: float, row: Callable[..., None]) -> None:
    _write_inputs(folder, int(EVENTS * scale), int(USERS * scale), int(PRODUCTS * scale))
    spark = spark_session(load_settings(), "benchmark")
    embeddings = spark.read.parquet(str(folder / "embeddings.parquet"))
    missing = {name: F.lit(None) for name in EMBEDDINGS.column_names if name not in embeddings.columns}
    _store(spark, folder).append_once(embeddings.withColumns(missing), EMBEDDINGS, "benchmark")
    # The first passes also fill the page cache, compile and start the Python workers.
    row("Spark, cold", f"{_seconds(lambda: _on_spark(spark, folder)):.1f}", "")
    _one_process(folder)
    # In turns, for the machine's speed changes within minutes.
    pairs = [(_seconds(lambda: _one_process(folder)), _seconds(lambda: _on_spark(spark, folder))) for _ in range(PAIRS)]
    plain, warm = (statistics.median(times) for times in zip(*pairs, strict=True))
    row(f"one process: pyarrow, scipy (median of {PAIRS})", f"{plain:.1f}", "1.0")
    row(f"Spark, warm (median of {PAIRS})", f"{warm:.1f}", f"{warm / plain:.1f}")
    ratios = sorted(spark_time / plain_time for plain_time, spark_time in pairs)
    row("ratio within a pair, least and greatest", "", f"{ratios[0]:.1f} to {ratios[-1]:.1f}")
    _same_result(spark, folder)
    for share in _SHARES:
        _write_day(spark, folder, share)
    _increment(spark, folder, _SHARES[0])
    for share in _SHARES:
        taken = statistics.median(_seconds(lambda share=share: _increment(spark, folder, share)) for _ in range(3))  # type: ignore[misc]
        row(f"a day's increment, {share:.0%} of users (median of 3)", f"{taken:.1f}", f"{taken / plain:.1f}")


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _write_inputs(folder: Path, events: int, users: int, products: int) -> None:
    random = np.random.default_rng(1)
    user = np.minimum(random.zipf(1.2, events) - 1, users * 10) % users
    product = np.minimum(random.zipf(1.1, events) - 1, products * 10) % products
    ids = pa.array([hashlib.sha256(str(i).encode()).hexdigest() for i in range(products)])
    names = pa.array([f"u{i}" for i in range(users)])
    day = random.integers(0, DAYS, events)
    weight = random.choice([1.0, 3.0, 4.0, 8.0], events)
    tiles = pa.table(
        {
            "subject_id": pa.DictionaryArray.from_arrays(pa.array(user.astype(np.int32)), names),
            "day": pa.array(day.astype(np.int32) + (FIRST - dt.date(1970, 1, 1)).days).cast(pa.date32()),
            "content_id": pa.DictionaryArray.from_arrays(pa.array(product.astype(np.int32)), ids),
            **{f"weight_{h}d": pa.array(weight * 0.9) for h in HALF_LIVES_DAYS},
        }
    )
    pq.write_table(tiles, folder / "tiles.parquet", row_group_size=500_000)
    vectors = random.normal(size=(products, DIMENSIONS)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    embeddings = {
        "content_hash": ids,
        "modality": pa.array(["product_image"] * products),
        "encoder": pa.array(["clip"] * products),
        "encoder_version": pa.array(["1"] * products),
        "status": pa.array(["ok"] * products),
        "vector": pa.array([v.tobytes() for v in vectors]),
        "dimensions": pa.array(np.full(products, DIMENSIONS, np.int32)),
    }
    pq.write_table(pa.table(embeddings), folder / "embeddings.parquet")


def _one_process(folder: Path) -> None:
    """The same in one process: decay to the last day, sparse x dense, mean, Parquet."""
    tiles = pq.read_table(folder / "tiles.parquet", read_dictionary=["subject_id", "content_id"])
    embeddings = pq.read_table(folder / "embeddings.parquet", columns=["content_hash", "vector"])
    vectors = np.frombuffer(b"".join(embeddings["vector"].to_pylist()), "<f4").reshape(len(embeddings), -1)
    users = tiles["subject_id"].unify_dictionaries().combine_chunks()
    contents = tiles["content_id"].unify_dictionaries().combine_chunks()
    rows = pa.compute.index_in(contents.dictionary, embeddings["content_hash"]).to_numpy()[contents.indices.to_numpy()]
    age = (LAST - dt.date(1970, 1, 1)).days - tiles["day"].cast(pa.int32()).to_numpy()
    columns: dict[str, pa.Array] = {"user_id": users.dictionary}
    for h in HALF_LIVES_DAYS:
        weight = tiles[f"weight_{h}d"].to_numpy() * np.exp2(-age / h)
        shape = (len(users.dictionary), len(vectors))
        matrix = sparse.csr_array((weight, (users.indices.to_numpy(), rows)), shape=shape).astype(np.float32)
        total = np.bincount(users.indices.to_numpy(), weights=weight)
        columns[f"mean_{h}d"] = list_array((matrix @ vectors) / total.astype(np.float32)[:, None], total > 0)
        columns[f"weight_{h}d"] = pa.array(total)
    pq.write_table(pa.table(columns), folder / "one-process.parquet")


def _matrix(spark: SparkSession, folder: Path, needed: DataFrame) -> VectorMatrix:
    matrix = vectors_of(_store(spark, folder), "product_image", ("clip", "1"), needed)
    assert matrix is not None
    return matrix


def _store(spark: SparkSession, folder: Path) -> TableStore:
    return TableStore(spark, load_settings(home=str(folder / "home")))


def _tiles(spark: SparkSession, place: Path) -> DataFrame:
    tiles = spark.read.parquet(str(place))
    return tiles.withColumn("purpose", F.lit(PURPOSES[0])).withColumn("available_at", F.lit(BATCH.as_of))


def _on_spark(spark: SparkSession, folder: Path) -> None:
    tiles = _tiles(spark, folder / "tiles.parquet")
    weights = tiles.select(
        F.col("subject_id").alias("user_id"),
        "purpose",
        F.lit(LAST).alias("day"),
        "content_id",
        *TILE_WEIGHTS,
        F.datediff(F.lit(LAST), "day").alias("elapsed_days"),
        F.lit(False).alias("reset"),
        F.lit(False).alias("quiet"),
        "available_at",
    )
    rows = interests(weights, None, _matrix(spark, folder, tiles), BATCH)
    rows.write.mode("overwrite").parquet(str(folder / "published"))


def _write_day(spark: SparkSession, folder: Path, share: float) -> None:
    """The tiles of one more day, on which a share of the users did something. Tiles are clustered by day."""
    chosen = F.pmod(F.xxhash64("subject_id"), F.lit(1000)) < int(share * 1000)
    tiles = _tiles(spark, folder / "tiles.parquet").where(chosen & (F.col("day") == F.lit(LAST)))
    tiles.withColumn("day", F.lit(NEXT)).write.parquet(str(folder / f"day-{share}"))


def _increment(spark: SparkSession, folder: Path, share: float) -> None:
    """The next day's rows, carried on from the published ones. As in the job, the tiles are those of all days."""
    new = _tiles(spark, folder / f"day-{share}")
    users = new.select(F.col("subject_id").alias("user_id")).distinct().withColumn("from_day", F.lit(NEXT))
    members = users.select("*", F.col("user_id").alias("subject_id")).withColumns(
        {"linked_from": F.lit(ALWAYS), "linked_until": F.lit(NEVER), "link_known_at": F.lit(None).cast("timestamp")}
    )
    tiles = _tiles(spark, folder / "tiles.parquet").unionByName(new)
    needed = tiles.join(members.select("subject_id"), "subject_id", "left_semi")
    place = str(folder / "published")
    history = places_in_files(spark.read.parquet(place))
    last = bases(history, users)
    published = with_values(published_rows(history, users, last, PURPOSES), place, PUBLISHED_VALUES)
    weights = step_weights(tiles, members, None, last, PURPOSES)
    rows = interests(weights, published, _matrix(spark, folder, needed), BATCH)
    rows.write.mode("overwrite").parquet(str(folder / "increment"))


def _same_result(spark: SparkSession, folder: Path) -> None:
    """Both ways must have made the same rows."""
    plain = pq.read_table(folder / "one-process.parquet").sort_by("user_id")
    made = pq.read_table(folder / "published").sort_by("user_id")
    seen = pa.compute.is_in(plain["user_id"], made["user_id"])
    plain = plain.filter(seen)
    assert plain["user_id"].to_pylist() == made["user_id"].to_pylist()
    for h in HALF_LIVES_DAYS:
        a, b = (t[f"mean_{h}d"].combine_chunks().flatten().to_numpy() for t in (plain, made))
        np.testing.assert_allclose(a, b, atol=1e-5)
