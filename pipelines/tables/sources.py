"""Bronze, silver and quarantine: what drops said, and what of it holds."""

from __future__ import annotations

from pipelines.tables.schema import AVAILABLE_AT, DROP_ID, INGESTED_AT, Column, Table

SOURCE_COLUMNS: dict[str, tuple[str, ...]] = {
    "products": (
        "product_id", "title", "description", "category", "brand", "price", "currency", "attributes",
        "image_paths", "video_paths", "updated_at",
    ),
    "users": ("user_id", "signup_at", "birth_year", "gender", "region", "consents", "updated_at"),
    "events": (
        "event_id", "user_id", "device_id", "event_type", "event_timestamp", "product_id", "query", "quantity",
        "price", "currency", "channel", "session_id", "dwell_seconds", "campaign_id", "attributes",
    ),
    "reviews": (
        "review_id", "user_id", "product_id", "rating", "title", "text", "language", "image_paths", "event_timestamp",
    ),
    "messages": ("message_id", "user_id", "channel", "text", "product_id", "event_timestamp"),
    "identities": ("identifier_type", "identifier", "user_id", "linked_at", "unlinked_at"),
}  # fmt: skip


def _bronze(source: str) -> Table:
    return Table(
        name=source,
        layer="bronze",
        comment=f"Rows of the source table {source} as the drops gave them, append-only.",
        columns=(
            DROP_ID,
            INGESTED_AT,
            Column("source_file", "string", "file of the drop, relative to it"),
            *(Column(c, "string", "as given, in text form") for c in SOURCE_COLUMNS[source]),
            Column("unknown_columns", "string", "columns outside the contract, as a JSON object, or null"),
            Column("corrupt_record", "string", "the raw line where it could not be parsed, else null"),
        ),
        keys=(),
        partition_by=("drop_id",),
    )


BRONZE = {source: _bronze(source) for source in SOURCE_COLUMNS}

QUARANTINE = Table(
    name="quarantine",
    layer="silver",
    comment="Rows that broke a rule, with the rule and the offending value; the row itself stays in bronze.",
    columns=(
        DROP_ID,
        INGESTED_AT,
        Column("source_table", "string", "source table"),
        Column("row_key", "string", "key of the row as given, null where it has none"),
        Column("rule", "string", "name of the first rule the row broke"),
        Column("value", "string", "the offending value, cut at 200 characters"),
        Column("record", "string", "the row as JSON, cut at 4,000 characters"),
    ),
    keys=(),
    partition_by=("drop_id",),
)

_PROVENANCE = (AVAILABLE_AT, DROP_ID)
_SUBJECT = Column("subject_id", "string", "subject key of who acted: the user, else the anonymous device")
_USER = Column("user_id", "string", "subject key of the user")
_VALID_FROM = Column("valid_from", "timestamp", "UTC start of the version, inclusive")
_VALID_TO = Column("valid_to", "timestamp", "UTC end of the version, exclusive; null for the newest")
_EVENT_TIME = Column("event_timestamp", "timestamp", "UTC instant of the act")

EVENTS = Table(
    name="events",
    layer="silver",
    comment="Behaviour, one row per event, deduplicated by event_id.",
    columns=(
        Column("event_id", "string", "key given by the shop"),
        _SUBJECT,
        Column("event_type", "string", "one of the contract's types"),
        _EVENT_TIME,
        Column("event_date", "date", "UTC date of event_timestamp"),
        Column("product_id", "string", "product, which need not be known"),
        Column("query", "string", "search text, direct identifiers scrubbed"),
        Column("quantity", "int", "units"),
        Column("price", "decimal(18,4)", "per unit, in currency"),
        Column("currency", "string", "ISO 4217 code"),
        Column("channel", "string", "where it happened: app, web, mini_program, store, …"),
        Column("session_id", "string", "the shop's session or basket"),
        Column("dwell_seconds", "double", "seconds spent"),
        Column("campaign_id", "string", "campaign"),
        Column("attributes", "map<string,string>", "further facts as given"),
        *_PROVENANCE,
    ),
    keys=("event_id",),
    cluster_by=("event_date",),
)

PRODUCTS = Table(
    name="products",
    layer="silver",
    comment="Every version of every product.",
    columns=(
        Column("product_id", "string", "key given by the shop"),
        Column("title", "string", "title in any language"),
        Column("description", "string", "description"),
        Column("category", "string", "category path as given"),
        Column("brand", "string", "brand"),
        Column("price", "decimal(18,4)", "list price"),
        Column("currency", "string", "ISO 4217 code"),
        Column("attributes", "map<string,string>", "further facts as given"),
        Column("image_paths", "array<string>", "pictures in order"),
        Column("video_paths", "array<string>", "videos in order"),
        _VALID_FROM,
        _VALID_TO,
        *_PROVENANCE,
    ),
    keys=("product_id", "valid_from"),
)

USERS = Table(
    name="users",
    layer="silver",
    comment="Every version of what a user has told the shop.",
    columns=(
        _USER,
        Column("signup_at", "timestamp", "UTC"),
        Column("birth_year", "int", "as given"),
        Column("gender", "string", "as given"),
        Column("region", "string", "as given"),
        _VALID_FROM,
        _VALID_TO,
        *_PROVENANCE,
    ),
    keys=("user_id", "valid_from"),
)

CONSENTS = Table(
    name="consents",
    layer="silver",
    comment="What a user allowed, per purpose and time. No row: nothing is known and the default holds.",
    columns=(
        _USER,
        Column("purpose", "string", "personalisation, marketing or research"),
        Column("granted", "boolean", "whether the purpose was allowed"),
        _VALID_FROM,
        _VALID_TO,
        *_PROVENANCE,
    ),
    keys=("user_id", "purpose", "valid_from"),
)

REVIEWS = Table(
    name="reviews",
    layer="silver",
    comment="Product reviews, deduplicated by review_id, text normalised and scrubbed.",
    columns=(
        Column("review_id", "string", "key given by the shop"),
        _USER,
        Column("product_id", "string", "product, which need not be known"),
        Column("rating", "int", "1 to 5"),
        Column("title", "string", "title"),
        Column("text", "string", "normalised text, direct identifiers scrubbed"),
        Column("language", "string", "BCP 47 as given"),
        Column("image_paths", "array<string>", "pictures in order"),
        Column("content_hash", "string", "SHA-256 of title and text: their id in embeddings"),
        _EVENT_TIME,
        *_PROVENANCE,
    ),
    keys=("review_id",),
)

MESSAGES = Table(
    name="messages",
    layer="silver",
    comment="Questions, answers, chats, social and service messages, deduplicated by message_id, scrubbed.",
    columns=(
        Column("message_id", "string", "key given by the shop"),
        _USER,
        Column("channel", "string", "question, answer, chat, social or service"),
        Column("text", "string", "normalised text, direct identifiers scrubbed"),
        Column("product_id", "string", "product, which need not be known"),
        Column("content_hash", "string", "SHA-256 of the text: its id in embeddings"),
        _EVENT_TIME,
        *_PROVENANCE,
    ),
    keys=("message_id",),
)

IDENTITIES = Table(
    name="identities",
    layer="silver",
    comment="Which identifiers belonged to which user, and when.",
    columns=(
        Column("identifier_type", "string", "device, phone_hash, email_hash, social, loyalty_card, …"),
        Column("identifier", "string", "subject key of the identifier (a device's is the subject that acts)"),
        _USER,
        Column("linked_at", "timestamp", "UTC start of the link, inclusive"),
        Column("unlinked_at", "timestamp", "UTC end of the link, exclusive; null while it holds"),
        *_PROVENANCE,
    ),
    keys=("identifier_type", "identifier", "user_id", "linked_at"),
)

MEDIA = Table(
    name="media",
    layer="silver",
    comment="Media files that product versions name: the hash of their bytes, or why there is none.",
    columns=(
        Column("media_path", "string", "absolute path or URI from which workers read the bytes"),
        Column("given_path", "string", "path as the product names it"),
        Column("content_hash", "string", "SHA-256 of the bytes, null where they could not be read"),
        Column("bytes", "bigint", "size"),
        Column(
            "reason",
            "string",
            "why there is no hash: missing, empty, too_large, not_allowed, unreadable; else null",
        ),
        DROP_ID,
    ),
    keys=("drop_id", "given_path"),
)

PRODUCT_CONTENTS = Table(
    name="product_contents",
    layer="silver",
    comment="The content of each product version by modality: an id that is the hash of its ordered members.",
    columns=(
        Column("product_id", "string", "product"),
        _VALID_FROM,
        Column("modality", "string", "product_image, product_video or product_text"),
        Column("content_id", "string", "SHA-256 of the ordered member hashes; for text, of the text itself"),
        Column("members", "array<string>", "content hashes of the pictures or videos in order; empty for text"),
        Column("text", "string", "normalised title, brand and category path; null for media"),
        *_PROVENANCE,
    ),
    keys=("product_id", "valid_from", "modality"),
)

TOMBSTONES = Table(
    name="tombstones",
    layer="governance",
    comment="Subjects that were erased; every write to silver and features leaves them out.",
    columns=(
        Column("subject_id", "string", "subject key, or the identifier's"),
        Column("erased_at", "timestamp", "UTC"),
        Column("reason", "string", "who asked and why"),
    ),
    keys=("subject_id",),
)
