"""Does a text find the product it is about? Each encoder ranks all products for each text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from encoders.evaluation.ranking import Bools, recalls, reciprocal_rank_by_chance, reciprocal_ranks
from pipelines.evaluation.prototypes import Floats
from pipelines.releases.compare.shop import Product, text_hash
from pipelines.releases.compare.task import Candidate, Case, Example, Lacking, Scores, Task
from pipelines.releases.compare.vectors import Space

DEPTH = 10
# Fewer units say nothing.
MIN_UNITS = 8


@dataclass(frozen=True)
class Query:
    """A text, its content hash, the products that are right, and its groups."""

    text: str
    content: str
    relevant: frozenset[str]
    slices: dict[str, str]


def _titles(case: Case) -> list[Query]:
    """Variants of a product may share a title: any of them is right."""
    same: dict[str, list[Product]] = {}
    for product in case.shop.products:
        same.setdefault(product.title, []).append(product)
    return [
        Query(
            title,
            text_hash(title),
            frozenset(product.product_id for product in products),
            {"language": products[0].language, "category": products[0].category},
        )
        for title, products in same.items()
    ]


def _searches(case: Case) -> list[Query]:
    return [
        Query(s.query, text_hash(s.query), frozenset(s.chosen), {"language": s.language}) for s in case.shop.searches
    ]


def _reviews(case: Case) -> list[Query]:
    products = {product.product_id: product for product in case.shop.products}
    queries = []
    for review in case.shop.reviews:
        product = products[review.product_id]
        crossing = "same" if review.language in product.language else "across"
        slices = {"language": review.language, "languages": crossing, "category": product.category}
        queries.append(Query(review.text, review.content_hash, frozenset({product.product_id}), slices))
    return queries


QUERIES: Mapping[str, Callable[[Case], list[Query]]] = {"titles": _titles, "searches": _searches, "reviews": _reviews}


def _set(case: Case, queries: str, modality: str, among: str) -> Scores | Lacking:
    products = [p for p in case.shop.products if case.both_have(among, p.content(among))]
    known = {product.product_id for product in products}
    asked = [q for q in QUERIES[queries](case) if case.both_have(modality, q.content) and q.relevant & known]
    if len(asked) < MIN_UNITS or len(products) < MIN_UNITS:
        return Lacking(f"{len(asked)} {queries} and {len(products)} products; {MIN_UNITS} of each are needed")
    relevant = np.array([[product.product_id in query.relevant for product in products] for query in asked])
    likeness = [_likeness(space, asked, products, modality, among) for space in case.spaces]
    ranks = [reciprocal_ranks(found, relevant) for found in likeness]
    names = asked[0].slices.keys()
    return Scores(
        unit=queries,
        quantity="reciprocal rank",
        before=ranks[0],
        after=ranks[1],
        slices={name: [query.slices[name] for query in asked] for name in names},
        chance=reciprocal_rank_by_chance(relevant),
        more={
            f"recall@{depth}": (recalls(likeness[0], relevant, depth), recalls(likeness[1], relevant, depth))
            for depth in (1, DEPTH)
        },
        examples=_examples(asked, relevant, likeness, ranks),
        candidates=tuple(Candidate(product.title, product.pictures) for product in products),
    )


def _likeness(space: Space, queries: Sequence[Query], products: Sequence[Product], modality: str, among: str) -> Floats:
    asked = space.matrix(modality, [query.content for query in queries]).astype(np.float64)
    return asked @ space.matrix(among, [product.content(among) for product in products]).astype(np.float64).T


def _examples(
    queries: Sequence[Query], relevant: Bools, likeness: Sequence[Floats], ranks: Sequence[Floats]
) -> tuple[Example, ...]:
    best = [np.argsort(-found, axis=1, kind="stable")[:, :DEPTH] for found in likeness]
    return tuple(
        Example(
            query=query.text,
            relevant=frozenset(np.flatnonzero(relevant[row]).tolist()),
            before=tuple(best[0][row].tolist()),
            after=tuple(best[1][row].tolist()),
            gained=float(ranks[1][row] - ranks[0][row]),
        )
        for row, query in enumerate(queries)
    )


_RANKED = "Value: the mean of 1 / rank of the first right one, among all products. Equal likeness shares the ranks."
TITLE_TO_PICTURE = Task(
    "title_to_picture",
    "Titles find their pictures",
    f"A product's title is the query, the pictures of all products are ranked. {_RANKED}",
    partial(_set, queries="titles", modality="query", among="product_image"),
)
SEARCH_TO_PICTURE = Task(
    "search_to_picture",
    "Searches find what was chosen",
    "A query that at least two searches were made with, against the pictures of all products; right is what was "
    f"clicked, put into the cart or bought before the next search. {_RANKED}",
    partial(_set, queries="searches", modality="query", among="product_image"),
)
REVIEW_TO_PRODUCT = Task(
    "review_to_product",
    "Reviews find their product",
    "A review's text is the query, the texts (title, brand, category) of all products are ranked; `languages` says "
    f"whether both are of one language. {_RANKED}",
    partial(_set, queries="reviews", modality="review", among="product_text"),
)
