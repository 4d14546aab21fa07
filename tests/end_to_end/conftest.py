"""A slice of the real grocery shop, taken the whole way once for all tests of this folder."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pipelines.delta import TableStore
from pipelines.governance.runs import Run, StepReport
from pipelines.run import new_run, run_steps
from pipelines.settings import Settings, load_settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

HOUSEHOLDS = 8
REVIEWS = 20
# One in so many of the products bought is known to the shop: few pictures prove as much as many.
PRODUCTS_PER_KNOWN_ONE = 8
NOT_TABLES = ("README.md", "mapping.csv")
AS_OF = datetime(2018, 4, 15, tzinfo=UTC)


@dataclass(frozen=True)
class Shop:
    """The slice, the home it was run into, and what the run said."""

    drop: Path
    settings: Settings
    run: Run
    reports: list[StepReport]
    store: TableStore

    def report(self, step: str) -> StepReport:
        return next(r for r in self.reports if r.step == step)


@pytest.fixture(scope="session")
def grocery(test_data: Path, tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Shop:
    """`mmfs run` on the households with most events, some of their products and a few reviews of strangers."""
    folder = tmp_path_factory.mktemp("grocery")
    drop = _slice(test_data / "grocery", folder / "grocery-slice")
    settings = load_settings(home=str(folder / "home"))
    run = new_run(settings, AS_OF)
    reports = run_steps(run, str(drop))
    return Shop(drop, settings, run, reports, TableStore(spark, settings))


def _slice(source: Path, target: Path) -> Path:
    target.mkdir()
    events = pq.read_table(source / "events.parquet")
    households = _busiest(events)
    events = _rows_with(events, "user_id", households)
    pq.write_table(events, target / "events.parquet")
    users = pq.read_table(source / "users.parquet")
    pq.write_table(_rows_with(users, "user_id", households), target / "users.parquet")
    identities = pl.read_csv(source / "identities.csv")
    identities.filter(pl.col("user_id").is_in(households)).write_csv(target / "identities.csv")
    lines = (source / "reviews.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (target / "reviews.jsonl").write_text("".join(lines[:REVIEWS]), encoding="utf-8")
    _slice_products(source, target, pc.unique(events["product_id"]).drop_null())
    for name in NOT_TABLES:
        shutil.copyfile(source / name, target / name)
    return target


def _busiest(events: pa.Table) -> list[str]:
    counts = events.group_by("user_id").aggregate([("event_id", "count")])
    ranked = counts.sort_by([("event_id_count", "descending"), ("user_id", "ascending")])
    return list(ranked["user_id"].slice(0, HOUSEHOLDS).to_pylist())


def _slice_products(source: Path, target: Path, bought: pa.Array) -> None:
    products = _rows_with(pq.read_table(source / "products.parquet"), "product_id", bought.to_pylist())
    # The others stay unknown to the shop, as it happens.
    known = products.sort_by("product_id").take(pa.array(range(0, products.num_rows, PRODUCTS_PER_KNOWN_ONE)))
    pq.write_table(known, target / "products.parquet")
    for path in {p for paths in known["image_paths"].to_pylist() for p in paths or []}:
        (target / "media" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / "media" / path, target / "media" / path)


def _rows_with(table: pa.Table, column: str, values: list[str]) -> pa.Table:
    return table.filter(pc.is_in(table[column], pa.array(values)))
