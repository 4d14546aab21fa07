"""Rows of the small tables, as the shop would hand them in: plain dictionaries in the contract's columns."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

from .catalogue import FAR, Catalogue, Product
from .goods import BRANDS, CATEGORIES, COLOURS, EDITIONS, STYLES
from .people import CONSENTS, REGIONS, People

Row = dict[str, object]
CSV_COLUMNS = {
    "users": (
        "user_id", "signup_at", "birth_year", "gender", "region", "consents", "updated_at", "app_language",
    ),
    "messages": ("message_id", "user_id", "channel", "text", "product_id", "event_timestamp"),
    "identities": ("identifier_type", "identifier", "user_id", "linked_at", "unlinked_at"),
}  # fmt: skip
_CHINA = timezone(timedelta(hours=8))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso(at_us: int, *, local: bool = False) -> str:
    """An instant as ISO 8601 with offset: UTC, or the shop's own +08:00."""
    at = _EPOCH + timedelta(microseconds=int(at_us))
    return (at.astimezone(_CHINA) if local else at).isoformat(timespec="seconds")


def user_id(person: int) -> str:
    return f"u{person + 1:07d}"


def device_id(device: int) -> str:
    return f"d{device + 1:07d}"


def product_rows(catalogue: Catalogue, media: dict[tuple[int, int], tuple[list[str], list[str]]]) -> Iterator[Row]:
    """Every version of every product; `media` maps (product, version) to picture and film paths."""
    for product in catalogue.products:
        yield _product_row(product, product.cents, product.colour, product.launched_us, media[product.index, 0])
    for product in catalogue.products:
        if product.changed_us != FAR:
            yield _product_row(
                product,
                product.later_cents,
                product.later_colour,
                product.changed_us,
                media[product.index, 1],
            )


def _product_row(product: Product, cents: int, colour: int, at_us: int, media: tuple[list[str], list[str]]) -> Row:
    attributes = {"edition": EDITIONS[product.edition].en}
    if not product.twin and product.index % 2:
        attributes |= {"colour": COLOURS[colour].en, "style": STYLES[product.style].en}
    thing, category = product.thing, CATEGORIES[product.category]
    words = f"{thing.zh} | {thing.en}, {category.en}. {EDITIONS[product.edition].zh}，七天无理由退货。"
    return {
        "product_id": product.product_id,
        "title": product.title,
        "description": words if product.index % 5 else None,
        "category": category.en,
        "brand": BRANDS[product.brand].en,
        "price": cents / 100,
        "currency": "CNY",
        "attributes": attributes,
        "image_paths": media[0],
        "video_paths": media[1],
        "updated_at": iso(at_us),
    }


def _unregistered(person: int) -> bool:
    """A few users act and are linked but never reach the users table."""
    return person % 53 == 17


def user_rows(people: People, end_us: int) -> Iterator[Row]:
    """Users, and a second version of those who changed their consents."""
    for person in range(people.accounts):
        signup = int(people.signup_us[person])
        if _unregistered(person) or signup >= end_us:
            continue
        yield _user_row(people, person, int(people.consents[person]), signup)
    for person in range(people.accounts):
        if not _unregistered(person) and 0 < people.consent_us[person] < end_us:
            yield _user_row(people, person, int(people.later_consents[person]), int(people.consent_us[person]))


def _user_row(people: People, person: int, consents: int, at_us: int) -> Row:
    given = [name for bit, name in enumerate(CONSENTS) if consents >> bit & 1]
    return {
        "user_id": user_id(person),
        "signup_at": iso(int(people.signup_us[person]), local=True),
        "birth_year": int(people.birth_year[person]) if person % 7 else "",
        "gender": ("female", "male", "other", "")[int(people.gender[person])],
        "region": REGIONS[int(people.region[person])],
        "consents": "" if consents < 0 else json.dumps(given),
        "updated_at": iso(at_us, local=True),
        "app_language": "en" if people.english[person] else "zh",  # not in the contract: kept out, reported once
    }
