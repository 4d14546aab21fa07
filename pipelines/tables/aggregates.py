"""What histories are made from: vectors by content, tiles and daily sums by subject. Not read by Feast."""

from __future__ import annotations

from encoders.heads.prototypes import ASPECTS
from pipelines.tables.definitions import CHANNELS, COUNTED_EVENTS, DAYPARTS, ENCODER_COLUMNS, HALF_LIVES_DAYS
from pipelines.tables.schema import AVAILABLE_AT, DROP_ID, Column, Table

_SUBJECT = Column("subject_id", "string", "subject key of who acted")
_PURPOSES = Column("allowed_purposes", "array<string>", "sorted purposes the events were allowed for at their moment")
_DAY = Column("day", "date", "UTC day of the events")

EMBEDDINGS = Table(
    name="embeddings",
    layer="features",
    comment="One row per content, modality, encoder and version: the vector, or the reason why there is none.",
    columns=(
        Column("content_hash", "string", "id of the content (see product_contents, reviews, messages, queries)"),
        Column(
            "modality",
            "string",
            "image, video, product_image, product_video, product_text, query, review (also messages) or clause",
        ),
        *ENCODER_COLUMNS,
        Column("status", "string", "ok or failed"),
        Column("reason", "string", "why there is no vector; null where there is one"),
        Column("vector", "binary", "float32 little-endian, L2-normalised; null where failed"),
        Column("dimensions", "int", "length of the vector"),
        Column("details", "map<string,string>", "e.g. the seconds of the frames used, members without a vector"),
        Column("created_at", "timestamp", "UTC time of the run that encoded it"),
    ),
    keys=("content_hash", "modality", "encoder", "encoder_version"),
    partition_by=("encoder", "encoder_version", "modality"),
)

TEXT_JUDGEMENTS = Table(
    name="text_judgements",
    layer="features",
    comment="What the heads of a release say of each text of reviews and messages that has a vector.",
    columns=(
        Column("content_hash", "string", "id of the text, as in reviews, messages and embeddings"),
        *ENCODER_COLUMNS,
        Column("label", "string", "positive, negative, mixed (clearly both) or neutral (clearly neither)"),
        Column("sentiment", "double", "-1 (displeased) to 1 (pleased): twice the probability of pleased, less one"),
        Column("confidence", "double", "0.5 to 1: the probability of the side that sentiment is on"),
        Column("language", "string", "zh, en (any Latin script) or other, by its letters"),
        Column(
            "opinions",
            "array<struct<aspect:string,polarity:int,confidence:double,quote:string,start:int,end:int>>",
            f"aspects ({', '.join(ASPECTS)}) praised (polarity 1) or blamed (-1), the clause that says so, and where it "
            "stands: characters of the text, of a review of title, space and text",
        ),
        Column("created_at", "timestamp", "UTC time of the run that judged it"),
    ),
    keys=("content_hash", "encoder", "encoder_version"),
    partition_by=("encoder", "encoder_version"),
    depends_on="opinions",
)

USER_TILES = Table(
    name="user_tiles",
    layer="features",
    comment="Per subject, day and content: counts and one weight sum per half-life, decayed to the day's end.",
    columns=(
        _SUBJECT,
        _DAY,
        Column("modality", "string", "product_image, product_video, product_text, query or review"),
        Column("content_id", "string", "content, joins embeddings.content_hash"),
        _PURPOSES,
        DROP_ID,
        Column("actions", "bigint", "events counted"),
        *(
            Column(
                f"weight_{h}d",
                "double",
                f"sum of interest weights decayed to the day's end, half-life {h} days",
            )
            for h in HALF_LIVES_DAYS
        ),
        Column("first_version_used", "boolean", "an event was older than the product's first version"),
        AVAILABLE_AT,
    ),
    keys=("subject_id", "day", "modality", "content_id", "allowed_purposes", "drop_id"),
    cluster_by=("day",),
)

_DAILY_SUMS = (
    *(Column(c, "bigint", f"events of type {e}") for e, c in COUNTED_EVENTS.items()),
    Column("events", "bigint", "events of any type"),
    Column("sessions", "bigint", "distinct sessions with an event that day"),
    Column("active_days", "bigint", "1: the subject did something that day"),
    Column("dwell_seconds", "double", "seconds spent"),
    *(Column(f"{p}_events", "bigint", f"events in [{a}:00, {b}:00) UTC") for p, (a, b) in DAYPARTS.items()),
    Column("weekend_events", "bigint", "events on Saturday or Sunday, UTC"),
    *(Column(f"{c}_events", "bigint", f"events in channel {c}") for c in CHANNELS),
    Column(
        "orders",
        "bigint",
        "distinct sessions with a purchase that day; a purchase without session is one order",
    ),
    Column("spend", "double", "sum of quantity x price of purchases, in the shop's currency"),
    Column("discount", "double", "sum of the purchases' discounts, as positive amounts"),
    Column("returned_value", "double", "sum of quantity x price of returns"),
    Column("reviews", "bigint", "reviews written"),
    Column("rating_sum", "double", "sum of their ratings"),
    Column("rated_reviews", "bigint", "reviews with a rating"),
    Column("negative_reviews", "bigint", "reviews rated 1 or 2"),
    Column("messages", "bigint", "messages of any channel"),
    Column("service_messages", "bigint", "messages to customer service"),
)
DAILY_SUM_NAMES = tuple(c.name for c in _DAILY_SUMS)

USER_DAILY = Table(
    name="user_daily",
    layer="features",
    comment="Additive scalars per subject and day: what the windows are summed from.",
    columns=(
        _SUBJECT,
        _DAY,
        _PURPOSES,
        DROP_ID,
        *_DAILY_SUMS,
        Column("first_event_at", "timestamp", "first act of the day, UTC"),
        Column("last_event_at", "timestamp", "last act of the day, UTC"),
        Column("last_purchase_at", "timestamp", "last purchase of the day, UTC"),
        Column("last_review_at", "timestamp", "last review of the day, UTC"),
        AVAILABLE_AT,
    ),
    keys=("subject_id", "day", "allowed_purposes", "drop_id"),
    cluster_by=("day",),
)
