"""What ingest reports: counts that add up, and what it met on the way."""

from __future__ import annotations

from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.governance.runs import StepReport
from pipelines.sources.deduplication import DUPLICATE, KEPT, QUARANTINED
from pipelines.tables.sources import EVENTS, PRODUCTS

_MEASURES = {KEPT: "kept", DUPLICATE: "duplicates", QUARANTINED: "quarantined"}


def add_outcomes(report: StepReport, source: str, bronze: DataFrame, judged: DataFrame) -> None:
    """rows_in of bronze, and kept, duplicates and quarantined by rule of the judged rows, which must be as many."""
    counts = judged.groupBy("outcome", "rule").count().collect()
    rows_in, rows_out = bronze.count(), sum(row["count"] for row in counts)
    if rows_in != rows_out:
        raise RuntimeError(f"{source}: {rows_in} rows in, but {rows_out} kept, duplicate or quarantined")
    report.add(source, "rows_in", rows_in)
    for measure in ("kept", "duplicates"):
        report.add(source, measure, sum(r["count"] for r in counts if _MEASURES[r.outcome] == measure))
    for row in sorted((r for r in counts if r.outcome == QUARANTINED), key=lambda r: r.rule):
        report.add(source, "quarantined", row["count"], row.rule)


def add_late_events(report: StepReport, store: TableStore, kept: DataFrame, drop_id: str) -> None:
    """Events older than the newest that was there before."""
    if not store.exists(EVENTS):
        return
    newest = store.read(EVENTS).where(F.col("drop_id") != drop_id).agg(F.max("event_timestamp").alias("newest"))
    late = kept.join(F.broadcast(newest), F.col("event_timestamp") < F.col("newest")).count()
    report.add("events", "late", late)


def add_unknown_columns(report: StepReport, bronze: dict[str, DataFrame]) -> None:
    """Columns outside the contract and in how many rows they were; they are kept out of silver."""
    names = (
        rows.where(F.col("unknown_columns").isNotNull()).select(
            F.lit(source).alias("source"), F.explode(F.json_object_keys("unknown_columns")).alias("name")
        )
        for source, rows in bronze.items()
    )
    counts = reduce(DataFrame.union, names).groupBy("source", "name").count()
    for row in counts.orderBy("source", "name").collect():
        report.add(row.source, "unknown_column", row["count"], row["name"])


def add_unknown_products(report: StepReport, store: TableStore, kept: dict[str, DataFrame]) -> None:
    """Rows of products that no table has. They are kept; it is only said."""
    sources = [s for s in ("events", "reviews", "messages") if s in kept]
    if not sources:
        return
    named = (kept[s].select(F.lit(s).alias("source"), "product_id") for s in sources)
    counts = reduce(DataFrame.union, named).groupBy("source", "product_id").count()
    products = store.read(PRODUCTS).select("product_id").distinct()
    unknown = counts.where(F.col("product_id").isNotNull()).join(products, "product_id", "left_anti")
    rows = {r.source: r.total for r in unknown.groupBy("source").agg(F.sum("count").alias("total")).collect()}
    for source in sources:
        report.add(source, "of_unknown_products", rows.get(source, 0))


def add_media(report: StepReport, media: DataFrame) -> None:
    for row in media.groupBy("reason").count().orderBy("reason").collect():
        if row.reason is None:
            report.add("media", "read", row["count"])
        else:
            report.add("media", "failed", row["count"], row.reason)


def add_contents(report: StepReport, contents: DataFrame) -> None:
    for row in contents.groupBy("modality").count().orderBy("modality").collect():
        report.add("product_contents", "kept", row["count"], row.modality)
