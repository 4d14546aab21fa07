"""Bronze rows with, beside what was `given`, the typed columns that silver keeps. One function per source table.

Nothing is judged here: a value that cannot be read is NULL, and `rules.py` compares it with what was given.
"""

from __future__ import annotations

from collections.abc import Callable

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from pipelines.identity.subject_keys import DEVICE, USER, subject_key_column
from pipelines.settings import Settings
from pipelines.sources import values
from pipelines.sources.texts import content_hash, review_content, scrubbed
from pipelines.tables.sources import SOURCE_COLUMNS

Columns = dict[str, Column]


def typed(bronze: DataFrame, source: str, settings: Settings, history: bool) -> DataFrame:
    """Bronze's own columns, its values as struct `given`, and silver's columns.

    available_at: in a load of history the row's own time plus the source's delay, else the ingestion.
    """
    own = F.struct(*(values.given(F.col(c)).alias(c) for c in SOURCE_COLUMNS[source]))
    rows = bronze.select(own.alias("given"), "drop_id", "ingested_at", "unknown_columns", "corrupt_record")
    columns, moment = _TYPED[source](settings)
    delay = F.expr(f"INTERVAL {settings.source_delay_seconds} SECONDS")
    available = F.col(moment) + delay if history else F.col("ingested_at")
    return rows.withColumns(columns).withColumns({**_derived(source), "available_at": available})


def _derived(source: str) -> Columns:
    """Columns that follow from typed ones."""
    if source == "events":
        return {"event_date": F.to_date("event_timestamp")}
    if source == "reviews":
        return {"content_hash": content_hash(review_content(F.col("title"), F.col("text")))}
    return {"content_hash": content_hash(F.col("text"))} if source == "messages" else {}


def _given(name: str) -> Column:
    return F.col(f"given.{name}")


def _user(settings: Settings) -> Column:
    return subject_key_column(USER, _given("user_id"), settings)


def _as_given(*names: str) -> Columns:
    return {name: _given(name) for name in names}


def _products(_: Settings) -> tuple[Columns, str]:
    return {
        **_as_given("product_id", "title", "description", "category", "brand"),
        "price": values.amount(_given("price")),
        "currency": values.code(_given("currency")),
        "attributes": values.json_map(_given("attributes")),
        "image_paths": values.path_list(_given("image_paths")),
        "video_paths": values.path_list(_given("video_paths")),
        "valid_from": values.instant(_given("updated_at")),
    }, "valid_from"


def _users(settings: Settings) -> tuple[Columns, str]:
    return {
        "user_id": _user(settings),
        "signup_at": values.instant(_given("signup_at")),
        "birth_year": values.whole_number(_given("birth_year")),
        **_as_given("gender", "region"),
        "consents": F.array_sort(F.array_distinct(values.json_list(_given("consents")))),
        "valid_from": values.instant(_given("updated_at")),
    }, "valid_from"


def _events(settings: Settings) -> tuple[Columns, str]:
    device = subject_key_column(DEVICE, _given("device_id"), settings)
    return {
        **_as_given("event_id", "event_type", "product_id", "channel", "session_id", "campaign_id"),
        "subject_id": F.coalesce(_user(settings), device),
        "event_timestamp": values.instant(_given("event_timestamp")),
        "query": scrubbed(_given("query")),
        "quantity": values.whole_number(_given("quantity")),
        "price": values.amount(_given("price")),
        "currency": values.code(_given("currency")),
        "dwell_seconds": values.real(_given("dwell_seconds")),
        "attributes": values.json_map(_given("attributes")),
    }, "event_timestamp"


def _reviews(settings: Settings) -> tuple[Columns, str]:
    return {
        **_as_given("review_id", "product_id", "language"),
        "user_id": _user(settings),
        "rating": values.whole_number(_given("rating")),
        "title": scrubbed(_given("title")),
        "text": scrubbed(_given("text")),
        "image_paths": values.path_list(_given("image_paths")),
        "event_timestamp": values.instant(_given("event_timestamp")),
    }, "event_timestamp"


def _messages(settings: Settings) -> tuple[Columns, str]:
    return {
        **_as_given("message_id", "channel", "product_id"),
        "user_id": _user(settings),
        "text": scrubbed(_given("text")),
        "event_timestamp": values.instant(_given("event_timestamp")),
    }, "event_timestamp"


def _identities(settings: Settings) -> tuple[Columns, str]:
    return {
        **_as_given("identifier_type"),
        "identifier": subject_key_column(_given("identifier_type"), _given("identifier"), settings),
        "user_id": _user(settings),
        "linked_at": values.instant(_given("linked_at")),
        "unlinked_at": values.instant(_given("unlinked_at")),
    }, "linked_at"


_TYPED: dict[str, Callable[[Settings], tuple[Columns, str]]] = {
    "products": _products,
    "users": _users,
    "events": _events,
    "reviews": _reviews,
    "messages": _messages,
    "identities": _identities,
}
