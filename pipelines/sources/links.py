"""Identity links of a drop against those known: a link may be closed later by the same key with its end."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from pipelines.sources.deduplication import DUPLICATE, KEPT, QUARANTINED, with_conflicts
from pipelines.tables.sources import IDENTITIES


def with_link_outcome(checked: DataFrame, existing: DataFrame | None) -> DataFrame:
    """Checked identity rows with `outcome`.

    A row that gives a known open link its end is kept, as an update. One that repeats a link, or says less about it
    (no end where one is known), is a duplicate. Another end than the known one is a conflict. So a link and its end
    may come in any order.
    """
    keys = list(IDENTITIES.keys)
    if existing is None:
        known = checked.withColumns({"known": F.lit(False), "known_end": F.lit(None).cast("timestamp")})
    else:
        links = existing.select(*keys, F.lit(True).alias("known"), F.col("unlinked_at").alias("known_end"))
        known = checked.join(links, keys, "left").withColumn("known", F.coalesce("known", F.lit(False)))
    alone = F.when(F.col("rule").isNotNull(), F.monotonically_increasing_id())
    group = Window.partitionBy(*keys, "alone").orderBy(F.col("unlinked_at").asc_nulls_last())
    end = F.col("unlinked_at")
    ranked = known.withColumn("alone", alone).withColumns(
        {"rank": F.row_number().over(group), "first_end": F.first("unlinked_at").over(group)}
    )
    is_new = ~F.col("known") | (F.col("known_end").isNull() & end.isNotNull())
    outcome = (
        F.when(F.col("rule").isNotNull(), QUARANTINED)
        .when((F.col("rank") == 1) & is_new, KEPT)
        .when(end.isNull() | (end == F.coalesce("known_end", "first_end")), DUPLICATE)
        .otherwise(QUARANTINED)
    )
    judged = with_conflicts(ranked.withColumn("outcome", outcome), IDENTITIES.keys)
    return judged.drop("alone", "rank", "first_end", "known", "known_end")


def identity_changes(kept: DataFrame, existing: DataFrame) -> DataFrame:
    """Rows to upsert. A link keeps when its beginning could be known; its drop is the last that changed it."""
    before = existing.select(*IDENTITIES.keys, F.col("available_at").alias("known_at"))
    joined = kept.join(before, list(IDENTITIES.keys), "left")
    return joined.withColumn("available_at", F.least("available_at", "known_at"))
