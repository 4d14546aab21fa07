"""Every rule by rows that break it and rows that just do not, judged in one Spark job per source table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyspark.sql import functions as F

from pipelines.settings import load_settings
from pipelines.sources.rules import RULES, checks_of, with_first_broken_rule
from pipelines.sources.typed import typed
from pipelines.tables.sources import BRONZE
from tests.sources.shop_rows import AS_OF, GOOD
from tests.table_frame import table_frame

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# (source, the columns that differ from a good row, the rule it breaks or None)
CASES: list[tuple[str, dict[str, str | None], str | None]] = [
    ("events", {}, None),
    ("events", {"corrupt_record": "{bad"}, "unreadable_row"),
    ("events", {"corrupt_record": "(erased)"}, "erased"),
    ("events", {"event_id": "  "}, "missing_key"),
    ("events", {"query": "caf\ufffd"}, "not_utf8"),
    ("events", {"event_type": "purchased"}, "unknown_event_type"),
    ("events", {"event_type": None}, "unknown_event_type"),
    ("events", {"event_timestamp": None}, "bad_timestamp"),
    ("events", {"event_timestamp": "2026-02-01T10:00:00"}, "bad_timestamp"),
    ("events", {"event_timestamp": "2026-02-30T10:00:00Z"}, "bad_timestamp"),
    ("events", {"event_timestamp": "1769911200"}, "bad_timestamp"),
    ("events", {"event_timestamp": "2026-02-01T10:00Z"}, None),
    ("events", {"event_timestamp": "2026-02-01 10:00:00,5+0530"}, None),
    ("events", {"event_timestamp": "2026-06-02T00:00:00Z"}, None),
    ("events", {"event_timestamp": "2026-06-02T00:00:01Z"}, "timestamp_in_future"),
    ("events", {"event_timestamp": "1970-01-01T00:00:00Z"}, "timestamp_before_1990"),
    ("events", {"user_id": None}, "missing_actor"),
    ("events", {"user_id": None, "device_id": "d1"}, None),
    ("events", {"quantity": "two"}, "bad_number"),
    ("events", {"quantity": "1.5"}, "bad_number"),
    ("events", {"quantity": "3000000000"}, "bad_number"),
    ("events", {"quantity": "3.0"}, None),
    ("events", {"quantity": None}, None),
    ("events", {"price": "NaN"}, "bad_number"),
    ("events", {"price": "1,5"}, "bad_number"),
    ("events", {"price": "5d"}, "bad_number"),
    ("events", {"dwell_seconds": "Infinity"}, "bad_number"),
    ("events", {"quantity": "0"}, "quantity_below_one"),
    ("events", {"quantity": "-1", "event_type": "return"}, "quantity_below_one"),
    ("events", {"quantity": "0", "event_type": "view"}, None),
    ("events", {"price": "-0.01"}, "negative_price"),
    ("events", {"price": "0"}, None),
    ("events", {"currency": "RMB"}, "bad_currency"),
    ("events", {"currency": "usd"}, None),
    ("events", {"dwell_seconds": "-1"}, "bad_dwell"),
    ("events", {"dwell_seconds": "86401"}, "bad_dwell"),
    ("events", {"attributes": "discount=1"}, "bad_json"),
    ("events", {"attributes": "[1]"}, "bad_json"),
    ("events", {"attributes": '{"nested": {"a": [1]}}'}, None),
    # The first broken rule wins.
    ("events", {"event_id": None, "price": "-1", "event_type": "x"}, "missing_key"),
    ("products", {}, None),
    ("products", {"product_id": None}, "missing_key"),
    ("products", {"title": " <br> "}, None),
    ("products", {"title": "　"}, "empty_text"),
    ("products", {"price": "-1"}, "negative_price"),
    ("products", {"image_paths": "[broken"}, "bad_json"),
    ("products", {"image_paths": "a.jpg; b.jpg"}, None),
    ("products", {"updated_at": "yesterday"}, "bad_timestamp"),
    ("users", {}, None),
    ("users", {"birth_year": "1899"}, "implausible_birth_year"),
    ("users", {"birth_year": "2027"}, "implausible_birth_year"),
    ("users", {"birth_year": "19xx"}, "bad_number"),
    ("users", {"consents": "marketing"}, "bad_json"),
    ("users", {"consents": '["marketing", "spying"]'}, "unknown_purpose"),
    ("users", {"consents": "[null]"}, "unknown_purpose"),
    ("users", {"consents": "[]"}, None),
    ("users", {"signup_at": "2026-01-01"}, "bad_timestamp"),
    ("reviews", {}, None),
    ("reviews", {"rating": "0"}, "rating_out_of_range"),
    ("reviews", {"rating": "6"}, "rating_out_of_range"),
    ("reviews", {"rating": None}, None),
    ("reviews", {"text": "&lt;br&gt; <p></p>"}, "empty_text"),
    ("reviews", {"user_id": None}, "missing_actor"),
    ("messages", {}, None),
    ("messages", {"channel": "phone"}, "bad_channel"),
    ("messages", {"text": None}, "empty_text"),
    ("identities", {}, None),
    ("identities", {"identifier": None}, "missing_key"),
    ("identities", {"unlinked_at": "2026-01-01T00:00:00Z"}, "unlinked_before_linked"),
    ("identities", {"unlinked_at": "soon"}, "bad_timestamp"),
    ("identities", {"unlinked_at": "2030-01-01T00:00:00Z"}, None),
]


@pytest.mark.parametrize("source", list(GOOD))
def test_rows_break_the_rule_they_should(spark: SparkSession, source: str) -> None:
    cases = [(changes, rule) for s, changes, rule in CASES if s == source]
    rows = [
        {**GOOD[source], "drop_id": str(n), "ingested_at": AS_OF, **changes} for n, (changes, _) in enumerate(cases)
    ]
    bronze = table_frame(spark, BRONZE[source], rows)
    judged = with_first_broken_rule(typed(bronze, source, load_settings(), history=False), source, AS_OF)
    got = {int(r.drop_id): (r.rule, r.value) for r in judged.select("drop_id", "rule", "value").collect()}
    assert {n: got[n][0] for n in got} == {n: rule for n, (_, rule) in enumerate(cases)}
    for n, (changes, rule) in enumerate(cases):
        given = [v for v in changes.values() if v is not None]
        if rule not in (None, "erased", "missing_key", "missing_actor") and len(given) == 1 and given[0].strip():
            assert got[n][1] in (given[0], given[0].strip()), rule


def test_every_rule_has_a_reason_and_a_case() -> None:
    checked = {check.rule for source in GOOD for check in checks_of(source, AS_OF)}
    assert checked | {"conflicting_key"} == set(RULES)
    assert {rule for _, _, rule in CASES if rule} == checked


def test_times_keep_their_instant_and_microseconds(spark: SparkSession) -> None:
    event = {**GOOD["events"], "event_timestamp": "2026-02-01T10:00:00.123456+08:00", "ingested_at": AS_OF}
    bronze = table_frame(spark, BRONZE["events"], [event])
    row = (
        typed(bronze, "events", load_settings(source_delay_seconds=60), history=True)
        .select(
            F.col("event_timestamp").cast("string").alias("at"), F.col("available_at").cast("string").alias("available")
        )
        .head()
    )
    assert row is not None
    assert (row.at, row.available) == ("2026-02-01 02:00:00.123456", "2026-02-01 02:01:00.123456")
