"""Point-in-time joins: ours (threads, Spark) against stock Feast on Spark and DuckDB's ASOF JOIN, on the same Parquet.

History: 5 M rows of 50 k users over 100 days, 8 scalars and a 64-d vector, a created column, ttl 7 days, in Delta,
written by Spark. Each way gives an Arrow table of the same rows; the best of two runs counts. CPU seconds are those of
the whole process tree. DuckDB knows neither created_at nor its tie-break: it is a lower bound. `MMFS_BENCH_SCALE`
scales rows and users, `MMFS_BENCH_STOCK=0` leaves stock Feast out.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
from feast import Entity, FeatureStore, FeatureView, Field, RepoConfig, ValueType
from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource
from feast.table_format import DeltaFormat
from feast.types import Array, Float32, Float64, String
from py4j.protocol import Py4JJavaError
from rich.console import Console
from rich.table import Table

from pipelines.point_in_time.delta_log import read_snapshot
from pipelines.serving.delta_source import DeltaSource
from pipelines.settings import load_settings
from pipelines.spark import spark_session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

START, DAYS, DIMENSIONS = datetime(2026, 1, 1, tzinfo=UTC), 100, 64
SCALARS = [f"f{i}" for i in range(8)]
# Stock Feast is given up after this many seconds.
PATIENCE = 150


@dataclass(frozen=True)
class Case:
    name: str
    entities: int
    views: int
    vector: bool


CASES = (
    Case("a 64-d vector", 200_000, 1, True),
    Case("no vector", 200_000, 1, False),
    Case("a 64-d vector", 2_000, 1, True),
    Case("three views of a 64-d vector", 200_000, 3, True),
)


@dataclass(frozen=True)
class Measured:
    seconds: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.seconds:.1f} / {self.cpu:.1f}" if self.seconds < PATIENCE else f"> {PATIENCE}"


def main() -> None:
    """Measure and print."""
    scale = float(os.environ.get("MMFS_BENCH_SCALE", "1"))
    spark = spark_session(load_settings(driver_memory="6g"), "benchmark")
    rows, users = int(5_000_000 * scale), int(50_000 * scale)
    ways = ["local", "spark", "duckdb"] + ["stock"] * (os.environ.get("MMFS_BENCH_STOCK", "1") == "1")
    printed = Table("seconds / CPU seconds", *ways, "ratios of time", title=f"{rows:,} rows of {users:,} users")
    with tempfile.TemporaryDirectory(prefix="mmfs-bench-") as folder:
        path = f"{folder}/history"
        write_history(spark, path, rows, users)
        stores = {way: store_of(Path(folder), path, way) for way in ways if way != "duckdb"}
        for case in CASES:
            entities = entity_rows(int(case.entities * scale), users)
            name, figures = f"{len(entities):,} entities, {case.name}", {}
            for way in ways:
                figures[way] = _measured(spark, way, stores, path, case, entities)
                Console(stderr=True).print(f"{name}: {way} {figures[way]}")
            printed.add_row(name, *map(str, figures.values()), _ratios(figures))
    Console(width=160).print(printed)


def _ratios(figures: dict[str, Measured]) -> str:
    spark, local, duck = figures["spark"], figures["local"], figures["duckdb"]
    said = f"spark {spark.seconds / duck.seconds:.2f} × DuckDB, local {local.seconds / duck.seconds:.2f} ×"
    if stock := figures.get("stock"):
        said += f"; stock {stock.seconds / spark.seconds:.1f} × spark (CPU {stock.cpu / spark.cpu:.1f} ×)"
    return said


def write_history(spark: SparkSession, path: str, rows: int, users: int) -> None:
    """Ten files of ten days each, every user once a day."""
    per_day = rows // DAYS

    def days(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        names = pa.array([f"user{i:08d}" for i in range(users)])
        for batch in batches:
            for day in batch.column(0).to_pylist():
                random = np.random.default_rng(day)
                moment = (day * 86_400 + random.integers(0, 86_400, per_day)) * 1_000_000 + int(START.timestamp() * 1e6)
                created = moment + random.integers(0, 86_400, per_day) * 1_000_000
                stamps = [pa.array(at, pa.timestamp("us", tz="UTC")) for at in (moment, created)]
                user = names.take(pa.array(random.permutation(users)[:per_day]))
                offsets = pa.array(np.arange(per_day + 1, dtype=np.int32) * DIMENSIONS)
                vector = pa.ListArray.from_arrays(offsets, pa.array(random.random(per_day * DIMENSIONS, np.float32)))
                scalars = [pa.array(random.random(per_day)) for _ in SCALARS]
                yield pa.RecordBatch.from_arrays([user, *stamps, *scalars, vector], names=_columns())

    ddl = "user_id string, event_timestamp timestamp, created_at timestamp, "
    ddl += ", ".join(f"{name} double" for name in SCALARS) + ", vector array<float>"
    spark.range(0, DAYS, 1, 10).mapInArrow(days, ddl).write.format("delta").save(path)


def _columns() -> list[str]:
    return ["user_id", "event_timestamp", "created_at", *SCALARS, "vector"]


def entity_rows(count: int, users: int) -> pd.DataFrame:
    random = np.random.default_rng(count)
    moments = START + pd.to_timedelta(random.integers(0, DAYS * 86_400, count), unit="s")
    return pd.DataFrame(
        {"user_id": [f"user{i:08d}" for i in random.integers(0, users, count)], "event_timestamp": moments}
    )


def store_of(folder: Path, path: str, way: str) -> FeatureStore:
    """A repository of three views over the history."""
    ours = {"type": "pipelines.training.offline_store.DeltaOfflineStore", "engine": way}
    config = RepoConfig(
        project="benchmark",
        provider="local",
        registry=str(folder / f"{way}.db"),
        online_store={"type": "sqlite", "path": str(folder / f"{way}-online.db")},
        offline_store={"type": "spark"} if way == "stock" else ours,
        entity_key_serialization_version=3,
    )
    user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)
    times: dict[str, Any] = {"timestamp_field": "event_timestamp", "created_timestamp_column": "created_at"}
    schema = [Field(name="user_id", dtype=String), *(Field(name=n, dtype=Float64) for n in SCALARS)]
    objects: list[Any] = [user]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in range(3):
            name = f"source{number}"
            stock = SparkSource(name=name, path=path, table_format=DeltaFormat(), **times) if way == "stock" else None
            source = stock or DeltaSource(name=name, path=path, **times)
            fields = [*schema, Field(name="vector", dtype=Array(Float32))]
            objects.append(
                FeatureView(name=f"view{number}", entities=[user], ttl=timedelta(days=7), schema=fields, source=source)
            )
        store = FeatureStore(config=config)
        store.apply(objects)
    return store


def _measured(
    spark: SparkSession, way: str, stores: dict[str, FeatureStore], path: str, case: Case, entities: pd.DataFrame
) -> Measured:
    names = [*SCALARS, *(["vector"] if case.vector else [])]
    if way == "duckdb":
        return min((_timed(lambda: _by_duckdb(path, case.views, names, entities)) for _ in range(2)), key=_seconds)
    features = [f"view{n}:{name}" for n in range(case.views) for name in names]
    options: dict[str, Any] = {"full_feature_names": True, "filter_by_created_timestamp": True}

    def retrieve() -> pa.Table:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return stores[way].get_historical_features(entities, features, **options).to_arrow()

    if way == "stock":
        return _given_up_after(spark, retrieve)
    return min((_timed(retrieve) for _ in range(2)), key=_seconds)


def _seconds(measured: Measured) -> float:
    return measured.seconds


def _given_up_after(spark: SparkSession, retrieve: Callable[[], pa.Table]) -> Measured:
    alarm = threading.Timer(PATIENCE, spark.sparkContext.cancelAllJobs)
    alarm.start()
    before = _cpu()
    try:
        return _timed(retrieve)
    except Py4JJavaError:
        return Measured(PATIENCE, _cpu() - before)
    finally:
        alarm.cancel()


def _timed(work: Callable[[], pa.Table]) -> Measured:
    cpu, started = _cpu(), time.perf_counter()
    work()
    return Measured(time.perf_counter() - started, _cpu() - cpu)


def _cpu() -> float:
    """CPU seconds of this process, the JVM and the Python workers so far."""
    total = 0.0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        try:
            total += sum(process.cpu_times()[:2])
        except psutil.NoSuchProcess:
            continue
    return total


def _by_duckdb(path: str, views: int, names: list[str], entities: pd.DataFrame) -> pa.Table:
    """Keys and times joined first, wide columns fetched for the winners."""
    files = [file.path for file in read_snapshot(path).files]
    read = f"read_parquet({files!r}, filename = true, file_row_number = true)"
    connection = duckdb.connect(config={"threads": str(os.cpu_count())})
    connection.register("given", entities)
    connection.execute("CREATE TABLE asked AS SELECT row_number() OVER () AS i, * FROM given")
    joins, columns = "", "asked.*"
    for n in range(views):
        connection.execute(
            f"CREATE TABLE w{n} AS SELECT a.i, h.filename AS f, h.file_row_number AS r FROM asked a ASOF JOIN "
            f"(SELECT user_id, event_timestamp, filename, file_row_number FROM {read}) h "
            "ON a.user_id = h.user_id AND a.event_timestamp >= h.event_timestamp "
            "WHERE h.event_timestamp >= a.event_timestamp - INTERVAL 7 DAY"
        )
        wide = ", ".join(f"{name} AS view{n}__{name}" for name in names)
        joins += (
            f" LEFT JOIN (SELECT i, {wide} FROM w{n} JOIN {read} h ON f = h.filename AND r = h.file_row_number) v{n}"
            f" ON v{n}.i = asked.i"
        )
        columns += "".join(f", v{n}.view{n}__{name}" for name in names)
    return connection.execute(f"SELECT {columns} FROM asked{joins} ORDER BY asked.i").to_arrow_table()


if __name__ == "__main__":
    main()
