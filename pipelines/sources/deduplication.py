"""Which rows of a drop are new: `outcome` is kept, duplicate or quarantined.

An identical repetition of a key, within the drop or against silver, is a duplicate. A known key with other content
is quarantined as `conflicting_key`: the first drop wins, and within a drop the smaller signature, which depends on
the content alone and not on the order of rows.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, MapType

KEPT, DUPLICATE, QUARANTINED = "kept", "duplicate", "quarantined"
CONFLICT = "conflicting_key"


def signature(rows: DataFrame, columns: tuple[str, ...]) -> Column:
    """A 64-bit hash of the columns' values; only ever compared between rows of one key."""

    def text(name: str) -> Column:
        nested = isinstance(rows.schema[name].dataType, ArrayType | MapType)
        return (F.to_json(name) if nested else F.col(name).cast("string")).alias(name)

    # Through JSON, because xxhash64 skips NULLs and so cannot tell which of two columns holds a value.
    return F.xxhash64(F.to_json(F.struct(*(text(c) for c in columns))))


def with_outcome(
    checked: DataFrame, keys: tuple[str, ...], content: tuple[str, ...], known: DataFrame | None
) -> DataFrame:
    """Checked rows (see rules.py) with `outcome`, and `rule` = conflicting_key where that is why.

    `known` has the keys and `known_signature` of silver's rows; None where silver is empty.
    """
    signed = checked.withColumn("signature", signature(checked, content))
    if known is None:
        signed = signed.withColumn("known_signature", F.lit(None).cast("bigint"))
    else:
        signed = signed.join(known, list(keys), "left")
    # A broken row is alone in its group, so that many rows without a key do not meet in one task.
    alone = F.when(F.col("rule").isNotNull(), F.monotonically_increasing_id())
    # The drop's first row of a key; ties in content need no order, they are the same row.
    group = Window.partitionBy(*keys, "alone").orderBy("signature")
    ranked = signed.withColumn("alone", alone)
    ranked = ranked.withColumns({"rank": F.row_number().over(group), "first": F.first("signature").over(group)})
    settled = F.coalesce("known_signature", "first")
    is_first = F.col("known_signature").isNull() & (F.col("rank") == 1)
    outcome = (
        F.when(F.col("rule").isNotNull(), QUARANTINED)
        .when(is_first, KEPT)
        .when(F.col("signature") == settled, DUPLICATE)
        .otherwise(QUARANTINED)
    )
    return with_conflicts(ranked.withColumn("outcome", outcome), keys).drop(
        "alone", "rank", "first", "signature", "known_signature"
    )


def with_conflicts(rows: DataFrame, keys: tuple[str, ...]) -> DataFrame:
    """Name the rule of rows that are quarantined without having broken one: their key is taken."""
    conflict = (F.col("outcome") == QUARANTINED) & F.col("rule").isNull()
    key = F.concat_ws(" | ", *(F.col(k).cast("string") for k in keys))
    return rows.withColumns(
        {
            "value": F.when(conflict, key).otherwise(F.col("value")),
            "rule": F.when(conflict, F.lit(CONFLICT)).otherwise(F.col("rule")),
        }
    )
