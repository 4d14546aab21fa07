"""What a bridge is worth: the new encoder's queries, mapped, against the old one's catalogue."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from encoders.evaluation.ranking import recalls
from pipelines.evaluation.measure import Figure, figures
from pipelines.evaluation.prototypes import Floats
from pipelines.releases.bridge import KINDS, Bridge, apply
from pipelines.releases.compare.retrieval import DEPTH, MIN_UNITS, QUERIES
from pipelines.releases.compare.shop import Product, text_hash
from pipelines.releases.compare.task import Case, estimated

_ASKED = {"clip": ("titles", "query", "product_image"), "review": ("reviews", "review", "product_text")}
"""By the release's part: which queries are asked, their modality, and that of the catalogue."""
_SEED = 1


def bridge_figures(case: Case, part: str) -> tuple[Figure, ...]:
    """Recall of the right products: with either encoder alone, and with new queries in the old catalogue.

    The maps are fitted on one half of the products (pictures, texts, queries) and tried on the queries of the other
    half, both ways. Empty where a home has too little.
    """
    queries, modality, among = _ASKED[part]
    products = [p for p in case.shop.products if case.both_have(among, p.content(among))]
    places = {product.product_id: place for place, product in enumerate(products)}
    asked = [q for q in QUERIES[queries](case) if case.both_have(modality, q.content) and q.relevant & places.keys()]
    if len(asked) < MIN_UNITS or len(products) < 2 * MIN_UNITS:
        return ()
    relevant = np.array([[product.product_id in query.relevant for product in products] for query in asked])
    half = np.random.default_rng(_SEED).permutation(len(products)) % 2 == 0
    in_half = half[relevant.argmax(axis=1)]
    old, new = (space.matrix(among, [p.content(among) for p in products]).astype(np.float64) for space in case.spaces)
    old_texts, texts = (space.matrix(modality, [q.content for q in asked]).astype(np.float64) for space in case.spaces)
    ways = [("old queries, old catalogue", old_texts @ old.T)]
    if old.shape == new.shape:
        ways.append(("new queries as they are, old catalogue", texts @ old.T))
    for kind, fit in KINDS.items():
        mapped = np.zeros_like(old_texts)
        for fitted, tried in ((half, ~in_half), (~half, in_half)):
            chosen = [product for product, inside in zip(products, fitted, strict=True) if inside]
            mapped[tried] = apply(*fit(*_pairs(case, part, chosen)), texts[tried])
        ways.append((f"new queries, {kind} map, old catalogue", mapped @ old.T))
    ways.append(("new queries, new catalogue", texts @ new.T))
    return figures(*((way, f"recall@{DEPTH}", estimated(recalls(found, relevant, DEPTH))) for way, found in ways))


def fitted_bridge(case: Case, part: str, kind: str) -> Bridge:
    """Fitted on all contents that both encoders have vectors of."""
    matrix, offset = KINDS[kind](*_pairs(case, part, case.shop.products))
    old, new = (space.spec.key for space in case.spaces)
    return Bridge(new, old, kind, matrix.astype(np.float32), offset.astype(np.float32))


def _pairs(case: Case, part: str, products: Iterable[Product]) -> tuple[Floats, Floats]:
    """Vectors of the products' contents and queries by the new encoder, and by the old: (contents, dimensions)."""
    keys = sorted({key for product in products for key in _contents(case, part, product) if case.both_have(*key)})
    old, new = (np.stack([space.vectors[key] for key in keys]).astype(np.float64) for space in case.spaces)
    return new, old


def _contents(case: Case, part: str, product: Product) -> list[tuple[str, str]]:
    texts = [("product_text", text_hash(product.text))]
    if part == "clip":
        return [*texts, ("query", text_hash(product.title)), ("product_image", product.picture_id)]
    return [*texts, *(("review", r.content_hash) for r in case.shop.reviews if r.product_id == product.product_id)]
