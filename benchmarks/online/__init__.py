"""Online reading: the client and the server against stock Feast and the Redis floor, in turns, on one Redis.

A service of 4 views, each 10 numbers and a vector, of users who all consent; `MMFS_BENCH_SCALE` scales users and
rounds, `MMFS_BENCH_DIMENSIONS` sets the vectors' length (512; 128 is the serving projection). Every way answers the
same questions in each round, so that a slow moment of the machine is everybody's. Times are the median and the 99th
percentile, ratios those of medians.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks.online.http_load import measure_http
from benchmarks.online.in_process import measure_clients, measure_writes
from benchmarks.online.ranking import measure_ranking
from benchmarks.online.stores import Stores
from tests.online.redis_server import RedisServer


def main() -> None:
    """Measure and print."""
    scale = float(os.environ.get("MMFS_BENCH_SCALE", "1"))
    dimensions = int(os.environ.get("MMFS_BENCH_DIMENSIONS", "512"))
    console = Console(width=170)
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(Path(folder))
        server.start()
        try:
            stores = Stores(Path(folder), server, users=int(5000 * scale), dimensions=dimensions)
            console.print(measure_writes(stores))
            console.print(measure_clients(stores, rounds=int(300 * scale)))
            ranked = int(5000 * scale), dimensions, int(300 * scale)
            console.print(measure_ranking(Path(folder), server, *ranked))
            console.print(measure_http(stores, seconds=8 * scale))
        finally:
            server.stop()
