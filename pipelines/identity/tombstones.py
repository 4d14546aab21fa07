"""Leaving out whoever was erased."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def without_erased(df: DataFrame, tombstones: DataFrame, column: str = "subject_id") -> DataFrame:
    """The rows whose `column` (a subject key) names nobody in governance.tombstones; null names nobody."""
    erased = tombstones.select(F.col("subject_id").alias("_erased")).distinct()
    return df.join(erased, df[column] == F.col("_erased"), "left_anti")
