"""Do words still find pictures? What a fine-tuning must not cost: titles find their pictures, names of categories
their products, also of products that it never saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from encoders.evaluation.ranking import reciprocal_ranks
from pipelines.evaluation.prototypes import Floats
from pipelines.finetuning.catalogue import Offer

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Naming:
    """Places of titles (titles,) and of products' contents (products,); `right` (titles, products) says what belongs.

    `is_new` (titles,): of products alone that were not on offer when learning ended. `names` are the places of the
    categories' names, `category` (products,) is each product's among them, -1 where it has none.
    """

    titles: npt.NDArray[np.int64]
    products: npt.NDArray[np.int64]
    right: npt.NDArray[np.bool_]
    is_new: npt.NDArray[np.bool_]
    names: npt.NDArray[np.int64]
    category: npt.NDArray[np.int64]

    def values(self, contents: Vectors, texts: Vectors) -> dict[str, Floats]:
        """A quantity of each unit by name, from the vectors of contents and texts (…, d): reciprocal rank of titles,
        of new products' titles, and whether the nearest category's name is right."""
        pictures = contents[self.products].astype(np.float64)
        found = reciprocal_ranks(texts[self.titles].astype(np.float64) @ pictures.T, self.right)
        values = {"title to picture": found, "title to new picture": found[self.is_new]}
        if len(self.names):
            of_one = self.category >= 0
            nearest = (pictures[of_one] @ texts[self.names].astype(np.float64).T).argmax(axis=1)
            values["category by name"] = (nearest == self.category[of_one]).astype(np.float64)
        return values


def naming(
    offered: Sequence[Offer], learned: frozenset[str], contents: Mapping[str, int], texts: Mapping[str, int]
) -> Naming:
    """Of products on offer; `learned` are ids of those that were when learning ended. `contents` and `texts` number
    content ids, and titles and categories."""
    products = [offer for offer in offered if offer.content_id in contents]
    titles = sorted({offer.title for offer in products})
    names = sorted({offer.category for offer in products if offer.category in texts})
    number, name = {title: row for row, title in enumerate(titles)}, {text: row for row, text in enumerate(names)}
    right, old = np.zeros((len(titles), len(products)), bool), np.zeros(len(titles), bool)
    for column, offer in enumerate(products):
        right[number[offer.title], column] = True
        old[number[offer.title]] |= offer.product_id in learned
    return Naming(
        np.array([texts[title] for title in titles], np.int64),
        np.array([contents[offer.content_id] for offer in products], np.int64),
        right,
        ~old,
        np.array([texts[text] for text in names], np.int64),
        np.array([name.get(offer.category, -1) for offer in products], np.int64),
    )
