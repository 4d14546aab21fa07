"""The point-in-time join: for each (key, moment) the feature row that was known then.

Feast's own Spark join drags every column of every earlier row through the join, tears composite keys and repeats
rows that tie. Here keys and times alone are sorted, and the wide columns are fetched for the winners.

A row is visible at t when event_timestamp ≤ t and created_at ≤ t, that is from greatest(event_timestamp, created_at)
on. Of the visible rows the one with the greatest event_timestamp wins, then the greatest created_at.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

_TIMES = ("event_timestamp", "created_at")


def winners(moments: DataFrame, history: DataFrame, key: str) -> DataFrame:
    """`key, moment, event_timestamp, created_at` of the row known at each moment; moments without one are left out.

    `moments` (key, moment) are distinct, `history` has the key and both times; nothing else of it is read. One sort
    of both together, linear however many moments or rows a key has.
    """
    none = F.lit(None).cast("struct<event_timestamp: timestamp, created_at: timestamp>")
    asked = moments.select(key, F.col("moment").alias("at"), F.lit(1).alias("asks"), none.alias("row"))
    visible = (
        history.join(moments.select(key).distinct(), key, "left_semi")
        .select(
            key,
            F.greatest(*_TIMES).alias("at"),
            F.lit(0).alias("asks"),
            F.struct(*_TIMES).alias("row"),
        )
    )  # fmt: skip
    # At the same instant history comes first: a row is visible at its own moment.
    so_far = Window.partitionBy(key).orderBy("at", "asks").rowsBetween(Window.unboundedPreceding, 0)
    return (
        asked.unionByName(visible)
        .withColumn("known", F.max("row").over(so_far))
        .where("asks = 1 AND known IS NOT NULL")
        .select(key, F.col("at").alias("moment"), "known.event_timestamp", "known.created_at")
    )


def features_at(moments: DataFrame, history: DataFrame, key: str, features: Sequence[str], prefix: str) -> DataFrame:
    """`key, moment` and the features of the row known at each moment, each as `<prefix>__<feature>`.

    One row per moment at most, also where the history holds a row twice.
    """
    chosen = winners(moments, history, key)
    values = history.select(key, *_TIMES, *(F.col(f).alias(f"{prefix}__{f}") for f in features))
    wanted = chosen.select(key, *_TIMES).distinct()
    found = values.join(wanted, [key, *_TIMES], "left_semi").dropDuplicates([key, *_TIMES])
    return chosen.join(found, [key, *_TIMES]).drop(*_TIMES)
