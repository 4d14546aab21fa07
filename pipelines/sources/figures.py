"""What ingest reports: counts that add up, and what it met on the way."""

from __future__ import annotations

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


def add_unknown(
    report: StepReport, store: TableStore, kept: dict[str, DataFrame], bronze: dict[str, DataFrame]
) -> None:
    """Columns outside the contract, and rows of products that no table has. They are kept; it is only said."""
    for source, rows in bronze.items():
        names = rows.where(F.col("unknown_columns").isNotNull()).select(
            F.explode(F.json_object_keys("unknown_columns")).alias("name")
        )
        for row in names.groupBy("name").count().orderBy("name").collect():
            report.add(source, "unknown_column", row["count"], row.name)
    products = store.read(PRODUCTS).select("product_id").distinct()
    for source in ("events", "reviews", "messages"):
        if source in kept:
            named = kept[source].where(F.col("product_id").isNotNull()).groupBy("product_id").count()
            unknown = named.join(products, "product_id", "left_anti").agg(F.sum("count").alias("rows")).head()
            report.add(source, "of_unknown_products", (unknown.rows if unknown else 0) or 0)


def add_media(report: StepReport, media: DataFrame) -> None:
    for row in media.groupBy("reason").count().orderBy("reason").collect():
        if row.reason is None:
            report.add("media", "read", row["count"])
        else:
            report.add("media", "failed", row["count"], row.reason)


def add_contents(report: StepReport, contents: DataFrame) -> None:
    for row in contents.groupBy("modality").count().orderBy("modality").collect():
        report.add("product_contents", "kept", row["count"], row.modality)
