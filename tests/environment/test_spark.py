from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.spark import spark_session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from tests.conftest import SparkSettings

PROJECT_ROOT = Path(__file__).resolve().parents[2]

# In a process of its own: only a session's first start shows what it reads and leaves behind.
FRESH_SESSION = """
import os, sys
from pathlib import Path
from types import SimpleNamespace
from pipelines.spark import spark_session

settings = SimpleNamespace(cache_dir=Path(sys.argv[1]), cores=1, driver_memory="1g")
session = spark_session(settings, "fresh", {"MMFS_PROBE": "seen"})
assert session.conf.get("spark.jars.packages", None) is None
session.range(5).write.format("delta").save(sys.argv[2])
assert session.read.format("delta").load(sys.argv[2]).count() == 5
assert session.sql("show databases").count() == 1
probe = session.sparkContext.parallelize([0], 1).map(lambda _: (os.environ.get("MMFS_PROBE"), sys.executable))
assert probe.collect() == [("seen", sys.executable)], probe.collect()
session.stop()
"""


def test_delta_write_merge_and_read(spark: SparkSession, tmp_path: Path) -> None:
    from delta.tables import DeltaTable

    path = str(tmp_path / "table")
    spark.range(10).selectExpr("id", "'old' AS state").write.format("delta").save(path)
    changes = spark.range(5, 15).selectExpr("id", "'new' AS state")
    merge = DeltaTable.forPath(spark, path).alias("t").merge(changes.alias("s"), "t.id = s.id")
    merge.whenMatchedUpdateAll().whenNotMatchedInsertAll().execute()
    states = spark.read.format("delta").load(path).groupBy("state").count().orderBy("state").collect()
    assert [tuple(row) for row in states] == [("new", 10), ("old", 5)]


def test_an_active_session_is_reused_and_set_to_utc(spark: SparkSession, spark_settings: SparkSettings) -> None:
    spark.conf.set("spark.sql.session.timeZone", "Asia/Shanghai")
    assert spark_session(spark_settings, "another") is spark
    assert spark.conf.get("spark.sql.session.timeZone") == "UTC"


def test_a_fresh_session_starts_offline_and_leaves_nothing_behind(
    spark_settings: SparkSettings, tmp_path: Path
) -> None:
    working_directory = tmp_path / "cwd"
    home = tmp_path / "home"
    working_directory.mkdir()
    home.mkdir()
    command = [sys.executable, "-c", FRESH_SESSION, str(spark_settings.cache_dir), str(tmp_path / "table")]
    environment = os.environ | {"HOME": str(home), "PYTHONPATH": str(PROJECT_ROOT)}
    run = subprocess.run(command, cwd=working_directory, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "WARN" not in run.stdout
    assert list(working_directory.iterdir()) == []
    # Ivy's folder would show that jars were resolved at the start.
    assert list(home.iterdir()) == []
