"""What encoders are judged by: purchases after a moment that nothing was learned from, and titles of products."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
from scipy import sparse

from pipelines.consumers.ranking_metrics import best_first, hits, ndcg, recall
from pipelines.evaluation.prototypes import Floats
from pipelines.finetuning.catalogue import Offer
from pipelines.releases.compare.interests import Behaviour, purchases

DEPTH = 10
Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class HeldOut:
    """Users at a moment: weights (users, contents) of what they had done, the contents of the products on offer
    (products,), and which of these they bought in the window that followed (users, products)."""

    weights: sparse.csr_array
    candidates: npt.NDArray[np.int64]
    bought: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.bought)

    def ranked(self, contents: Vectors) -> Ranked:
        """Recall and NDCG of ranking products by likeness to each user's interest, by vectors (contents, d)."""
        interests = self.weights @ contents.astype(np.float64)
        hit = hits(best_first(interests @ contents[self.candidates].astype(np.float64).T, DEPTH), self.bought)
        wanted = self.bought.sum(axis=1)
        return Ranked(recall(hit, wanted), ndcg(hit, wanted))


@dataclass(frozen=True)
class Ranked:
    """Recall@10 and NDCG@10 of each user, (users,)."""

    recall: Floats
    ndcg: Floats


def held_out(
    behaviour: Behaviour, cut: datetime, offered: tuple[Offer, ...], places: dict[str, int], refused: frozenset[str]
) -> HeldOut:
    """Of users with an interest at the cut who bought something on offer after it; `places` numbers contents."""
    of, bought = behaviour.profiles("product_image", cut), purchases(behaviour.published, cut)
    on_offer = [offer for offer in offered if offer.content_id in places]
    known = {offer.product_id for offer in on_offer}
    rows = [row for row, user in enumerate(of.users) if user not in refused and bought.get(user, frozenset()) & known]
    columns = [column for column, content in enumerate(of.contents) if content in places]
    weights = of.weights[np.array(rows, np.int64)][:, np.array(columns, np.int64)]
    has = np.flatnonzero(np.asarray(weights.sum(axis=1)).reshape(-1) > 0)
    wide = sparse.coo_array(weights[has])
    place = np.array([places[of.contents[column]] for column in columns], np.int64)
    users = [of.users[rows[row]] for row in has]
    return HeldOut(
        sparse.csr_array((wide.data, (wide.row, place[wide.col])), shape=(len(users), len(places))),
        np.array([places[offer.content_id] for offer in on_offer], np.int64),
        np.array([[offer.product_id in bought[user] for offer in on_offer] for user in users], bool).reshape(
            len(users), len(on_offer)
        ),
    )
