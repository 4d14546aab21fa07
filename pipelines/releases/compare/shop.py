"""What a home's silver tables have to compare encoders by: products, searches, reviews. Read without Spark."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.point_in_time.published import Published
from pipelines.sources.media_places import media_places
from pipelines.tables.sources import EVENTS, PRODUCT_CONTENTS, PRODUCTS, REVIEWS

# What a click after a search may be. An impression says what was shown, not what was wanted.
CHOSEN = ("click", "favorite", "add_to_cart", "purchase")
# Texts of one person alone stay out: a query that nobody else would type can name somebody.
MIN_SEARCHES = 2
_HAN, _LATIN = re.compile(r"[\u3400-\u9fff]"), re.compile(r"[A-Za-z]")


@dataclass(frozen=True)
class Product:
    """The newest version of a product; `pictures` are content hashes in order."""

    product_id: str
    title: str
    category: str
    language: str
    text: str
    pictures: tuple[str, ...]

    @property
    def picture_id(self) -> str:
        """The content id of its pictures together, as in tiles."""
        return content_id(self.pictures)

    def content(self, modality: str) -> str:
        """The content id of its pictures together (`product_image`), else of its text."""
        return self.picture_id if modality == "product_image" else text_hash(self.text)


@dataclass(frozen=True)
class Search:
    """A query that several searches were made with, and how often each product was chosen after it."""

    query: str
    language: str
    chosen: Mapping[str, int]


@dataclass(frozen=True)
class Review:
    """A review of a known product."""

    text: str
    language: str
    rating: int | None
    product_id: str
    content_hash: str


@dataclass(frozen=True)
class Shop:
    """`picture_sets` maps the content id of any product version's pictures to their hashes, `places` a picture's
    hash to where its bytes lie."""

    products: tuple[Product, ...]
    searches: tuple[Search, ...]
    reviews: tuple[Review, ...]
    picture_sets: Mapping[str, tuple[str, ...]]
    places: Mapping[str, tuple[str, ...]]


def read_shop(published: Published) -> Shop:
    """Raises TableNotFoundError where nothing was ingested."""
    contents = _newest(published)
    versions = published.rows(PRODUCTS, ["product_id", "title", "category", "valid_from"]).to_pylist()
    titles = {row["product_id"]: row for row in sorted(versions, key=lambda row: row["valid_from"])}
    products = tuple(
        Product(
            product_id=key,
            title=titles[key]["title"],
            category=(titles[key]["category"] or "").split("/")[0].strip(),
            language=language_of(titles[key]["title"]),
            text=contents[key, "product_text"]["text"],
            pictures=tuple((contents.get((key, "product_image")) or {"members": ()})["members"]),
        )
        for key in sorted(titles)
        if titles[key]["title"] and (key, "product_text") in contents
    )
    known = {product.product_id for product in products}
    return Shop(
        products,
        _searches(published, known),
        _reviews(published, known),
        _picture_sets(published),
        media_places(published),
    )


def content_id(members: Iterable[str]) -> str:
    """As `sources/product_contents.py` hashes the ordered members."""
    return hashlib.sha256(",".join(members).encode()).hexdigest()


def text_hash(text: str) -> str:
    """As `sources/texts.py` hashes a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def language_of(text: str) -> str:
    """ "zh" where there is Chinese writing, "en" where there is Latin alone, else "other"; "zh+en" for both."""
    found = [name for name, letters in (("zh", _HAN), ("en", _LATIN)) if letters.search(text)]
    return "+".join(found) or "other"


def _newest(published: Published) -> dict[tuple[str, str], dict[str, Any]]:
    """The newest content by product and modality."""
    rows = published.rows(PRODUCT_CONTENTS, ["product_id", "modality", "valid_from", "members", "text"])
    ordered = sorted(rows.to_pylist(), key=lambda row: row["valid_from"])
    return {(row["product_id"], row["modality"]): row for row in ordered}


def _picture_sets(published: Published) -> dict[str, tuple[str, ...]]:
    contents = published.rows(PRODUCT_CONTENTS, ["modality", "members"])
    pictured = contents.filter(pc.equal(contents["modality"], "product_image"))
    return {content_id(members): tuple(members) for members in pictured["members"].to_pylist() if members}


def _searches(published: Published, known: set[str]) -> tuple[Search, ...]:
    """Of each query the products that were chosen in the same session before the next search."""
    columns = ["subject_id", "session_id", "event_type", "event_timestamp", "event_id", "query", "product_id"]
    rows = published.rows(EVENTS, columns)
    of_session = rows.filter(
        pc.and_(pc.is_valid(rows["session_id"]), pc.is_in(rows["event_type"], pa.array(["search", *CHOSEN])))
    )
    order = [("subject_id", "ascending"), ("session_id", "ascending"), ("event_timestamp", "ascending")]
    asked: Counter[str] = Counter()
    chosen: dict[str, Counter[str]] = defaultdict(Counter)
    session, query = None, None
    for row in of_session.sort_by([*order, ("event_id", "ascending")]).to_pylist():
        if session != (row["subject_id"], row["session_id"]):
            session, query = (row["subject_id"], row["session_id"]), None
        if row["event_type"] == "search":
            query = (row["query"] or "").strip() or None
            asked.update([query] if query else [])
        elif query and row["product_id"] in known:
            chosen[query][row["product_id"]] += 1
    return tuple(
        Search(query, language_of(query), dict(chosen[query]))
        for query in sorted(chosen)
        if asked[query] >= MIN_SEARCHES
    )


def _reviews(published: Published, known: set[str]) -> tuple[Review, ...]:
    if not published.exists(REVIEWS):
        return ()
    columns = ["review_id", "product_id", "title", "text", "language", "rating", "content_hash"]
    rows = published.rows(REVIEWS, columns).sort_by("review_id").to_pylist()
    found: dict[str, Review] = {}
    for row in rows:
        if row["content_hash"] and row["product_id"] in known:
            text = " ".join(part for part in (row["title"], row["text"]) if part is not None)
            language = (row["language"] or language_of(text)).split("-")[0].lower()
            found[row["content_hash"]] = Review(text, language, row["rating"], row["product_id"], row["content_hash"])
    return tuple(found.values())
