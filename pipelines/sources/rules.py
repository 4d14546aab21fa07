"""The rules a row must meet. The first broken one sends it to quarantine; the rows around it are not touched."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from pipelines.sources import contract
from pipelines.sources.bronze import ERASED
from pipelines.tables.sources import SOURCE_COLUMNS

# Every rule with its reason. `conflicting_key` is decided in deduplication.py, the others below.
RULES: dict[str, str] = {
    "erased": "the subject asked to be forgotten; neither key nor content is kept",
    "unreadable_row": "the line could not be parsed: wrong number of fields, broken JSON",
    "missing_key": "without a key a row cannot be told from its repetitions",
    "not_utf8": "bytes that are no UTF-8 (often GBK): the characters are lost and would be encoded as noise",
    "unknown_event_type": "a type outside the contract has no meaning in any feature",
    "bad_channel": "a message channel outside the contract",
    "bad_timestamp": "missing, not ISO 8601, or without offset: the instant is not known",
    "timestamp_in_future": "more than a day after the run's time: a wrong clock would leak into training",
    "timestamp_before_1990": "no shop's data: usually an epoch of zero or a two-digit year",
    "missing_actor": "neither user nor device: belongs to no profile",
    "bad_number": "not a finite number of the column's range",
    "quantity_below_one": "a purchase, return or cart event of no units",
    "negative_price": "prices are zero or more; a discount goes into attributes",
    "bad_currency": "not an active ISO 4217 code",
    "bad_dwell": "negative, or longer than a day: a tab left open, not attention",
    "rating_out_of_range": "ratings are 1 to 5",
    "empty_text": "a required text that holds nothing but spaces and markup",
    "bad_json": "an array or map that is no JSON of that kind",
    "implausible_birth_year": "before 1900 or after the run's year",
    "unknown_purpose": "a consent for a purpose that the contract does not know",
    "unlinked_before_linked": "a link that ends before it starts",
    "conflicting_key": "a known key with other content: the first one stays",
}
_VALUE_LENGTH = 200
_REPLACEMENT = "\ufffd"


@dataclass(frozen=True)
class Check:
    """A rule applied to a column: `broken` is true where the row must go; `value` is what offends."""

    rule: str
    value: Column
    broken: Column


def with_first_broken_rule(rows: DataFrame, source: str, as_of: datetime) -> DataFrame:
    """Typed rows with `rule` and `value`, both NULL where the row is good. `as_of` (aware) is the run's time."""
    checks = checks_of(source, as_of)
    broken = (
        F.when(c.broken, F.struct(F.lit(c.rule).alias("rule"), F.substring(c.value, 1, _VALUE_LENGTH).alias("value")))
        for c in checks
    )
    return rows.withColumn("_broken", F.coalesce(*broken)).select("*", "_broken.rule", "_broken.value").drop("_broken")


def checks_of(source: str, as_of: datetime) -> list[Check]:
    """The checks of a source table, in order."""
    return [*_whole_row(source), *_BY_SOURCE[source](as_of)]


def _whole_row(source: str) -> list[Check]:
    corrupt, nothing = F.col("corrupt_record"), F.lit(None).cast("string")
    keys = [_given(k) for k in contract.KEYS[source]]
    garbled = [F.when(_given(c).contains(_REPLACEMENT), _given(c)) for c in SOURCE_COLUMNS[source]]
    return [
        Check("erased", nothing, corrupt == ERASED),
        Check("unreadable_row", corrupt, corrupt.isNotNull()),
        *(Check("missing_key", nothing, k.isNull()) for k in keys),
        Check("not_utf8", F.coalesce(*garbled), F.coalesce(*garbled).isNotNull()),
    ]


def _events(as_of: datetime) -> list[Check]:
    kind = _given("event_type")
    counted = kind.isin(*contract.QUANTITY_EVENTS)
    dwell = F.col("dwell_seconds")
    return [
        Check("unknown_event_type", kind, F.coalesce(~kind.isin(*contract.EVENT_TYPES), F.lit(True))),
        *_moment("event_timestamp", "event_timestamp", as_of),
        Check("missing_actor", F.lit(None).cast("string"), F.col("subject_id").isNull()),
        *_number("quantity"),
        *_number("price"),
        *_number("dwell_seconds"),
        Check("quantity_below_one", _given("quantity"), counted & (F.col("quantity") < 1)),
        *_money(),
        Check("bad_dwell", _given("dwell_seconds"), (dwell < 0) | (dwell > contract.MAX_DWELL_SECONDS)),
        *_json("attributes"),
    ]


def _products(as_of: datetime) -> list[Check]:
    return [
        *_moment("updated_at", "valid_from", as_of),
        *_number("price"),
        *_money(),
        Check("empty_text", _given("title"), F.col("title").isNull()),
        *_json("attributes"),
        *_json("image_paths"),
        *_json("video_paths"),
    ]


def _users(as_of: datetime) -> list[Check]:
    year, consents = F.col("birth_year"), F.col("consents")
    strange = F.exists(consents, lambda p: p.isNull() | ~p.isin(*contract.CONSENT_PURPOSES))
    return [
        *_moment("updated_at", "valid_from", as_of),
        *_moment("signup_at", "signup_at", as_of, required=False),
        *_number("birth_year"),
        Check("implausible_birth_year", _given("birth_year"), ~year.between(contract.EARLIEST_BIRTH_YEAR, as_of.year)),
        *_json("consents"),
        Check("unknown_purpose", _given("consents"), strange),
    ]


def _reviews(as_of: datetime) -> list[Check]:
    return [
        *_moment("event_timestamp", "event_timestamp", as_of),
        Check("missing_actor", F.lit(None).cast("string"), F.col("user_id").isNull()),
        *_number("rating"),
        Check("rating_out_of_range", _given("rating"), ~F.col("rating").between(1, 5)),
        Check("empty_text", _given("text"), F.col("text").isNull()),
        *_json("image_paths"),
    ]


def _messages(as_of: datetime) -> list[Check]:
    channel = _given("channel")
    return [
        Check("bad_channel", channel, F.coalesce(~channel.isin(*contract.MESSAGE_CHANNELS), F.lit(True))),
        *_moment("event_timestamp", "event_timestamp", as_of),
        Check("missing_actor", F.lit(None).cast("string"), F.col("user_id").isNull()),
        Check("empty_text", _given("text"), F.col("text").isNull()),
    ]


def _identities(as_of: datetime) -> list[Check]:
    end = F.col("unlinked_at")
    return [
        *_moment("linked_at", "linked_at", as_of),
        # An end may be known in advance, so only its form is checked.
        Check("bad_timestamp", _given("unlinked_at"), _given("unlinked_at").isNotNull() & end.isNull()),
        Check("unlinked_before_linked", _given("unlinked_at"), end < F.col("linked_at")),
    ]


_BY_SOURCE = {
    "products": _products,
    "users": _users,
    "events": _events,
    "reviews": _reviews,
    "messages": _messages,
    "identities": _identities,
}


def _given(name: str) -> Column:
    return F.col(f"given.{name}")


def _moment(given: str, column: str, as_of: datetime, *, required: bool = True) -> list[Check]:
    value, at = _given(given), F.col(column)
    unread = at.isNull() if required else value.isNotNull() & at.isNull()
    return [
        Check("bad_timestamp", value, unread),
        Check("timestamp_in_future", value, at > F.lit(as_of + timedelta(days=1))),
        Check("timestamp_before_1990", value, at < F.lit(contract.EARLIEST_TIMESTAMP).cast("timestamp")),
    ]


def _number(name: str) -> list[Check]:
    return [Check("bad_number", _given(name), _given(name).isNotNull() & F.col(name).isNull())]


def _money() -> list[Check]:
    currency = F.col("currency")
    return [
        Check("negative_price", _given("price"), F.col("price") < 0),
        Check("bad_currency", _given("currency"), ~currency.isin(*contract.CURRENCIES)),
    ]


def _json(name: str) -> list[Check]:
    return [Check("bad_json", _given(name), _given(name).isNotNull() & F.col(name).isNull())]
