"""The store's own promises: one commit makes a table, described and laid out; a cut-off first write is made good."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from delta.tables import DeltaTable

from pipelines.tables.schema import Column, Table
from tests.hand_made_home import Home
from tests.table_frame import table_frame

DAY = Column("day", "date", "the day, by somebody's clock")
NAME = Column("name", "string", "who's who {not a placeholder} \\ path")
PARTITIONED = Table("parted", "silver", "It's a {table} with \\ in it.", (DAY, NAME), ("name",), partition_by=("day",))
CLUSTERED = Table("clustered", "silver", "Another.", (DAY, NAME), ("name",), cluster_by=("day",), retention_days=7)
NOON = datetime(2026, 5, 4, tzinfo=UTC)


def _row(name: str) -> dict[str, object]:
    return {"day": NOON.date(), "name": name}


def _names(home: Home, table: Table) -> list[str]:
    return sorted(row.name for row in home.store.read(table).collect())


@pytest.mark.parametrize("table", [PARTITIONED, CLUSTERED])
def test_one_commit_makes_a_table_with_its_first_rows(home: Home, table: Table) -> None:
    store = home.store
    assert (store.exists(table), store.version(table), _names(home, table)) == (False, None, [])
    home.write(table, _row("a"), _row("b"))
    assert (store.version(table), store.rows_written(table, 0), _names(home, table)) == (0, 2, ["a", "b"])
    detail = DeltaTable.forPath(store.spark, store.location(table)).detail().collect()[0]
    assert (detail.description, detail.properties["delta.deletedFileRetentionDuration"]) == (
        table.comment,
        f"interval {table.retention_days} days",
    )
    # By these files are skipped; a column that is a folder's name needs no statistics.
    assert detail.properties["delta.dataSkippingStatsColumns"] == ("name" if table is PARTITIONED else "name,day")
    assert (detail.partitionColumns, detail.clusteringColumns) == (list(table.partition_by), list(table.cluster_by))
    comments = [field.metadata["comment"] for field in store.read(table).schema]
    assert comments == [column.comment for column in table.columns]


def test_the_first_write_too_is_made_once(home: Home) -> None:
    rows = table_frame(home.store.spark, PARTITIONED, [_row("a")])
    for transaction in ("t1", "t1", "t2", "t1", "t2"):
        home.store.append_once(rows, PARTITIONED, transaction)
    assert _names(home, PARTITIONED) == ["a", "a"]
    assert home.store.version(PARTITIONED) == 1


@pytest.mark.parametrize("log", ["none", "empty"])
def test_a_first_write_that_was_cut_off_is_made_again(home: Home, log: str) -> None:
    home.write(PARTITIONED, _row("lost"))
    folder = Path(home.store.location(PARTITIONED)) / "_delta_log"
    shutil.rmtree(folder)
    if log == "empty":
        folder.mkdir()
    assert not home.store.exists(PARTITIONED)
    rows = table_frame(home.store.spark, PARTITIONED, [_row("a")])
    home.store.upsert(rows, PARTITIONED)
    home.store.upsert(rows, PARTITIONED)
    assert _names(home, PARTITIONED) == ["a"]
