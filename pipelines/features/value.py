"""user_value: what a user buys and is worth."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from pipelines.features.windows import Measures
from pipelines.tables.definitions import WINDOWS_DAYS

# Least value of each score from the second on.
FREQUENCY_FROM = (2, 4, 8, 16)
MONETARY_FROM = (50, 200, 500, 1000)


def value(measures: Measures) -> dict[str, Column]:
    """The columns of user_value, from a frame of `windowed`. Amounts are in the shop's currency."""
    over = measures.over
    spend, discount = over("spend", 90), over("discount", 90)
    ever = measures.last("last_purchase_at").isNotNull()
    return {
        **{f"orders_{w}d": over("orders", w) for w in WINDOWS_DAYS},
        **{f"spend_{w}d": over("spend", w) for w in WINDOWS_DAYS},
        **{f"average_basket_{w}d": F.try_divide(over("spend", w), over("orders", w)) for w in (30, 90)},
        "discount_share_90d": F.try_divide(discount, spend + discount),
        "coupons_issued_90d": over("coupons_issued", 90),
        "coupons_redeemed_90d": over("coupons_redeemed", 90),
        "coupon_redemption_rate_90d": F.try_divide(over("coupons_redeemed", 90), over("coupons_issued", 90)),
        "returns_90d": over("returns", 90),
        "return_share_90d": F.try_divide(over("returned_value", 90), spend),
        "last_purchase_at": measures.last("last_purchase_at"),
        "recency_score": F.when(ever, _recency(measures)),
        "frequency_score": F.when(ever, _score(over("orders", 90), FREQUENCY_FROM)),
        "monetary_score": F.when(ever, _score(spend, MONETARY_FROM)),
    }


def _recency(measures: Measures) -> Column:
    """5 for a purchase in the shortest window, one less for each longer one, 1 beyond."""
    score = F.lit(1)
    for points, days in zip((2, 3, 4, 5), reversed(WINDOWS_DAYS), strict=True):
        score = F.when(measures.over("purchases", days) > 0, F.lit(points)).otherwise(score)
    return score


def _score(amount: Column, least: tuple[int, ...]) -> Column:
    score = F.lit(1)
    for bound in least:
        score = score + (amount >= bound).cast("int")
    return score
