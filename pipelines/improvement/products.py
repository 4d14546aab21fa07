"""What texts say of products as it was known at a moment, worst first; read from the histories without Spark."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import sqrt
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from encoders.heads.prototypes import ASPECTS
from pipelines.errors import NoOpinionsError
from pipelines.governance.home import open_home
from pipelines.improvement.quotes import Quote, quoted
from pipelines.point_in_time.partitions import read_partitions
from pipelines.releases.known_rows import known_rows
from pipelines.releases.pin import default_release
from pipelines.settings import Settings
from pipelines.tables.features import PRODUCT_OPINIONS
from pipelines.tables.sources import PRODUCTS

Row = dict[str, Any]
DAYS = 90
"""What is counted, and quoted; the trend compares the newest 30 days with the 90 before them."""
_Z = 1.645  # of a one-sided bound of 95%


@dataclass(frozen=True)
class AspectOpinions:
    """Texts of 90 days that praise and blame an aspect; `trend` above 0: blamed more of late; None: not known."""

    aspect: str
    praised: int
    blamed: int
    trend: float | None
    complaints: tuple[Quote, ...]
    compliments: tuple[Quote, ...]


@dataclass(frozen=True)
class ProductOpinions:
    """A product's texts of 90 days, most blamed aspects first; `sentiment` -1 to 1, None without a text."""

    product_id: str
    title: str | None
    category: str | None
    texts: int
    displeased: int
    sentiment: float | None
    aspects: tuple[AspectOpinions, ...]

    @property
    def worth_a_look(self) -> float:
        """The least share of displeased texts that its texts leave likely (Wilson's lower bound): one bad word of one
        is no proof."""
        if not self.texts:
            return 0.0
        n, share = self.texts, self.displeased / self.texts
        middle = share + _Z**2 / (2 * n)
        return (middle - _Z * sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))) / (1 + _Z**2 / n)


def opinions_of_product(settings: Settings, product_id: str, as_of: datetime) -> ProductOpinions:
    """What was said of a product, as known at a moment. Raises NoOpinionsError, HomeError."""
    known = _products(settings, as_of)
    if product_id not in known:
        raise NoOpinionsError(f"no product '{product_id}' at {as_of:%Y-%m-%d %H:%M} UTC")
    return _opinions(settings, {product_id: known[product_id]}, as_of)[0]


def opinions_of_category(settings: Settings, category: str, as_of: datetime) -> list[ProductOpinions]:
    """Of the products of a category, or of those below it, that somebody wrote of; worst first.

    Raises NoOpinionsError for a category that no product has, HomeError.
    """
    known = _products(settings, as_of)
    chosen = {key: row for key, row in known.items() if _is_below(row["category"], category)}
    if not chosen:
        there = sorted({row["category"] for row in known.values() if row["category"]})
        raise NoOpinionsError(f"no product in category '{category}'; there are: {', '.join(there[:12]) or 'none'}")
    found = [product for product in _opinions(settings, chosen, as_of) if product.texts]
    return sorted(found, key=lambda product: (-product.worth_a_look, product.product_id))


def _is_below(category: str | None, wanted: str) -> bool:
    return category is not None and (category == wanted or category.startswith((f"{wanted}/", f"{wanted} >")))


def _products(settings: Settings, as_of: datetime) -> dict[str, dict[str, str | None]]:
    """Title and category by product, in the version of a moment."""
    open_home(settings, create=False)
    location = PRODUCTS.location(settings.under_home().rstrip("/"))
    rows = read_partitions(location, ["product_id", "title", "category", "valid_from", "valid_to"])
    at = pa.scalar(as_of, pa.timestamp("us", tz="UTC"))
    over = pc.fill_null(pc.less_equal(rows["valid_to"], at), False)
    rows = rows.filter(pc.and_(pc.less_equal(rows["valid_from"], at), pc.invert(over)))
    return {row["product_id"]: row for row in rows.select(["product_id", "title", "category"]).to_pylist()}


def _opinions(settings: Settings, products: dict[str, dict[str, str | None]], as_of: datetime) -> list[ProductOpinions]:
    release = default_release(settings)
    if release.heads is None:
        raise NoOpinionsError(
            f"release {release.name} has no heads, so nothing was judged; give it some: "
            "mmfs releases promote heads:bundled:e5-small --force --reason …"
        )
    columns = [column.name for column in PRODUCT_OPINIONS.feature_columns]
    rows = known_rows(settings, release, PRODUCT_OPINIONS, sorted(products), as_of, columns)
    places = [place for row in rows for aspect in ASPECTS for place in _places(row, aspect)]
    quotes = quoted(settings, places)
    return [_product(row, products[row["product_id"]], quotes) for row in rows]


def _product(row: Row, product: dict[str, str | None], quotes: dict[str, Quote]) -> ProductOpinions:
    texts = row[f"texts_judged_{DAYS}d"] or 0
    aspects = [_aspect(row, aspect, quotes) for aspect in ASPECTS]
    said = [aspect for aspect in aspects if aspect.praised or aspect.blamed]
    return ProductOpinions(
        row["product_id"],
        product["title"],
        product["category"],
        texts,
        round(texts * (row[f"negative_share_{DAYS}d"] or 0)),
        row[f"sentiment_mean_{DAYS}d"],
        tuple(sorted(said, key=lambda aspect: (-aspect.blamed, aspect.praised))),
    )


def _aspect(row: Row, aspect: str, quotes: dict[str, Quote]) -> AspectOpinions:
    blamed, praised = (
        tuple(quotes[place] for place in row[f"{aspect}_{side}_quotes"] or () if place in quotes)
        for side in ("blamed", "praised")
    )
    return AspectOpinions(
        aspect,
        row[f"{aspect}_praised_{DAYS}d"] or 0,
        row[f"{aspect}_blamed_{DAYS}d"] or 0,
        row[f"{aspect}_blamed_trend"],
        blamed,
        praised,
    )


def _places(row: Row, aspect: str) -> list[str]:
    return [place for side in ("blamed", "praised") for place in row[f"{aspect}_{side}_quotes"] or ()]
