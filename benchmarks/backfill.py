"""The history of a new encoder version from the tiles of 90 days: bar 60 s on 2 cores, embeddings given.

5 M events of 50 k users over 90 days, zipf in users and products, one half-life, 512 dimensions: about 0.6 M
user-days. The standing version's rows give the pairs of times; their vectors are not read, and are left out here.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table as Printed

from encoders.load import WORKER_ENVIRONMENT
from pipelines.delta import TableStore
from pipelines.releases.backfill import interest_history, pairs_of, replace_version
from pipelines.settings import load_settings
from pipelines.spark import spark_session
from pipelines.tables.aggregates import EMBEDDINGS, USER_TILES
from pipelines.tables.features import USER_VISUAL_INTEREST
from pipelines.tables.schema import Table

EVENTS, USERS, PRODUCTS, DIMENSIONS, DAYS = 5_000_000, 50_000, 20_000, 512, 90
BAR_SECONDS = 60
_FIRST = (dt.date(2026, 1, 1) - dt.date(1970, 1, 1)).days
_DAY_MICROSECONDS = 86_400_000_000
_PURPOSE, _MODALITY = "personalisation", "product_image"
_OLD, _NEW = ("clip", "1"), ("clip", "2")
Ints = npt.NDArray[np.int64]


def one_half_life() -> Table:
    """The visual interest without the second half-life and the medoids."""
    left_out = {"mean_30d", "weight_30d", "medoid_product_ids", "medoid_weights"}
    columns = tuple(c for c in USER_VISUAL_INTEREST.columns if c.name not in left_out)
    return dataclasses.replace(USER_VISUAL_INTEREST, columns=columns)


def main() -> None:
    """Measure and print a table."""
    scale = float(os.environ.get("MMFS_BENCH_SCALE", "1"))
    table = one_half_life()
    with tempfile.TemporaryDirectory(prefix="mmfs-bench-") as folder:
        settings = load_settings(home=str(Path(folder) / "home"))
        store = TableStore(spark_session(settings, "benchmark", WORKER_ENVIRONMENT), settings)
        rows = _write_inputs(store, table, Path(folder), scale)
        started, spent = time.perf_counter(), _cpu_seconds()
        pairs = pairs_of(store, table, _OLD)
        replace_version(store, interest_history(store, table, _MODALITY, pairs, _NEW), table, _NEW)
        seconds = time.perf_counter() - started
        spent = _cpu_seconds() - spent
        made = store.read(table).where(F.col("encoder_version") == _NEW[1]).where("mean_7d IS NOT NULL").count()
        assert made == rows, f"{made} rows with a mean instead of {rows}"
    printed = Printed("events", "user-days", "seconds", "CPU seconds", "bar", title="backfill of a vector history")
    cells = (f"{EVENTS * scale:,.0f}", f"{rows:,}", f"{seconds:.1f}", f"{spent:.1f}", f"{BAR_SECONDS * scale:g}")
    printed.add_row(*cells)
    Console().print(printed)
    Console().print(f"load of the machine: {os.getloadavg()[0]:.1f}")


def _cpu_seconds() -> float:
    """Of this process, the JVM and the Python workers so far: what a busy machine does not change."""
    root = psutil.Process()
    return sum(sum(process.cpu_times()[:4]) for process in [root, *root.children(recursive=True)])


def _write_inputs(store: TableStore, table: Table, folder: Path, scale: float) -> int:
    """Tiles, the new version's vectors and the standing version's pairs; how many pairs there are."""
    random = np.random.default_rng(1)
    events, users, products = int(EVENTS * scale), int(USERS * scale), int(PRODUCTS * scale)
    user = np.minimum(random.zipf(1.2, events) - 1, users * 10) % users
    product = np.minimum(random.zipf(1.1, events) - 1, products * 10) % products
    day = random.integers(0, DAYS, events)
    ids = pa.array([hashlib.sha256(str(i).encode()).hexdigest() for i in range(products)])
    names = pa.array([f"u{i}" for i in range(users)])
    _append(store, USER_TILES, folder, _tiles(user, day, product, names, ids, random))
    _append(store, EMBEDDINGS, folder, _embeddings(ids, random))
    user_days = np.unique(user.astype(np.int64) * DAYS + day)
    _append(store, table, folder, _pairs(user_days, names))
    return len(user_days)


def _tiles(
    user: Ints, day: Ints, product: Ints, names: pa.Array, ids: pa.Array, random: np.random.Generator
) -> dict[str, pa.Array]:
    key, events = np.unique((user * DAYS + day) * len(ids) + product, return_counts=True)
    user_day, product = key // len(ids), key % len(ids)
    day = user_day % DAYS + _FIRST
    weight = events * random.choice([1.0, 3.0, 4.0, 8.0], len(key)) * 0.9
    return {
        "subject_id": names.take(pa.array(user_day // DAYS)),
        "day": pa.array(day.astype(np.int32)).cast(pa.date32()),
        "modality": pa.array([_MODALITY] * len(key)),
        "content_id": ids.take(pa.array(product)),
        "allowed_purposes": pa.array([[_PURPOSE]] * len(key)),
        "actions": pa.array(events),
        "weight_7d": pa.array(weight),
        "available_at": _instants((day + 1) * _DAY_MICROSECONDS),
    }


def _embeddings(ids: pa.Array, random: np.random.Generator) -> dict[str, pa.Array]:
    vectors = random.normal(size=(len(ids), DIMENSIONS)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return {
        "content_hash": ids,
        "modality": pa.array([_MODALITY] * len(ids)),
        "encoder": pa.array([_NEW[0]] * len(ids)),
        "encoder_version": pa.array([_NEW[1]] * len(ids)),
        "status": pa.array(["ok"] * len(ids)),
        "vector": pa.array([v.tobytes() for v in vectors]),
        "dimensions": pa.array(np.full(len(ids), DIMENSIONS, np.int32)),
    }


def _pairs(user_days: Ints, names: pa.Array) -> dict[str, pa.Array]:
    at = _instants((user_days % DAYS + _FIRST + 1) * _DAY_MICROSECONDS)
    return {
        "user_id": names.take(pa.array(user_days // DAYS)),
        "purpose": pa.array([_PURPOSE] * len(user_days)),
        "encoder": pa.array([_OLD[0]] * len(user_days)),
        "encoder_version": pa.array([_OLD[1]] * len(user_days)),
        "event_timestamp": at,
        "created_at": at,
    }


def _instants(microseconds: Ints) -> pa.Array:
    return pa.array(microseconds).cast(pa.timestamp("us", tz="UTC"))


def _append(store: TableStore, table: Table, folder: Path, columns: dict[str, pa.Array]) -> None:
    file = folder / f"{table.name}.parquet"
    pq.write_table(pa.table(columns), file, row_group_size=500_000)
    rows = store.spark.read.parquet(str(file))
    missing = {c.name: F.lit(None) for c in table.columns if c.name not in rows.columns}
    store.append_once(rows.withColumns(missing), table, "benchmark")


if __name__ == "__main__":
    main()
