"""user_review_profile: how a user rates and writes."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from pipelines.features.windows import Measures


def review_profile(measures: Measures) -> dict[str, Column]:
    """The columns of user_review_profile, from a frame of `windowed`."""
    over = measures.over
    written = ("reviews", "messages", "service_messages")
    return {
        **{f"{name}_{w}d": over(name, w) for name in written for w in (30, 90)},
        "rating_mean_90d": F.try_divide(over("rating_sum", 90), over("rated_reviews", 90)),
        "negative_review_share_90d": F.try_divide(over("negative_reviews", 90), over("rated_reviews", 90)),
        "last_review_at": measures.last("last_review_at"),
    }
