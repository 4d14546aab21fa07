"""The Spark session of every job: `spark_session(settings, app_name)`.

Three cases, told apart here and nowhere else: an active session (a notebook, a test) is reused; under
`spark-submit` the cluster's own master, memory and jars stand; otherwise a local session is started from the
jars in the cache, without network, leaving nothing in the working directory.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pipelines.environment.jars import session_jars
from pipelines.environment.java import find_java
from pipelines.tables import HISTORIES

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class SessionSettings(Protocol):
    """The part of `Settings` that a session needs."""

    @property
    def cache_dir(self) -> Path: ...
    @property
    def cores(self) -> int: ...
    @property
    def driver_memory(self) -> str: ...


# What results depend on: set everywhere, also on a session that somebody else started.
MEANING = {
    # Every instant is UTC; in another zone Feast and day grains would shift or turn to NULL.
    "spark.sql.session.timeZone": "UTC",
    # Spark's default, INT96, is unknown to the statistics and to most other readers.
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    # Spark's default since 4.0, said aloud: bad input must be met with try_cast, never become a silent NULL.
    "spark.sql.ansi.enabled": "true",
    # A hung native decoder must fail its task, not hang the job for good.
    "spark.sql.execution.pyspark.udf.idleTimeoutSeconds": "300s",
    "spark.sql.execution.pyspark.udf.killOnIdleTimeout": "true",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
}

# What most of the time of jobs with vectors depends on: set everywhere, too.
VECTORS = {
    # Without a bound in bytes: to keep one, Spark measures the whole batch after every row, for most of a job's time.
    # The bound in rows stays, and rows here are small (paths, texts, scalars, a few vectors).
    "spark.sql.execution.arrow.maxBytesPerBatch": str(2**31 - 1),
} | {
    # A dictionary of floats never pays, and trying takes most of the time of writing them; nobody filters by them.
    f"{option}#{column.name}.list.element": "false"
    for option in (
        "parquet.enable.dictionary",
        "parquet.column.statistics.enabled",
        "parquet.size.statistics.enabled",
    )
    for table in HISTORIES
    for column in table.columns
    if column.type == "array<float>"
}

# Static: only a session that is about to start can take them.
DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}


# On small tables planning is the work. Adaptive execution plans every stage anew, and Java code is generated for every
# stage and compiled twice (Janino, then the JVM): they pay off on large tables only.
SMALL_TABLES = {
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    # What must hold of every row is derived from the whole plan again by each of many rules, to add filters that save
    # reading where there is much to read.
    "spark.sql.constraintPropagation.enabled": "false",
    # A second pass over the log after each commit, for the sums that let a long log be read faster.
    "spark.databricks.delta.writeChecksumFile.enabled": "false",
    "spark.databricks.delta.snapshotPartitions": "1",
}


def spark_session(
    settings: SessionSettings, app_name: str, worker_environment: Mapping[str, str] | None = None
) -> SparkSession:
    """A session with Delta, in UTC.

    `worker_environment` is given to every Python worker (allocator, thread counts), if the session starts here and
    now; it has no effect on one that is reused.

    Raises DeltaJarsError or JavaNotFoundError when set-up has not been run.
    """
    from pyspark.sql import SparkSession

    session = SparkSession.getActiveSession()
    if session is None:
        builder = SparkSession.builder.appName(app_name)
        for key, value in _start_configuration(settings, worker_environment or {}).items():
            builder = builder.config(key, value)
        session = builder.getOrCreate()
    for key, value in (MEANING | VECTORS).items():
        session.conf.set(key, value)
    return session


def tune_for_small_tables(session: SparkSession) -> None:
    """Trade speed on large tables for quick queries on small ones: for tests and the demonstration."""
    for key, value in SMALL_TABLES.items():
        session.conf.set(key, value)


def under_spark_submit() -> bool:
    """Whether a launcher has started the JVM already and decided where the work runs."""
    return "PYSPARK_GATEWAY_PORT" in os.environ


def _start_configuration(settings: SessionSettings, worker_environment: Mapping[str, str]) -> dict[str, str]:
    workers = {f"spark.executorEnv.{name}": value for name, value in worker_environment.items()}
    if under_spark_submit():
        from pyspark import SparkConf

        given = SparkConf()
        return {key: value for key, value in (DELTA | MEANING | workers).items() if not given.contains(key)}
    _prepare_local_jvm(settings)
    return DELTA | MEANING | workers | _local_configuration(settings)


def _prepare_local_jvm(settings: SessionSettings) -> None:
    """Python workers and the JVM take these from the environment that the JVM is launched in."""
    os.environ["JAVA_HOME"] = str(find_java(settings.cache_dir))
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")


def _local_configuration(settings: SessionSettings) -> dict[str, str]:
    scratch = settings.cache_dir.absolute() / "spark"
    scratch.mkdir(parents=True, exist_ok=True)
    jars = [str(jar) for jar in session_jars(settings.cache_dir)]
    # A parallel collector gains nothing on few cores. (Leaving out the JVM's second compiler starts faster, and then
    # takes 98 s instead of 83 s for the sample shop's ingest.)
    collector = "-XX:+UseSerialGC" if settings.cores <= 2 else "-XX:+UseParallelGC"
    logging = Path(__file__).parent / "environment" / "log4j2.properties"
    flags = (f"-Dderby.system.home={scratch}", f"-Dlog4j2.configurationFile={logging.as_uri()}", collector)
    return {
        "spark.master": f"local[{settings.cores}]",
        "spark.driver.memory": settings.driver_memory,
        # Not `spark.jars`, which copies them through a file server first: start and first write take 17 s of
        # CPU instead of 21 s.
        "spark.driver.extraClassPath": os.pathsep.join(jars),
        # Every hash table and every sort begins with a page, 64 MiB by default at this memory: most are for a few rows,
        # and what the collector does is mostly moving them.
        "spark.buffer.pageSize": "1m",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.local.dir": str(scratch),
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        "spark.driver.extraJavaOptions": " ".join(flags),
        "spark.python.daemon.module": "pipelines.environment.python_workers",
        # Spark hands out the worker that has been idle longest. A task with two Python stages leaves two workers
        # behind; a later one would load its encoder in each of them by turns.
        "spark.python.factory.idleWorkerMaxPoolSize": str(settings.cores),
        "spark.sql.adaptive.enabled": "true",
        # Spark's 200 and Delta's 50 are made for clusters; here each partition is a task to start.
        "spark.sql.shuffle.partitions": str(max(settings.cores, 2)),
        "spark.databricks.delta.snapshotPartitions": "2",
        # The line of Python behind every single column expression, asked of the JVM four times over: half of the time
        # of planning a query over a wide table.
        "spark.python.sql.dataFrameDebugging.enabled": "false",
        "spark.sql.dataFrameQueryContext.enabled": "false",
        # Checks and plan texts that nobody reads here, made for every query.
        "spark.sql.lightweightPlanChangeValidation": "false",
        "spark.sql.maxPlanStringLength": "100",
    }
