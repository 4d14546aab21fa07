"""How far the point-in-time join goes on one machine, with 64-d vectors: many history rows, many entity rows.

Each join runs in a process of its own, with a driver of 6 GiB where Spark's tasks do the work; peak memory is that of
all its processes. Then the history of other users is doubled, and what is read counted. `MMFS_BENCH_SCALE` scales all.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import warnings
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from benchmarks._process_tree import GIB, measure
from benchmarks.point_in_time import SCALARS, entity_rows, store_of, write_history
from pipelines.point_in_time.engines import LocalEngine
from pipelines.point_in_time.history_plan import HistoryView, open_history
from pipelines.point_in_time.join import point_in_time_join
from pipelines.settings import load_settings
from pipelines.spark import spark_session

FEW_ENTITIES = 2_000
# History rows, users and entity rows.
SIZES = ((5_000_000, 50_000, 5_000_000), (20_000_000, 200_000, 200_000))


def main() -> None:
    """Measure and print."""
    scale = float(os.environ.get("MMFS_BENCH_SCALE", "1"))
    sizes = [tuple(int(count * scale) for count in size) for size in SIZES]
    printed = Table("history rows", "entity rows", "engine", "seconds with start", "peak GiB", title="size of a join")
    with tempfile.TemporaryDirectory(prefix="mmfs-bench-") as folder:
        for rows, users, entities in sizes:
            path = f"{folder}/{rows}"
            _here("write", path, rows, users, "user")
            for engine in ("local", "spark"):
                done = measure([*_HERE, "join", path, str(entities), str(users), engine])
                figures = (f"{done.seconds:.0f}", f"{done.peak_bytes / GIB:.1f}")
                printed.add_row(f"{rows:,}", f"{entities:,}", engine, *figures)
        rows, users, _ = sizes[0]
        path = f"{folder}/{rows}"
        before = _bytes_read(path, users)
        _here("write", path, rows, users, "visitor")
        after = _bytes_read(path, users)
    console = Console(width=120)
    console.print(printed)
    console.print(
        f"{FEW_ENTITIES:,} entities, others' history doubled: {before / 2**20:.0f} → {after / 2**20:.0f} MiB read"
    )


_HERE = [sys.executable, "-m", "benchmarks.point_in_time_size"]


def _here(*arguments: object) -> None:
    subprocess.run([*_HERE, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def _write(path: str, rows: str, users: str, prefix: str) -> None:
    spark = spark_session(load_settings(driver_memory="6g"), "benchmark")
    write_history(spark, path, int(rows), int(users), prefix=prefix)


def _join(path: str, entities: str, users: str, engine: str) -> None:
    if engine == "spark":
        spark_session(load_settings(driver_memory="6g"), "benchmark")
    names = [f"view0:{name}" for name in (*SCALARS, "vector")]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        store = store_of(Path(folder), [path], engine)
        store.get_historical_features(entity_rows(int(entities), int(users)), names).to_arrow()


def _bytes_read(path: str, users: int) -> int:
    features = tuple((name, name) for name in (*SCALARS, "vector"))
    times = ("event_timestamp", "created_at")
    view = HistoryView("view", path, (("user_id", "user_id"),), *times, features, timedelta(days=7))
    entities = pa.Table.from_pandas(entity_rows(FEW_ENTITIES, users), preserve_index=False)
    joined = point_in_time_join(entities, entities["event_timestamp"], [open_history(view)], LocalEngine())
    return joined.figures.bytes_read


if __name__ == "__main__":
    if len(sys.argv) > 1:
        {"write": _write, "join": _join}[sys.argv[1]](*sys.argv[2:])
    else:
        main()
