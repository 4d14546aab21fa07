"""What the features mean: windows, half-lives, event types, weights, purposes. Tables are declared from these."""

from __future__ import annotations

from pipelines.tables.schema import Column

# Windows of the scalar features, in days. They end exactly at a row's event_timestamp.
WINDOWS_DAYS = (1, 7, 30, 90)
# Half-lives of the decayed interests, in days.
HALF_LIVES_DAYS = (7, 30)
TILE_WEIGHTS = tuple(f"weight_{h}d" for h in HALF_LIVES_DAYS)
# Event types that are counted, by the name their columns carry.
COUNTED_EVENTS = {
    "impression": "impressions",
    "view": "views",
    "click": "clicks",
    "search": "searches",
    "favorite": "favorites",
    "add_to_cart": "cart_adds",
    "purchase": "purchases",
    "return": "returns",
    "share": "shares",
    "ad_click": "ad_clicks",
    "coupon_issued": "coupons_issued",
    "coupon_redeemed": "coupons_redeemed",
    "message_opened": "messages_opened",
}
# What one event of a type says of the interest in its product; other types say nothing. Version 1.
INTEREST_WEIGHTS = {
    "view": 1.0,
    "click": 1.0,
    "search": 1.0,
    "favorite": 3.0,
    "share": 3.0,
    "add_to_cart": 4.0,
    "purchase": 8.0,
}
DAYPARTS = {"night": (0, 6), "morning": (6, 12), "afternoon": (12, 18), "evening": (18, 24)}
CHANNELS = ("app", "web", "mini_program", "store")
# Messages in which people say how they like things; in others they ask and arrange. All are judged.
OPINION_CHANNELS = ("answer", "social", "service")
# Windows of what texts say: of a user, of a product.
USER_OPINION_DAYS = (90, 365)
PRODUCT_OPINION_DAYS = (30, 90, 365)
# A trend compares the newest days with those before them: 30 with 90.
TREND_DAYS = (30, 120)
# Half-life of a user's mean sentiment, in days.
SENTIMENT_HALF_LIFE_DAYS = 90
QUOTES = 3
QUOTED_DAYS = 90
RECENT_ACTIONS = 100
LAST_PRODUCTS = 20
MEDOIDS = 3

PERSONAL = ("personalisation", "marketing")
ENCODER_COLUMNS = (
    Column("encoder", "string", "name of the encoder behind the vectors"),
    Column("encoder_version", "string", "its version"),
)
