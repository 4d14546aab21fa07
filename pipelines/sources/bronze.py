"""What a drop said, appended once."""

from __future__ import annotations

from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from pipelines.delta import TableStore
from pipelines.identity.subject_keys import DEVICE, USER, subject_key_column
from pipelines.settings import Settings
from pipelines.tables.sources import BRONZE, SOURCE_COLUMNS, TOMBSTONES

# Stands in corrupt_record of a row whose subject was erased; nothing else of the row is kept.
ERASED = "(erased)"


def append_bronze(store: TableStore, source: str, rows: DataFrame, drop_id: str, ingested_at: datetime) -> DataFrame:
    """Append a drop's rows of one source once, and give back what bronze holds of them.

    Rows of erased subjects become empty rows: they are counted, and nothing of them is stored.
    """
    table = BRONZE[source]
    if source != "products" and store.exists(TOMBSTONES):
        rows = blank_erased(rows, source, store.read(TOMBSTONES), store.settings)
    stamped = rows.withColumn("drop_id", F.lit(drop_id)).withColumn("ingested_at", F.lit(ingested_at))
    store.append_once(stamped, table, drop_id)
    return store.read(table).where(F.col("drop_id") == drop_id)


def blank_erased(rows: DataFrame, source: str, tombstones: DataFrame, settings: Settings) -> DataFrame:
    """Bronze rows with every value taken out of those whose subject (or identifier) was erased."""
    erased = tombstones.select(F.col("subject_id").alias("_erased")).distinct()
    for subject in _subjects(source, settings):
        marked = rows.join(erased, subject == F.col("_erased"), "left")
        gone = F.col("_erased").isNotNull()
        blank = {c: F.when(~gone, F.col(c)) for c in (*SOURCE_COLUMNS[source], "unknown_columns")}
        blank["corrupt_record"] = F.when(gone, F.lit(ERASED)).otherwise(F.col("corrupt_record"))
        rows = marked.withColumns(blank).drop("_erased")
    return rows


def _subjects(source: str, settings: Settings) -> list[Column]:
    user = subject_key_column(USER, F.trim("user_id"), settings)
    if source == "events":
        return [F.coalesce(user, subject_key_column(DEVICE, F.trim("device_id"), settings))]
    if source == "identities":
        return [user, subject_key_column(F.trim("identifier_type"), F.trim("identifier"), settings)]
    return [user]
