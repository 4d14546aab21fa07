"""The join over Delta tables, on both engines: over everything a table's log may hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from pipelines.errors import TableNotFoundError, UnsupportedTableError, VersionGoneError
from pipelines.point_in_time.engines import Engine, LocalEngine
from pipelines.point_in_time.history_plan import HistoryView, open_history
from pipelines.point_in_time.join import Joined, joined_slices, point_in_time_join
from pipelines.training.offline_store import DeltaOfflineStoreConfig, retrieval_of
from tests.point_in_time.delta_by_hand import commit, history

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# A bitmap and a run in the deletion vector.
MANY, GONE = 100_000, "(value < 65536 AND value % 3 = 0) OR value BETWEEN 70000 AND 90000"
DAY = datetime(2026, 3, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
MICROS = pa.timestamp("us", tz="UTC")
TIMES = {"event_timestamp": MICROS, "created_at": MICROS}


def rows_of(*rows: tuple[str, int, int]) -> pa.Table:
    """(user, hours after DAY, value), known at their own time."""
    some = [(user, DAY + hours * HOUR, DAY + hours * HOUR, value) for user, hours, value in rows]
    return history(some, user=pa.string(), **TIMES, value=pa.int32())


def test_a_hot_user_among_few(engine: Engine, tmp_path: Path) -> None:
    """One key with 100,000 rows, a second apart, unordered and in several files; two others with a row each."""
    seconds, start = np.random.default_rng(3).permutation(MANY), np.datetime64("2026-03-10", "us")
    at = pa.array(start + np.append(seconds, [0, 0]).astype("timedelta64[s]"), MICROS)
    users = pa.array(["hot"] * MANY + ["a", "z"])
    columns = [users, at, at, pa.array(np.append(seconds, [-1, -2]), pa.int32())]
    rows = pa.table(columns, names=["user", *TIMES, "value"])
    commit(tmp_path / "history", *(rows.slice(first, 25_000) for first in range(0, len(rows), 25_000)))
    asked = np.array([-1, 0, 1, 50_000, MANY - 1, 2 * MANY, *range(5, MANY, 501)])
    names = np.tile(["hot", "z", "a"], len(asked))
    moments = pa.array(start + np.repeat(asked, 3).astype("timedelta64[s]") + np.timedelta64(999_999, "us"), MICROS)
    entities = pa.table({"user": names, "at": moments})
    view = view_of(tmp_path / "history")
    found = point_in_time_join(entities, entities["at"], [open_history(view)], engine).table().column("value")
    others = {"z": -2, "a": -1}
    expected = [
        None if second < 0 else others.get(name, min(second, MANY - 1))
        for name, second in zip(names.tolist(), np.repeat(asked, 3).tolist(), strict=True)
    ]
    assert found.to_pylist() == expected


def view_of(path: Path, **options: Any) -> HistoryView:
    given: dict[str, Any] = {"features": (("value", "value"),), "created_at": "created_at"} | options
    return HistoryView("view", str(path), (("user", "user"),), "event_timestamp", **given)


def asked(path: Path, engine: Engine, users: str = "abc", hours: int = 9, **options: Any) -> Joined:
    entities = pa.table({"user": list(users), "at": [DAY + hours * HOUR] * len(users)})
    return point_in_time_join(entities, entities["at"], [open_history(view_of(path, **options))], engine)


def values(joined: Joined, name: str = "value") -> list[Any]:
    found: list[Any] = joined.table().column(name).to_pylist()
    return found


@pytest.fixture(scope="module")
def changed_table(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """By Delta itself: rows deleted by deletion vectors of every kind, a column renamed, one added, a checkpoint."""
    path = tmp_path_factory.mktemp("delta") / "changed table"
    day = f"timestamp_micros({int(DAY.timestamp() * 1e6)}) AS event_timestamp"
    rows = spark.range(0, MANY, 1, 1).selectExpr("concat('u', id) AS user", day, "id AS value", "'x y' AS kind")
    properties = {"enableDeletionVectors": "true", "columnMapping.mode": "name", "checkpointInterval": "2"}
    options = {f"delta.{name}": value for name, value in properties.items()}
    rows.write.format("delta").partitionBy("kind").options(**options).save(str(path))
    spark.sql(f"DELETE FROM delta.`{path}` WHERE {GONE}")  # version 1
    spark.sql(f"ALTER TABLE delta.`{path}` RENAME COLUMN value TO amount")
    spark.sql(f"ALTER TABLE delta.`{path}` ADD COLUMN note array<string>")  # version 3
    return path


def test_deletions_renamed_and_added_columns_and_checkpoints(changed_table: Path, engine: Engine) -> None:
    ids = range(0, MANY, 7)
    entities = pa.table({"user": [f"u{i}" for i in ids], "at": [DAY] * len(ids)})
    features = (("amount", "value"), ("note", "note"), ("kind", "kind"))
    view = view_of(changed_table, created_at=None, features=features, where={"kind": "x y"})
    joined = point_in_time_join(entities, entities["at"], [open_history(view)], engine)
    kept = [not ((i < 65536 and i % 3 == 0) or 70000 <= i <= 90000) for i in ids]
    assert values(joined) == [i if k else None for i, k in zip(ids, kept, strict=True)]
    assert values(joined, "kind") == ["x y" if k else None for k in kept]
    assert set(values(joined, "note")) == {None}
    assert joined.versions == {"view": 3}
    before = view_of(changed_table, created_at=None, version=0)
    assert values(point_in_time_join(entities, entities["at"], [open_history(before)], engine)) == list(ids)


def test_another_partition_is_not_seen(tmp_path: Path, engine: Engine) -> None:
    commit(tmp_path, rows_of(("a", 0, 1)), partition={"kind": "mine"})
    commit(tmp_path, rows_of(("a", 1, 2)), partition={"kind": "theirs"})
    assert values(asked(tmp_path, engine, "a", where={"kind": "mine"})) == [1]
    assert values(asked(tmp_path, engine, "a")) == [2]


def test_slices_of_a_large_frame_are_the_whole(tmp_path: Path) -> None:
    commit(tmp_path, rows_of(*((user, hour, hour) for user in "abc" for hour in range(3))))
    entities = pa.table({"user": list("cabbax"), "at": [DAY + hour * HOUR for hour in (2, 0, 1, -1, 9, 1)]})
    mask = pa.array([True] * 4 + [False, True])
    histories = [open_history(view_of(tmp_path))]
    slices = list(joined_slices(entities, entities["at"], histories, LocalEngine(2), 4, mask))
    assert [values(joined) for joined in slices] == [[2, 0, 1, None], [None, None]]


def test_files_that_cannot_matter_are_not_read(tmp_path: Path, engine: Engine) -> None:
    for users in ("ab", "mn", "yz"):
        commit(tmp_path, rows_of(*((user, hour, hour) for user in users for hour in range(3))))
    commit(tmp_path, rows_of(("a", 50, 50)))  # too late
    assert asked(tmp_path, engine, "a").figures.files == 1
    assert asked(tmp_path, engine, "az").figures.files == 2
    assert asked(tmp_path, engine, "a", hours=51).figures.files == 2
    assert asked(tmp_path, engine, "a", hours=51, ttl=HOUR).figures.files == 1
    assert asked(tmp_path, engine, "k").figures.bytes_read == 0
    assert values(asked(tmp_path, engine, "a", hours=51, ttl=HOUR)) == [50]


def test_a_version_is_what_it_was_until_its_files_are_gone(tmp_path: Path, engine: Engine) -> None:
    commit(tmp_path, rows_of(("a", 0, 1)))
    commit(tmp_path, rows_of(("a", 1, 2)), replace=True)
    assert values(asked(tmp_path, engine, "a")) == [2]
    assert values(asked(tmp_path, engine, "a", version=0)) == [1]
    with pytest.raises(VersionGoneError, match="has no version 77; the newest is 1"):
        asked(tmp_path, engine, version=77)
    (tmp_path / "part-00000-00000.parquet").unlink()
    with pytest.raises(VersionGoneError, match="is gone: it was removed and vacuumed since"):
        asked(tmp_path, engine, "a", version=0)
    (tmp_path / "_delta_log" / f"{0:020d}.json").unlink()
    with pytest.raises(VersionGoneError, match=r"does not hold version 0 any more \(log retention\)"):
        asked(tmp_path, engine, "a")


def test_the_last_instant_there_is_and_the_longest_ttl(tmp_path: Path, engine: Engine) -> None:
    """What is meant for "for ever" bounds nothing."""
    last = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    commit(tmp_path, rows_of(("a", 0, 1)), history([("a", last, DAY, 2)], user=pa.string(), **TIMES, value=pa.int32()))
    assert values(asked(tmp_path, engine, "a", ttl=timedelta.max)) == [1]
    entities = pa.table({"user": ["a"], "at": pa.array([last], MICROS)})
    assert values(point_in_time_join(entities, entities["at"], [open_history(view_of(tmp_path))], engine)) == [2]


def test_a_checkpoint_that_only_spark_reads_is_told(tmp_path: Path) -> None:
    commit(tmp_path, rows_of(("a", 0, 1)))
    commit(tmp_path, rows_of(("a", 1, 2)))
    log = tmp_path / "_delta_log"
    (log / f"{0:020d}.json").unlink()
    (log / f"{0:020d}.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.parquet").touch()
    with pytest.raises(UnsupportedTableError, match="checkpoints of version 2; use the Spark engine"):
        asked(tmp_path, LocalEngine(1))


def test_tables_that_are_not_there_or_need_more(tmp_path: Path) -> None:
    engine, path = LocalEngine(2), tmp_path / "table"
    with pytest.raises(TableNotFoundError):
        asked(path, engine)
    empty = asked(path, engine, schema=rows_of().schema)
    assert (values(empty), empty.schema.field("value").type) == ([None] * 3, pa.int32())
    commit(path, rows_of())
    assert values(asked(path, engine)) == [None] * 3
    commit(path, rows_of(("a", 0, 1)))
    with pytest.raises(KeyError, match="has no column 'amount'; there: user, event_timestamp, created_at, value"):
        asked(path, engine, features=(("amount", "value"),))
    log = path / "_delta_log" / f"{2:020d}.json"
    log.write_text('{"protocol": {"minReaderVersion": 3, "readerFeatures": ["columnMapping", "rowMagic"]}}')
    with pytest.raises(UnsupportedTableError, match="needs a reader that knows rowMagic; use the Spark engine"):
        asked(path, engine)


def test_what_only_spark_can_read_is_copied_for_the_join(spark: SparkSession, tmp_path: Path) -> None:
    path, staging = tmp_path / "by id", tmp_path / "staging"
    staging.mkdir()
    day = f"timestamp_micros({int(DAY.timestamp() * 1e6)}) AS event_timestamp"
    rows = spark.range(1).selectExpr("'a' AS user", day, "'mine' AS kind", "1 AS value")
    rows.write.format("delta").option("delta.columnMapping.mode", "id").save(str(path))
    view = view_of(path, created_at=None, where={"kind": "mine"})
    with pytest.raises(UnsupportedTableError, match="maps its columns by id; use the Spark engine"):
        open_history(view)
    config = DeltaOfflineStoreConfig(engine="spark", staging_location=str(staging))
    with retrieval_of(config).opened([view]) as (histories, engine):
        entities = pa.table({"user": ["a", "b"], "at": [DAY, DAY]})
        joined = point_in_time_join(entities, entities["at"], histories, engine)
        assert list(staging.iterdir())
    assert values(joined) == [1, None]
    assert joined.versions == {"view": 0}
    assert not list(staging.iterdir())
