"""Rows that broke a rule, in the form quarantine keeps them."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipelines.sources.contract import KEYS
from pipelines.sources.deduplication import QUARANTINED

_RECORD_LENGTH = 4_000


def quarantine_rows(judged: DataFrame, source: str) -> DataFrame:
    """The quarantined rows of a judged source table. Of an erased subject's row nothing but the rule is kept."""
    key = F.concat_ws(" | ", *(F.col(f"given.{k}") for k in KEYS[source]))
    record = F.to_json(F.struct("given.*", "unknown_columns", "corrupt_record"))
    erased = F.col("rule") == "erased"
    return judged.where(F.col("outcome") == QUARANTINED).select(
        "drop_id",
        "ingested_at",
        F.lit(source).alias("source_table"),
        F.when(~erased, F.nullif(key, F.lit(""))).alias("row_key"),
        "rule",
        F.when(~erased, F.col("value")).alias("value"),
        F.when(~erased, F.substring(record, 1, _RECORD_LENGTH)).alias("record"),
    )
