"""Similarities of one user, as known at one moment, with many products. Numpy alone.

A cosine per interest, the interest medoid that a product is nearest to (after PinnerSage, Pal et al., KDD 2020), and
how the products of the user's last actions spread over the cosine with the product: a histogram of fixed tiers, which
ranking models take in better than the mean (SimTier in Sheng et al., "Enhancing Taobao Display Advertising with
Multimodal Representations", CIKM 2024). Pictures stand for medoids and last products.

What is not known is NaN, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pipelines.tables.definitions import HALF_LIVES_DAYS
from pipelines.tables.features import (
    PRODUCT_VECTORS,
    USER_RECENT_PRODUCTS,
    USER_SEARCH_INTENT,
    USER_TEXT_INTEREST,
    USER_VIDEO_INTEREST,
    USER_VISUAL_INTEREST,
)

# To be raised whenever a value changes its meaning.
VERSION = 1
PICTURE = "image_vector"
PRODUCT_COLUMNS = (PICTURE, "video_vector", "text_vector")
TIERS = 10
TIER_EDGES = np.linspace(-1.0, 1.0, TIERS + 1)
HISTOGRAM = "last_products_histogram"
_BEST, _BEST_WEIGHT, _NEAREST = "best_medoid_cosine", "best_medoid_weight", "last_products_max_cosine"

Vectors = npt.NDArray[np.float32]
Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interest:
    """A vector of the user's that is compared with one of a product's. Tables and columns by their names."""

    name: str
    table: str
    column: str
    product_column: str


def _interests() -> tuple[Interest, ...]:
    compared = (
        ("picture", USER_VISUAL_INTEREST.name, PICTURE),
        ("video", USER_VIDEO_INTEREST.name, "video_vector"),
        ("text", USER_TEXT_INTEREST.name, "text_vector"),
        # Queries, pictures and product texts are in one space.
        ("search_picture", USER_SEARCH_INTENT.name, PICTURE),
        ("search_text", USER_SEARCH_INTENT.name, "text_vector"),
    )
    return tuple(
        Interest(f"{name}_{days}d_cosine", table, f"mean_{days}d", column)
        for name, table, column in compared
        for days in HALF_LIVES_DAYS
    )


INTERESTS = _interests()
NAMES = (*(i.name for i in INTERESTS), _BEST, _BEST_WEIGHT, _NEAREST)
# What is read of a user: vectors, products that stand for vectors, and the medoids' weights.
MEDOID_IDS = (USER_VISUAL_INTEREST.name, "medoid_product_ids")
MEDOID_WEIGHTS = (USER_VISUAL_INTEREST.name, "medoid_weights")
LAST_IDS = (USER_RECENT_PRODUCTS.name, "last_product_ids")
USER_COLUMNS = tuple(dict.fromkeys([*((i.table, i.column) for i in INTERESTS), MEDOID_IDS, MEDOID_WEIGHTS, LAST_IDS]))
PRODUCT_TABLE = PRODUCT_VECTORS.name


def _none() -> Vectors:
    return np.zeros((0, 0), np.float32)


@dataclass(frozen=True)
class Taste:
    """What is known of a user at a moment; what is missing, is not.

    Attributes:
        interests: vector float32 (d,) by table and column.
        medoids: pictures of the medoids, float32 (m, d), NaN rows for those without; weights: float32 (m,).
        last: pictures of the last products, newest first, float32 (h, d), the same.
    """

    interests: Mapping[tuple[str, str], Vectors]
    medoids: Vectors = field(default_factory=_none)
    weights: Vectors = field(default_factory=lambda: np.zeros(0, np.float32))
    last: Vectors = field(default_factory=_none)


@dataclass(frozen=True)
class Similarities:
    """Of n products: `values` float64 (n, NAMES), `histogram` float32 (n, TIERS), the last products per tier."""

    values: Values
    histogram: Vectors

    @classmethod
    def unknown(cls, count: int) -> Similarities:
        """Of products of which nothing can be told."""
        return cls(np.full((count, len(NAMES)), np.nan), np.full((count, TIERS), np.nan, np.float32))


def similarities(taste: Taste, products: Mapping[str, Vectors], count: int) -> Similarities:
    """Of `count` products whose vectors are given by column of `product_vectors`.

    They are float32 (count, d), of unit length (`unit`), NaN for none; the taste's may be of any length.
    """
    found = Similarities.unknown(count)
    for column, vectors in products.items():
        if vectors.shape[1]:
            _compare(found, taste, column, vectors)
    return found


def _compare(found: Similarities, taste: Taste, column: str, vectors: Vectors) -> None:
    """Fill in what is made of one of the products' vectors."""
    wanted = [
        (place, vector)
        for place, interest in enumerate(INTERESTS)
        if interest.product_column == column
        and (vector := taste.interests.get((interest.table, interest.column))) is not None
    ]
    pictured = column == PICTURE
    medoids, last = (_known(some) if pictured else np.zeros(0, bool) for some in (taste.medoids, taste.last))
    others = [
        *(vector for _, vector in wanted),
        *(taste.medoids[medoids] if medoids.any() else ()),
        *(taste.last[last] if last.any() else ()),
    ]
    if not others:
        return
    # All at once: going through the products' vectors is most of the work.
    cosines = vectors @ unit(np.stack(others)).T
    found.values[:, [place for place, _ in wanted]] = cosines[:, : len(wanted)]
    first_last = len(wanted) + int(medoids.sum())
    if medoids.any():
        _compare_medoids(found, cosines[:, len(wanted) : first_last], taste.weights[medoids])
    if last.any():
        _compare_last(found, cosines[:, first_last:])


def unit(vectors: Vectors) -> Vectors:
    """Rows of unit length, (n, d); NaN where a row has no length."""
    lengths: Vectors = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float32))
    lengths[lengths == 0] = np.nan
    return vectors / lengths[:, None]


def _compare_medoids(found: Similarities, cosines: Vectors, weights: Vectors) -> None:
    nearest = cosines.argmax(axis=1)
    found.values[:, NAMES.index(_BEST)] = cosines[np.arange(len(cosines)), nearest]
    found.values[:, NAMES.index(_BEST_WEIGHT)] = np.where(np.isnan(cosines[:, 0]), np.nan, weights[nearest])


def _compare_last(found: Similarities, cosines: Vectors) -> None:
    found.values[:, NAMES.index(_NEAREST)] = cosines.max(axis=1)
    count = len(cosines)
    pictured = ~np.isnan(cosines[:, 0])
    # Rounded, or which tier a cosine of exactly 0 falls into would hang on how many products are asked for at once.
    heights = np.round((np.where(pictured[:, None], cosines, 0.0) + 1) * (TIERS / 2), 4)
    tiers = np.clip(np.floor(heights).astype(np.int64), 0, TIERS - 1)
    places = np.arange(count)[:, None] * TIERS + tiers
    told = np.bincount(places.reshape(-1), minlength=count * TIERS).reshape(count, TIERS)
    found.histogram[pictured] = told[pictured]


def _known(vectors: Vectors) -> npt.NDArray[np.bool_]:
    if not vectors.shape[1]:
        return np.zeros(len(vectors), bool)
    known: npt.NDArray[np.bool_] = np.logical_not(np.isnan(vectors).any(axis=1))
    return known
