"""The ranking call in process: one user × many candidates, numbers of both and all similarities."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from feast import FeatureView
from rich.table import Table
from threadpoolctl import threadpool_limits

from benchmarks.online.in_process import spread
from pipelines.online.ranking import Ranker
from pipelines.online.reader import OnlineReader
from pipelines.ranking.similarities import NAMES
from pipelines.settings import ServeSettings, Settings
from tests.online.online_home import TIMES, OnlineHome
from tests.online.redis_server import RedisServer

_AT = datetime(2026, 3, 1, tzinfo=UTC)
_SIZES = (100, 500, 1000)
_ROWS_AT_ONCE = 1000
_USERS = 200


def measure_ranking(folder: Path, redis: RedisServer, products: int, dimensions: int, rounds: int) -> Table:
    """Milliseconds with products' vectors kept in memory, and with all of them read anew for each question."""
    # As in the server's workers.
    threadpool_limits(1, user_api="blas")
    random = np.random.default_rng(7)
    # Beside the other benchmarks' store, which is of the same project.
    place = f"{redis.address},db=1"
    settings = Settings(home=str(folder / "ranking"), feast_config="feature_store.redis.yaml", redis=place)
    users, names = [f"user{i:04d}" for i in range(_USERS)], [f"p{i:06d}" for i in range(products)]
    _fill(OnlineHome(settings), users, names, dimensions, random)
    unkept = settings.model_copy(update={"serve": ServeSettings(kept_products=1)})
    ways = {"vectors kept": Ranker(OnlineReader(settings)), "vectors read each time": Ranker(OnlineReader(unkept))}
    titles = [f"{size} candidates: p50 / p99 ms" for size in _SIZES]
    table = Table("ranking in process", *titles, title=f"{products:,} products, 3 vectors of {dimensions}")
    # Half of the catalogue is asked for, again and again.
    asked = names[: max(len(names) // 2, max(_SIZES))]
    ways["vectors kept"].rank(users[0], asked)
    cells: dict[str, list[str]] = {way: [] for way in ways}
    for size in _SIZES:
        taken: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(rounds):
            user, candidates = str(random.choice(users)), [*map(str, random.choice(asked, size))]
            for way, ranker in ways.items():
                started = time.perf_counter()
                answer = ranker.rank(user, candidates)
                taken[way].append(time.perf_counter() - started)
                if np.isnan(answer.similarities.values[:, NAMES.index("picture_7d_cosine")]).any():
                    raise RuntimeError("a candidate was not compared")
        for way, seconds in taken.items():
            cells[way].append(spread(np.array(seconds[len(seconds) // 20 :])))
    for way, row in cells.items():
        table.add_row(way, *row)
    return table


def _fill(home: OnlineHome, users: list[str], products: list[str], dimensions: int, random: Any) -> None:
    """Every feature of every user and product, at random; ids are products'."""
    for view in home.feast.list_batch_feature_views():
        if view.name == "user_consent":
            home.online.write_arrow(
                home.feast.config, view, _batch(view, users, {"purposes": [["personalisation"]] * len(users)}), TIMES
            )
            continue
        ids = products if view.join_keys == ["product_id"] else users
        for batch in _batches(view, ids, products, dimensions, random):
            home.online.write_arrow(home.feast.config, view, batch, TIMES)
    home.keeper.set_mark("filled")


def _batches(
    view: FeatureView, ids: list[str], products: list[str], dimensions: int, random: Any
) -> Iterator[pa.RecordBatch]:
    for start in range(0, len(ids), _ROWS_AT_ONCE):
        some = ids[start : start + _ROWS_AT_ONCE]
        columns: dict[str, Any] = {}
        for feature in view.features:
            kind = str(feature.dtype)
            if feature.name == "medoid_weights":
                columns[feature.name] = random.random((len(some), 3)).astype("f4").tolist()
            elif kind == "Array(Float32)":
                flat = pa.array(random.standard_normal(len(some) * dimensions).astype("f4"))
                columns[feature.name] = pa.FixedSizeListArray.from_arrays(flat, dimensions).cast(pa.list_(pa.float32()))
            elif kind == "Array(String)":
                size = 3 if feature.name == "medoid_product_ids" else 20
                columns[feature.name] = [[*map(str, random.choice(products, size))] for _ in some]
            elif kind == "UnixTimestamp":
                columns[feature.name] = pa.array([_AT] * len(some), pa.timestamp("us", tz="UTC"))
            else:
                columns[feature.name] = random.integers(0, 100, len(some))
        yield _batch(view, some, columns)


def _batch(view: FeatureView, ids: list[str], columns: dict[str, Any]) -> pa.RecordBatch:
    times = {name: pa.array([_AT] * len(ids), pa.timestamp("us", tz="UTC")) for name in TIMES}
    return pa.RecordBatch.from_pydict({view.join_keys[0]: ids, **columns, **times})
