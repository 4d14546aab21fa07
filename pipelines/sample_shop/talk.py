"""Reviews and messages: rows of what people say about what they looked at, bought and sent back."""

from collections.abc import Iterator

import numpy as np

from .catalogue import DAY, HOUR, Catalogue
from .events import KIND, Events
from .people import People
from .tables import Row, iso, user_id
from .texts import contact, message_text, review_rating, review_text


def spoken(events: Events, people: People, rng: np.random.Generator) -> Events:
    """The events that somebody known may talk about: purchases, returns, some views and shares."""
    share = np.zeros(len(KIND))
    for kind, part in (("purchase", 1.0), ("return", 1.0), ("share", 0.3), ("view", 0.03)):
        share[KIND[kind]] = part
    said = (events.product >= 0) & (events.person < people.accounts) & events.known(people)
    return events.rows(said & (rng.random(len(events)) < share[events.kind]))


def _language(people: People, person: int, rng: np.random.Generator) -> int:
    return int(people.english[person]) if rng.random() > 0.05 else 1 - int(people.english[person])


def review_rows(
    occasions: Events, people: People, catalogue: Catalogue, pictures: dict[int, str], end_us: int,
    rng: np.random.Generator, first_number: int,
) -> Iterator[tuple[Row, Row]]:  # fmt: skip
    """Reviews of a third of the purchases and of a few products that were only looked at, each with its truth.

    `pictures` maps a product to a picture that a reviewer may show.
    """
    chance = np.where(occasions.kind == KIND["purchase"], 0.33, np.where(occasions.kind == KIND["view"], 0.05, 0.0))
    number = first_number
    for place in np.flatnonzero(rng.random(len(occasions)) < chance).tolist():
        person, product = int(occasions.person[place]), int(occasions.product[place])
        at = int(occasions.at[place]) + int(rng.integers(2 * DAY, 15 * DAY))
        if at >= end_us:
            continue
        language = _language(people, person, rng)
        rating = review_rating(catalogue, product, float(people.harshness[person]), rng)
        said = review_text(catalogue, product, rating, language, rng)
        number += 1
        unlisted = rng.random() < 0.01
        row: Row = {
            "review_id": f"r{number:08d}",
            "user_id": user_id(person),
            "product_id": f"p9{product:04d}x" if unlisted else catalogue.products[product].product_id,
            "rating": rating,
            "title": said.title if number % 3 else None,
            "text": said.text,
            "language": "en" if language else "zh",
            "image_paths": [pictures[product]] if rng.random() < 0.15 else [],
            "event_timestamp": iso(at),
        }
        truth: Row = {
            "review_id": row["review_id"],
            "product_id": catalogue.products[product].product_id,
            "sentiment": said.sentiment,
            "leaning": said.leaning,
            "praised": list(said.praised),
            "blamed": list(said.blamed),
        }
        yield row, truth


_KINDS = {
    "view": ("question", 0.35),
    "purchase": ("chat", 0.18),
    "return": ("service", 0.8),
    "share": ("social", 0.9),
}
# What the phrases of a channel sound like.
_MOODS = {"question": "neutral", "answer": "neutral", "chat": "neutral", "service": "negative", "social": "positive"}


def message_rows(
    occasions: Events,
    people: People,
    catalogue: Catalogue,
    end_us: int,
    rng: np.random.Generator,
    first_number: int,
) -> Iterator[tuple[Row, Row]]:
    """Questions before buying, answers by buyers, chats, social posts, complaints about returns; with their truth."""
    number = first_number
    for kind, (channel, chance) in _KINDS.items():
        for place in np.flatnonzero(occasions.kind == KIND[kind]).tolist():
            if kind == "purchase" and rng.random() < 0.15:
                channel_now = "answer"
            elif rng.random() < chance:
                channel_now = channel
            else:
                continue
            at = int(occasions.at[place]) + int(rng.integers(60_000_000, 20 * HOUR))
            if at >= end_us:
                continue
            person, product = int(occasions.person[place]), catalogue.products[int(occasions.product[place])]
            text = message_text(channel_now, product, _language(people, person, rng), rng)
            left_contact = channel_now in ("chat", "service") and rng.random() < 0.15
            if left_contact:
                text += " " + contact(rng)
            number += 1
            row: Row = {
                "message_id": f"m{number:08d}",
                "user_id": user_id(person),
                "channel": channel_now,
                "text": text,
                "product_id": product.product_id if channel_now != "chat" else "",
                "event_timestamp": iso(at, local=True),
            }
            truth: Row = {
                "message_id": row["message_id"],
                "product_id": product.product_id,
                "sentiment": _MOODS[channel_now],
                "contact_in_text": left_contact,
            }
            yield row, truth
