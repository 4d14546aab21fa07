"""Daily sums: what one day of one subject adds up to."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.features.daily import add_up, event_sums, message_sums, review_sums
from pipelines.frames import frame_of
from pipelines.settings import load_settings

_EVENT = (
    "event_id string, drop_id string, event_type string, event_timestamp timestamp, quantity int, "
    "price decimal(18,4), currency string, channel string, session_id string, dwell_seconds double, "
    "attributes map<string,string>, available_at timestamp"
)
_TEXT = "drop_id string, rating int, channel string, event_timestamp timestamp, available_at timestamp"


def moment(hour: int, minute: int = 0) -> datetime:
    # A Saturday.
    return datetime(2024, 3, 2, hour, minute, tzinfo=UTC)


def known(frame: DataFrame) -> DataFrame:
    return frame.withColumns(
        {
            "subject_id": F.lit("u1"),
            "day": F.to_date("event_timestamp"),
            "allowed_purposes": F.array(F.lit("personalisation")),
        }
    )


def event(key: str, drop: str, kind: str, at: datetime, **more: Any) -> tuple[Any, ...]:
    names = ("quantity", "price", "currency", "channel", "session_id", "dwell_seconds", "attributes")
    return (key, drop, kind, at, *(more.get(n) for n in names), at)


def test_a_day_adds_up_with_late_pieces_of_sessions_foreign_money_and_dirty_discounts(spark: SparkSession) -> None:
    from decimal import Decimal

    discounts = {"discount": "-1.5", "coupon_disc": "0.5", "retail_disc": "n/a"}
    events = [
        event("e1", "a", "view", moment(9), session_id="s", channel="app", dwell_seconds=2.5),
        event("e2", "a", "purchase", moment(11), session_id="s", quantity=2, price=Decimal(3), attributes=discounts),
        # The late piece holds the session's beginning, and so its count.
        event("e0", "b", "view", moment(1), session_id="s"),
        event("e3", "b", "purchase", moment(12), session_id="s", quantity=1, price=Decimal(10), currency="EUR"),
        event("e4", "b", "purchase", moment(13), price=Decimal(4), currency="USD"),
        event("e5", "b", "return", moment(23, 59), quantity=1, price=Decimal(4)),
    ]
    reviews = [("b", 2, None, moment(14), moment(14)), ("b", None, None, moment(15), moment(15))]
    messages = [("b", None, "service", moment(16), moment(20))]
    daily = add_up(
        event_sums(known(frame_of(spark, events, _EVENT)), load_settings(currency="USD")),
        review_sums(known(frame_of(spark, reviews, _TEXT))),
        message_sums(known(frame_of(spark, messages, _TEXT))),
    )
    rows = {row.drop_id: row for row in daily.collect()}
    assert set(rows) == {"a", "b"}
    first, late = rows["a"], rows["b"]
    assert (first.sessions, late.sessions) == (0, 1)
    assert (first.orders, late.orders) == (1, 1)
    assert (first.spend, late.spend) == (6.0, 4.0)
    assert (first.discount, late.discount) == (2.0, 0.0)
    assert (late.returned_value, late.returns) == (4.0, 1)
    assert (first.events, late.events, first.weekend_events) == (2, 4, 2)
    assert (first.morning_events, late.night_events, late.evening_events) == (2, 1, 1)
    assert (first.app_events, first.dwell_seconds) == (1, 2.5)
    assert (late.reviews, late.rated_reviews, late.rating_sum, late.negative_reviews) == (2, 1, 2.0, 1)
    assert (late.messages, late.service_messages) == (1, 1)
    assert (first.active_days, late.active_days) == (1, 1)
