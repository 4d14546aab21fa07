"""Does an encoder tell categories apart: by their names alone, and by the nearest other products?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial

import numpy as np

from encoders.evaluation.naming import named_right, neighbours_agree
from pipelines.evaluation.prototypes import Floats
from pipelines.releases.compare.retrieval import MIN_UNITS
from pipelines.releases.compare.shop import Product, text_hash
from pipelines.releases.compare.task import Case, Lacking, Scores, Task

_POSITIVE, _NEGATIVE = 4, 2


def _zero_shot(case: Case) -> Scores | Lacking:
    products = [p for p in _pictured(case) if case.both_have("query", text_hash(p.category))]
    names = sorted({product.category for product in products})
    if len(products) < MIN_UNITS or len(names) < 2:
        return Lacking(f"{len(products)} products with a picture in {len(names)} categories")
    right = np.array([names.index(product.category) for product in products])
    hits: list[Floats] = []
    for space in case.spaces:
        pictures = space.matrix("product_image", [p.picture_id for p in products]).astype(np.float64)
        texts = space.matrix("query", [text_hash(name) for name in names]).astype(np.float64)
        hits.append(named_right(pictures, texts, right))
    return _scores("products", hits, {"category": [p.category for p in products]}, 1 / len(names))


def _neighbours(case: Case, modality: str) -> Scores | Lacking:
    """Each product once by content: a copy of it would be its nearest neighbour."""
    products = list({p.content(modality): p for p in _described(case, modality)}.values())
    labels = [product.category for product in products]
    if len(products) < MIN_UNITS or len(set(labels)) < 2:
        return Lacking(f"{len(products)} products in {len(set(labels))} categories")
    vectors = [space.matrix(modality, [p.content(modality) for p in products]) for space in case.spaces]
    hits = [neighbours_agree(found.astype(np.float64), labels) for found in vectors]
    return _scores("products", hits, {"category": labels, "language": [p.language for p in products]}, _common(labels))


def _sentiment(case: Case) -> Scores | Lacking:
    rated = [r for r in case.shop.reviews if r.rating is not None and not _NEGATIVE < r.rating < _POSITIVE]
    reviews = [review for review in rated if case.both_have("review", review.content_hash)]
    labels = ["good" if (review.rating or 0) >= _POSITIVE else "bad" for review in reviews]
    if len(reviews) < MIN_UNITS or len(set(labels)) < 2:
        return Lacking(f"{len(reviews)} reviews rated other than 3, {labels.count('bad')} of them bad")
    contents = [review.content_hash for review in reviews]
    hits = [neighbours_agree(space.matrix("review", contents).astype(np.float64), labels) for space in case.spaces]
    slices = {"language": [review.language for review in reviews], "rating": labels}
    return _scores("reviews", hits, slices, _common(labels))


def _pictured(case: Case) -> list[Product]:
    return [p for p in case.shop.products if p.category and case.both_have("product_image", p.picture_id)]


def _described(case: Case, modality: str) -> list[Product]:
    if modality == "product_image":
        return _pictured(case)
    return [p for p in case.shop.products if p.category and case.both_have(modality, text_hash(p.text))]


def _common(labels: Sequence[str]) -> float:
    return Counter(labels).most_common(1)[0][1] / len(labels)


def _scores(unit: str, hits: Sequence[Floats], slices: dict[str, list[str]], chance: float) -> Scores:
    return Scores(unit, "share right", hits[0], hits[1], slices, chance)


_VOTE = "The ten nearest others vote, weighted by likeness. Chance: always the commonest."
ZERO_SHOT = Task(
    "category_zero_shot",
    "Categories by their name",
    "Of the names of all categories the nearest to a product's pictures is right. Nothing is learnt from the shop.",
    _zero_shot,
)
PICTURE_NEIGHBOURS = Task(
    "category_neighbours",
    "Categories by the nearest pictures",
    f"Is a product's category that of its nearest others? {_VOTE}",
    partial(_neighbours, modality="product_image"),
)
TEXT_NEIGHBOURS = Task(
    "category_text_neighbours",
    "Categories by the nearest product texts",
    f"Is a product's category that of its nearest others? The text names it, so this is easy. {_VOTE}",
    partial(_neighbours, modality="product_text"),
)
SENTIMENT = Task(
    "sentiment_neighbours",
    "Good and bad reviews",
    f"Is a review good (4, 5) or bad (1, 2) like its nearest others? {_VOTE}",
    _sentiment,
)
