"""The feature histories that Feast reads."""

from __future__ import annotations

from dataclasses import replace

from encoders.heads.prototypes import ASPECTS
from pipelines.tables.definitions import (
    CHANNELS,
    COUNTED_EVENTS,
    DAYPARTS,
    ENCODER_COLUMNS,
    HALF_LIVES_DAYS,
    LAST_PRODUCTS,
    MEDOIDS,
    PERSONAL,
    PRODUCT_OPINION_DAYS,
    QUOTED_DAYS,
    QUOTES,
    RECENT_ACTIONS,
    SENTIMENT_HALF_LIFE_DAYS,
    USER_OPINION_DAYS,
    WINDOWS_DAYS,
)
from pipelines.tables.schema import TIMES, Column, Table

_USER = Column("user_id", "string", "subject key of the user, or of the anonymous device, the profile is of")
_PURPOSE = Column("purpose", "string", "only events allowed for this purpose at their moment count")
_PRODUCT = Column("product_id", "string", "product")


def _history(name: str, comment: str, columns: tuple[Column, ...], depends_on: str | None = None) -> Table:
    encoder = ENCODER_COLUMNS if depends_on else ()
    return Table(
        name=name,
        layer="features",
        comment=comment
        + " One row per user and day on which a value changes, at the day's end (UTC); a stream adds rows within the day.",
        columns=(_USER, _PURPOSE, *encoder, *columns, *TIMES),
        keys=("user_id", "purpose", *(c.name for c in encoder), "event_timestamp", "created_at"),
        partition_by=("purpose", *(c.name for c in encoder)),
        purposes=PERSONAL if depends_on in (None, "opinions") else ("personalisation",),
        depends_on=depends_on,
        entity="user",
    )


def _windows(name: str, type_: str, comment: str, windows: tuple[int, ...] = WINDOWS_DAYS) -> tuple[Column, ...]:
    return tuple(Column(f"{name}_{w}d", type_, f"{comment} in the {w} days before event_timestamp") for w in windows)


USER_ACTIVITY = _history(
    "user_activity",
    "What a user does, when and where.",
    (
        *(c for event, n in COUNTED_EVENTS.items() for c in _windows(n, "bigint", f"events of type {event}")),
        *_windows("sessions", "bigint", "sum over days of distinct sessions"),
        *_windows("active_days", "bigint", "days with an event"),
        *_windows("dwell_seconds", "double", "seconds spent", (7, 30)),
        *(Column(f"{p}_share_30d", "double", f"share of 30 days' events in [{a}:00, {b}:00) UTC; null without events")
          for p, (a, b) in DAYPARTS.items()),
        Column("weekend_share_30d", "double", "share of 30 days' events on Saturday or Sunday UTC; null without events"),
        *(Column(f"{c}_share_30d", "double", f"share of 30 days' events in channel {c}; null without events")
          for c in CHANNELS),
        Column("first_event_at", "timestamp", "first act ever, UTC"),
        Column("last_event_at", "timestamp", "newest act, UTC; its age is computed on read"),
    ),
)  # fmt: skip

USER_VALUE = _history(
    "user_value",
    "What a user buys and is worth.",
    (
        *_windows("orders", "bigint", "orders"),
        *_windows("spend", "double", "sum of quantity x price of purchases, in the shop's currency"),
        *_windows("average_basket", "double", "spend per order, null without an order", (30, 90)),
        Column("discount_share_90d", "double", "discounts / (spend + discounts) in 90 days; null without a purchase"),
        Column("coupons_issued_90d", "bigint", "coupons issued in 90 days"),
        Column("coupons_redeemed_90d", "bigint", "coupons redeemed in 90 days"),
        Column("coupon_redemption_rate_90d", "double", "redeemed / issued in 90 days; null where none was issued"),
        Column("returns_90d", "bigint", "returns in 90 days"),
        Column("return_share_90d", "double", "returned value / spend in 90 days; null without spend"),
        Column("last_purchase_at", "timestamp", "newest purchase, UTC; its age is computed on read"),
        Column("recency_score", "int", "5: a purchase in 1 day, 4: in 7, 3: in 30, 2: in 90, 1: longer ago; null: none ever"),
        Column("frequency_score", "int", "orders in 90 days: 1: 0-1, 2: 2-3, 3: 4-7, 4: 8-15, 5: 16 and more; null: no purchase ever"),
        Column("monetary_score", "int", "spend in 90 days: 1: < 50, 2: < 200, 3: < 500, 4: < 1000, 5: from 1000; null: no purchase ever"),
    ),
)  # fmt: skip

USER_RECENT_PRODUCTS = _history(
    "user_recent_products",
    "What a user looked at and bought last.",
    (
        Column("last_product_ids", "array<string>", f"products of the newest {LAST_PRODUCTS} product actions, newest first"),
        Column("last_purchased_product_ids", "array<string>", f"products of the newest purchases among {RECENT_ACTIONS} actions, newest first, at most {LAST_PRODUCTS}"),
    ),
)  # fmt: skip

USER_REVIEW_PROFILE = _history(
    "user_review_profile",
    "How a user rates and writes.",
    (
        *_windows("reviews", "bigint", "reviews written", (30, 90)),
        Column("rating_mean_90d", "double", "mean rating in 90 days; null without one"),
        Column(
            "negative_review_share_90d",
            "double",
            "share of reviews rated 1 or 2 in 90 days; null without one",
        ),
        *_windows("messages", "bigint", "messages written", (30, 90)),
        *_windows("service_messages", "bigint", "messages to customer service", (30, 90)),
        Column("last_review_at", "timestamp", "newest review, UTC"),
    ),
)


_SIDES = {"praised": "praise", "blamed": "blame"}


def _opinion_counts(windows: tuple[int, ...]) -> tuple[Column, ...]:
    return (
        *_windows("texts_judged", "bigint", "reviews and messages with an opinion on goods, judged by the heads,", windows),
        *_windows("negative_share", "double", "share of them that are displeased, null without one,", windows),
        *(c for aspect in ASPECTS for side, verb in _SIDES.items()
          for c in _windows(f"{aspect}_{side}", "bigint", f"texts that {verb} {aspect}", windows)),
    )  # fmt: skip


USER_OPINIONS = _history(
    "user_opinions",
    "What a user's reviews and messages say: how pleased, what is praised and blamed.",
    (
        *_opinion_counts(USER_OPINION_DAYS),
        Column("sentiment_mean", "double", f"decayed mean of the texts' sentiment, half-life {SENTIMENT_HALF_LIFE_DAYS} days, -1 displeased to 1 pleased; null without one"),
        *(Column(f"aspects_{side}", "array<string>", f"aspects that the texts of {max(USER_OPINION_DAYS)} days {verb}, most often first")
          for side, verb in _SIDES.items()),
        Column("last_negative_at", "timestamp", "newest displeased text, UTC"),
    ),
    depends_on="opinions",
)  # fmt: skip


def _interest(name: str, comment: str, depends_on: str = "clip", extra: tuple[Column, ...] = ()) -> Table:
    means = tuple(
        column
        for h in HALF_LIVES_DAYS
        for column in (
            Column(f"mean_{h}d", "array<float>", f"decayed weighted mean of unit vectors, half-life {h} days; null where nothing was seen"),
            Column(f"weight_{h}d", "double", f"sum of decayed weights at event_timestamp, half-life {h} days"),
        )
    )  # fmt: skip
    return _history(name, comment, (*means, *extra), depends_on)


USER_VISUAL_INTEREST = _interest(
    "user_visual_interest",
    "What a user's taste looks like, from product pictures.",
    extra=(
        Column("medoid_product_ids", "array<string>", f"up to {MEDOIDS} products that stand for the user's interests, heaviest first"),
        Column("medoid_weights", "array<float>", "share of the recent actions' weight nearest to each medoid"),
    ),
)  # fmt: skip
USER_VIDEO_INTEREST = _interest("user_video_interest", "What a user watches, from product videos' frames.")
USER_TEXT_INTEREST = _interest("user_text_interest", "What a user's products are called, from product text.")
USER_SEARCH_INTENT = _interest("user_search_intent", "What a user searches for, in the space of the pictures.")
USER_REVIEW_INTEREST = _interest(
    "user_review_interest", "What a user writes about, from reviews and messages.", "review"
)

USER_FUSED = _history(
    "user_fused",
    "One vector of all modalities.",
    (
        Column("vector", "array<float>", "fused vector, unit length; null where no modality was observed"),
        Column("modalities_observed", "array<string>", "modalities that had a value; the others count as missing"),
    ),
    depends_on="fused",
)

USER_CONSENT = Table(
    name="user_consent",
    layer="features",
    comment="What a user or device allows now, so that serving can obey it. One row per change seen by a materialisation.",
    columns=(
        _USER,
        Column("purposes", "array<string>", "sorted purposes allowed, defaults included"),
        *TIMES,
    ),
    keys=("user_id", "event_timestamp", "created_at"),
    entity="user",
)

USER_TAGS = replace(
    _history(
        "user_tags",
        "What is said of a user in words.",
        (
            Column("tags", "array<string>", "ids of the tags that hold, surest first; a preference for a value is <tag>:<value>"),
            Column("confidences", "array<float>", "how sure each is, 0 to 1, calibrated where its definition is"),
            Column("evidence", "array<string>", "why, as JSON, one text per tag (docs/tags.md)"),
        ),
        depends_on="tags",
    ),
    comment="What is said of a user in words. Rows at the last day's end of each run, for users with something new or "
    "expired; of a load of history at the end of every week as well.",
    purposes=PERSONAL,
)  # fmt: skip

PRODUCT_ACTIVITY = Table(
    name="product_activity",
    comment="How a product does. One row per product and day on which a value changes, at the day's end (UTC).",
    columns=(
        _PRODUCT,
        *_windows("views", "bigint", "views and clicks", (7, 30)),
        *_windows("cart_adds", "bigint", "added to carts", (7, 30)),
        *_windows("purchases", "bigint", "purchases", (7, 30)),
        *_windows("units", "bigint", "units bought", (7, 30)),
        *_windows("returns", "bigint", "returns", (30,)),
        *_windows("reviews", "bigint", "reviews", (90,)),
        Column("rating_mean_90d", "double", "mean rating in 90 days; null without one"),
        Column("price", "double", "list price in force, in its currency; null while unknown"),
        *TIMES,
    ),
    keys=("product_id", "event_timestamp", "created_at"),
    layer="features",
    entity="product",
)

PRODUCT_OPINIONS = Table(
    name="product_opinions",
    comment="What reviews and messages say of a product. One row per product and day on which a value changes, at the day's end (UTC).",
    columns=(
        _PRODUCT,
        *ENCODER_COLUMNS,
        *_opinion_counts(PRODUCT_OPINION_DAYS),
        *_windows("sentiment_mean", "double", "mean sentiment of the texts, -1 displeased to 1 pleased, null without one,", PRODUCT_OPINION_DAYS),
        *(Column(f"{aspect}_blamed_trend", "double", f"share of the texts that blame {aspect} in 30 days, less that of the 90 days before: above 0 it gets worse; null without texts in both")
          for aspect in ASPECTS),
        *(Column(f"{aspect}_{side}_quotes", "array<string>", f"where texts of {QUOTED_DAYS} days {verb} {aspect}, surest first, at most {QUOTES}: review or message id, #, first character, -, end")
          for aspect in ASPECTS for side, verb in _SIDES.items()),
        *TIMES,
    ),
    keys=("product_id", "encoder", "encoder_version", "event_timestamp", "created_at"),
    partition_by=("encoder", "encoder_version"),
    depends_on="opinions",
    layer="features",
    entity="product",
)  # fmt: skip

PRODUCT_VECTORS = Table(
    name="product_vectors",
    comment="A product's vectors. One row per product version, at its start.",
    columns=(
        _PRODUCT,
        *ENCODER_COLUMNS,
        Column("image_vector", "array<float>", "mean of its pictures' vectors, unit length; null without one"),
        Column("video_vector", "array<float>", "mean of its videos' vectors, unit length; null without one"),
        Column(
            "text_vector",
            "array<float>",
            "vector of title, brand and category, unit length; null without one",
        ),
        *TIMES,
    ),
    keys=("product_id", "encoder", "encoder_version", "event_timestamp", "created_at"),
    partition_by=("encoder", "encoder_version"),
    depends_on="clip",
    layer="features",
    entity="product",
)

PRODUCT_TAGS = Table(
    name="product_tags",
    comment="What a product is about, in the words of the tag catalogue. One row per product version, at its start.",
    columns=(
        _PRODUCT,
        *ENCODER_COLUMNS,
        Column("tags", "array<string>", "<facet>:<value>, or a topic's id"),
        Column("shares", "array<float>", "how much it is about each, 0 to 1"),
        *TIMES,
    ),
    keys=("product_id", "encoder", "encoder_version", "event_timestamp", "created_at"),
    partition_by=("encoder", "encoder_version"),
    depends_on="tags",
    layer="features",
    entity="product",
)

TAG_CHANGES = Table(
    name="tag_changes",
    layer="features",
    comment="A feed for those who act on tags: one row per tag that a user got or lost, appended by each run.",
    columns=(
        _USER,
        _PURPOSE,
        *ENCODER_COLUMNS,
        Column("tag", "string", "id of the tag"),
        Column("change", "string", "entered or left"),
        Column("confidence", "float", "how sure the tag is now; null where it left"),
        Column("confidence_before", "float", "how sure it was before; null where it entered"),
        *TIMES,
    ),
    keys=("user_id", "purpose", "encoder", "encoder_version", "tag", "event_timestamp", "created_at"),
    partition_by=("purpose", "encoder", "encoder_version"),
    entity="user",
)

HISTORIES = (
    USER_ACTIVITY, USER_VALUE, USER_RECENT_PRODUCTS, USER_REVIEW_PROFILE, USER_VISUAL_INTEREST, USER_VIDEO_INTEREST,
    USER_TEXT_INTEREST, USER_SEARCH_INTENT, USER_REVIEW_INTEREST, USER_OPINIONS, USER_FUSED, PRODUCT_ACTIVITY,
    PRODUCT_OPINIONS, PRODUCT_VECTORS, PRODUCT_TAGS, USER_TAGS,
)  # fmt: skip
