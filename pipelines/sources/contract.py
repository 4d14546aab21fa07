"""The contract of the source tables: what a shop may hand in (`SOURCE_COLUMNS` names the columns)."""

from __future__ import annotations

from pipelines.settings import PURPOSES
from pipelines.tables.sources import SOURCE_COLUMNS

SOURCES: tuple[str, ...] = tuple(SOURCE_COLUMNS)

# Columns of which at least one must be there, per requirement.
REQUIRED: dict[str, tuple[tuple[str, ...], ...]] = {
    "products": (("product_id",), ("title",), ("updated_at",)),
    "users": (("user_id",), ("updated_at",)),
    "events": (("event_id",), ("user_id", "device_id"), ("event_type",), ("event_timestamp",)),
    "reviews": (("review_id",), ("user_id",), ("text",), ("event_timestamp",)),
    "messages": (("message_id",), ("user_id",), ("channel",), ("text",), ("event_timestamp",)),
    "identities": (("identifier_type",), ("identifier",), ("user_id",), ("linked_at",)),
}

# What identifies a row, as given.
KEYS: dict[str, tuple[str, ...]] = {
    "products": ("product_id",),
    "users": ("user_id",),
    "events": ("event_id",),
    "reviews": ("review_id",),
    "messages": ("message_id",),
    "identities": ("identifier_type", "identifier", "user_id"),
}

EVENT_TYPES: tuple[str, ...] = (
    "impression", "view", "search", "click", "favorite", "unfavorite", "add_to_cart", "remove_from_cart",
    "purchase", "return", "share", "ad_impression", "ad_click", "coupon_issued", "coupon_redeemed",
    "message_opened", "unsubscribe",
)  # fmt: skip
# Events about a number of units: a quantity below one says nothing that can be counted.
QUANTITY_EVENTS = ("purchase", "return", "add_to_cart")
MESSAGE_CHANNELS = ("question", "answer", "chat", "social", "service")
CONSENT_PURPOSES: tuple[str, ...] = PURPOSES

# ISO 4217, active codes.
CURRENCIES: tuple[str, ...] = (
    "AED", "AFN", "ALL", "AMD", "ANG", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM", "BBD", "BDT", "BGN",
    "BHD", "BIF", "BMD", "BND", "BOB", "BRL", "BSD", "BTN", "BWP", "BYN", "BZD", "CAD", "CDF", "CHF",
    "CLF", "CLP", "CNH", "CNY", "COP", "CRC", "CUP", "CVE", "CZK", "DJF", "DKK", "DOP", "DZD", "EGP",
    "ERN", "ETB", "EUR", "FJD", "FKP", "GBP", "GEL", "GHS", "GIP", "GMD", "GNF", "GTQ", "GYD", "HKD",
    "HNL", "HRK", "HTG", "HUF", "IDR", "ILS", "INR", "IQD", "IRR", "ISK", "JMD", "JOD", "JPY", "KES",
    "KGS", "KHR", "KMF", "KPW", "KRW", "KWD", "KYD", "KZT", "LAK", "LBP", "LKR", "LRD", "LSL", "LYD",
    "MAD", "MDL", "MGA", "MKD", "MMK", "MNT", "MOP", "MRU", "MUR", "MVR", "MWK", "MXN", "MYR", "MZN",
    "NAD", "NGN", "NIO", "NOK", "NPR", "NZD", "OMR", "PAB", "PEN", "PGK", "PHP", "PKR", "PLN", "PYG",
    "QAR", "RON", "RSD", "RUB", "RWF", "SAR", "SBD", "SCR", "SDG", "SEK", "SGD", "SHP", "SLE", "SOS",
    "SRD", "SSP", "STN", "SVC", "SYP", "SZL", "THB", "TJS", "TMT", "TND", "TOP", "TRY", "TTD", "TWD",
    "TZS", "UAH", "UGX", "USD", "UYU", "UZS", "VED", "VES", "VND", "VUV", "WST", "XAF", "XCD", "XOF",
    "XPF", "YER", "ZAR", "ZMW", "ZWG", "ZWL",
)  # fmt: skip

MAX_DWELL_SECONDS = 86_400.0
EARLIEST_BIRTH_YEAR = 1900
EARLIEST_TIMESTAMP = "1990-01-01 00:00:00"
MAX_MEDIA_BYTES = 64 * 1024 * 1024
