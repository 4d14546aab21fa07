"""Reading and writing the declared tables. The only place that knows how they are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from delta.tables import DeltaTable
from pyspark.sql import functions as F

from pipelines.frames import frame_of
from pipelines.settings import Settings
from pipelines.tables.schema import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


class TableStore:
    """The tables of one home, through one Spark session."""

    def __init__(self, spark: SparkSession, settings: Settings) -> None:
        self.spark = spark
        self.settings = settings

    def location(self, table: Table) -> str:
        return table.location(self.settings.under_home())

    def exists(self, table: Table) -> bool:
        return DeltaTable.isDeltaTable(self.spark, self.location(table))

    def ensure(self, table: Table) -> DeltaTable:
        """The table, created empty with its declared schema, comments and partitioning where it is not there."""
        if self.exists(table):
            return DeltaTable.forPath(self.spark, self.location(table))
        builder = (
            DeltaTable.createIfNotExists(self.spark)
            .location(self.location(table))
            .addColumns(self._empty(table).schema)
            .comment(table.comment)
            .property("delta.deletedFileRetentionDuration", f"interval {table.retention_days} days")
        )
        if table.cluster_by:
            return builder.clusterBy(*table.cluster_by).execute()
        return builder.partitionedBy(*table.partition_by).execute()

    def read(self, table: Table) -> DataFrame:
        """All rows; an empty frame of the declared schema where the table does not exist yet."""
        if not self.exists(table):
            return self._empty(table)
        return self.spark.read.format("delta").load(self.location(table))

    def version(self, table: Table) -> int | None:
        """The newest Delta version, None where the table does not exist yet."""
        # A listing of the log instead of DESCRIBE HISTORY, which is a Spark job of a second.
        jvm, log = self.spark._jvm, self.location(table) + "/_delta_log"
        assert jvm is not None
        path = jvm.org.apache.hadoop.fs.Path(log)
        files = path.getFileSystem(self.spark._jsc.hadoopConfiguration())
        if not files.exists(path):
            return None
        names = [str(status.getPath().getName()) for status in files.listStatus(path)]
        commits = [int(name.removesuffix(".json")) for name in names if name.endswith(".json") and name[:20].isdigit()]
        return max(commits, default=None)

    def read_version(self, table: Table, version: int) -> DataFrame:
        """All rows as they were at a version: several reads of a job see the same rows."""
        reader = self.spark.read.format("delta").option("versionAsOf", version)
        return reader.load(self.location(table))

    def append_once(self, rows: DataFrame, table: Table, transaction: str) -> None:
        """Append the rows, unless a commit with the same transaction id was made before.

        The id must follow from the content (drop, batch), never from a clock: a repeated step then changes nothing.
        """
        self.ensure(table)
        (
            self.conform(rows, table)
            .write.format("delta")
            .mode("append")
            .option("txnAppId", f"mmfs/{table.layer}/{table.name}/{transaction}")
            .option("txnVersion", 1)
            .save(self.location(table))
        )

    def replace_where(self, rows: DataFrame, table: Table, predicate: str) -> None:
        """Replace, in one commit, the rows that meet a SQL predicate by the given ones (which must meet it too)."""
        self.ensure(table)
        (
            self.conform(rows, table)
            .write.format("delta")
            .mode("overwrite")
            .option("replaceWhere", predicate)
            .save(self.location(table))
        )

    def upsert(self, rows: DataFrame, table: Table, keys: tuple[str, ...] | None = None, pruning: str = "") -> None:
        """Insert rows, or update those whose keys are there already, in one commit.

        `pruning` is a literal SQL predicate on the target (alias `t`) that bounds the partitions touched.
        """
        condition = " AND ".join(f"t.`{k}` <=> s.`{k}`" for k in keys or table.keys)
        merge = (
            self.ensure(table)
            .alias("t")
            .merge(self.conform(rows, table).alias("s"), f"({pruning}) AND {condition}" if pruning else condition)
        )
        merge.whenMatchedUpdateAll().whenNotMatchedInsertAll().execute()

    def conform(self, rows: DataFrame, table: Table) -> DataFrame:
        """The declared columns, in order and of the declared types. A missing one is a fault of the caller."""
        return rows.select(*(F.col(c.name).cast(c.type).alias(c.name) for c in table.columns))

    def _empty(self, table: Table) -> DataFrame:
        return frame_of(self.spark, [], table.ddl)
