"""Reading and writing the declared tables. The only place that knows how they are stored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from delta.tables import DeltaTable
from pyspark.sql import functions as F

from pipelines.frames import frame_of
from pipelines.settings import Settings
from pipelines.tables.schema import Table

if TYPE_CHECKING:
    from py4j.java_gateway import JavaObject
    from pyspark.sql import DataFrame, DataFrameWriter, SparkSession


class TableStore:
    """The tables of one home, through one Spark session."""

    def __init__(self, spark: SparkSession, settings: Settings) -> None:
        self.spark = spark
        self.settings = settings

    def location(self, table: Table) -> str:
        return table.location(self.settings.under_home())

    def exists(self, table: Table) -> bool:
        # Delta takes a log without any commit, which a cut-off first write may leave, for a table.
        return any(True for _ in self._commits(table))

    def read(self, table: Table) -> DataFrame:
        """All rows; an empty frame of the declared schema where the table does not exist yet."""
        if not self.exists(table):
            return self._empty(table)
        return self.spark.read.format("delta").load(self.location(table))

    def version(self, table: Table) -> int | None:
        """The newest Delta version, None where the table does not exist yet."""
        return max(self._commits(table), default=None)

    def rows_written(self, table: Table, version: int) -> int:
        """The rows that the commit of a version wrote."""
        path, files = self._hadoop_path(table, f"_delta_log/{version:020}.json")
        stream = files.open(path)
        try:
            lines = bytes(stream.readAllBytes()).decode().splitlines()
        finally:
            stream.close()
        infos = (json.loads(line).get("commitInfo") for line in lines)
        return sum(int(info["operationMetrics"].get("numOutputRows", 0)) for info in infos if info)

    def read_version(self, table: Table, version: int) -> DataFrame:
        """All rows as they were at a version: several reads of a job see the same rows."""
        reader = self.spark.read.format("delta").option("versionAsOf", version)
        return reader.load(self.location(table))

    def append_once(self, rows: DataFrame, table: Table, transaction: str, number: int = 1) -> None:
        """Append the rows, unless a commit with the same transaction id, and this number or a greater one, was made
        before.

        The id must follow from the content (drop, batch), never from a clock: a repeated step then changes nothing.
        """
        options = {"txnAppId": f"mmfs/{table.layer}/{table.name}/{transaction}", "txnVersion": str(number)}
        if self.exists(table):
            self._writer(rows, table, "append", options).save(self.location(table))
        else:
            self._create(rows, table, options)

    def replace_where(self, rows: DataFrame, table: Table, predicate: str) -> None:
        """Replace, in one commit, the rows that meet a SQL predicate by the given ones (which must meet it too)."""
        if self.exists(table):
            self._writer(rows, table, "overwrite", {"replaceWhere": predicate}).save(self.location(table))
        else:
            self._create(rows, table, {})

    def delete_where(self, table: Table, predicate: str) -> None:
        """Delete, in one commit, the rows that meet a SQL predicate; none where the table does not exist."""
        if self.exists(table):
            DeltaTable.forPath(self.spark, self.location(table)).delete(predicate)

    def upsert(self, rows: DataFrame, table: Table, keys: tuple[str, ...] | None = None, pruning: str = "") -> None:
        """Insert rows, or update those whose keys are there already, in one commit.

        `pruning` is a literal SQL predicate on the target (alias `t`) that bounds the partitions touched.
        """
        if not self.exists(table):
            self._create(rows, table, {})
            return
        condition = " AND ".join(f"t.`{k}` <=> s.`{k}`" for k in keys or table.keys)
        merge = (
            DeltaTable.forPath(self.spark, self.location(table))
            .alias("t")
            .merge(self.conform(rows, table).alias("s"), f"({pruning}) AND {condition}" if pruning else condition)
        )
        merge.whenMatchedUpdateAll().whenNotMatchedInsertAll().execute()

    def delete_of(self, table: Table, gone: DataFrame, column: str) -> None:
        """Delete the rows, of a table that exists, whose `column` is among the distinct values of `gone`'s only one."""
        target = DeltaTable.forPath(self.spark, self.location(table)).alias("t")
        [name] = gone.columns
        target.merge(gone.alias("s"), f"t.`{column}` = s.`{name}`").whenMatchedDelete().execute()

    def _commits(self, table: Table) -> Iterator[int]:
        """The versions in the log, in no particular order."""
        # A listing of the log instead of DESCRIBE HISTORY, which is a Spark job of a second.
        path, files = self._hadoop_path(table, "_delta_log")
        if files.exists(path):
            for status in files.listStatus(path):
                name = str(status.getPath().getName())
                if name.endswith(".json") and name[:20].isdigit():
                    yield int(name.removesuffix(".json"))

    def _hadoop_path(self, table: Table, below: str = "") -> tuple[JavaObject, JavaObject]:
        """A path in the table's folder, and its file system."""
        jvm = self.spark._jvm
        assert jvm is not None
        path = jvm.org.apache.hadoop.fs.Path(f"{self.location(table)}/{below}")
        return path, path.getFileSystem(self.spark._jsc.hadoopConfiguration())

    def _writer(self, rows: DataFrame, table: Table, mode: str, options: dict[str, str]) -> DataFrameWriter:
        return self.conform(rows, table).write.format("delta").mode(mode).options(**options)

    def _create(self, rows: DataFrame, table: Table, options: dict[str, str]) -> None:
        """The table with its first rows, comments and layout, in one commit: there is never an empty one."""
        described = [F.col(c.name).alias(c.name, metadata={"comment": c.comment}) for c in table.columns]
        # A first write that was cut off leaves files and no table.
        path, files = self._hadoop_path(table)
        verb = "CREATE OR REPLACE" if files.exists(path) else "CREATE"
        clauses = [
            f"{verb} TABLE delta.`{self.location(table).replace('`', '``')}` USING delta",
            f"COMMENT {_quoted(table.comment)}",
            f"TBLPROPERTIES ('delta.deletedFileRetentionDuration' = 'interval {table.retention_days} days', "
            # Delta's own choice are the first 32, and times often come last.
            f"'delta.dataSkippingStatsColumns' = '{','.join(table.skipping_columns)}')",
        ]
        if options:
            clauses.append(f"OPTIONS ({', '.join(f'{name} {_quoted(value)}' for name, value in options.items())})")
        if table.cluster_by:
            clauses.append(f"CLUSTER BY ({', '.join(table.cluster_by)})")
        elif table.partition_by:
            clauses.append(f"PARTITIONED BY ({', '.join(table.partition_by)})")
        # SQL, for no writer both clusters and describes a table. What is in braces is filled in.
        create = " ".join(clauses).replace("{", "{{").replace("}", "}}")
        self.spark.sql(f"{create} AS SELECT * FROM {{rows}}", rows=self.conform(rows, table).select(*described))

    def conform(self, rows: DataFrame, table: Table) -> DataFrame:
        """The declared columns, in order and of the declared types. A missing one is a fault of the caller."""
        return rows.select(*(F.col(c.name).cast(c.type).alias(c.name) for c in table.columns))

    def _empty(self, table: Table) -> DataFrame:
        return frame_of(self.spark, [], table.ddl)


def _quoted(text: str) -> str:
    """As a literal of Spark SQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
