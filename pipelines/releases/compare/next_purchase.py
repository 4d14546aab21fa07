"""Downstream: is what a user buys next near to what the user looked at?"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime

import numpy as np

from encoders.evaluation.ranking import recalls
from pipelines.evaluation.prototypes import Floats
from pipelines.releases.compare.interests import HALF_LIFE, WINDOW, interests, purchases
from pipelines.releases.compare.retrieval import MIN_UNITS
from pipelines.releases.compare.shop import Product
from pipelines.releases.compare.task import Case, Lacking, Scores, Task

_DEPTH = 10


def _set(case: Case) -> Scores | Lacking:
    products = [p for p in case.shop.products if case.both_have("product_image", p.picture_id)]
    by_user: dict[str, list[tuple[float, float]]] = defaultdict(list)
    newness: dict[str, bool] = {}
    for cut in case.behaviour.cuts:
        for user, is_new, found in _at(case, products, cut):
            by_user[user].append(found)
            newness.setdefault(user, is_new)
    if len(by_user) < MIN_UNITS:
        return Lacking(f"{len(by_user)} users bought something after a cut; {MIN_UNITS} are needed")
    means = np.array([np.mean(by_user[user], axis=0) for user in by_user])
    return Scores(
        unit="users",
        quantity=f"recall@{_DEPTH}",
        before=means[:, 0],
        after=means[:, 1],
        slices={"user": ["new" if newness[user] else "known for longer" for user in by_user]},
        chance=min(1.0, _DEPTH / len(products)),
    )


def _at(case: Case, products: list[Product], cut: datetime) -> list[tuple[str, bool, tuple[float, float]]]:
    """Per user with an interest at the cut and a purchase after it: both encoders' recall."""
    bought = purchases(case.behaviour.published, cut)
    means = [interests(case.behaviour, space, "product_image", cut) for space in case.spaces]
    known = {product.product_id for product in products}
    users = sorted(user for user in means[0].keys() & means[1].keys() if bought.get(user, frozenset()) & known)
    if not users or not products:
        return []
    relevant = np.array([[p.product_id in bought[user] for p in products] for user in users])
    found: list[Floats] = []
    for space, of_users in zip(case.spaces, means, strict=True):
        pictures = space.matrix("product_image", [p.picture_id for p in products]).astype(np.float64)
        found.append(recalls(np.stack([of_users[user] for user in users]) @ pictures.T, relevant, _DEPTH))
    of = case.behaviour.profiles("product_image", cut)
    is_new = dict(zip(of.users, of.is_new, strict=True))
    return [(user, is_new[user], (found[0][row], found[1][row])) for row, user in enumerate(users)]


NEXT_PURCHASE = Task(
    "next_purchase",
    "What users buy next",
    f"At two past midnights the products are ranked by likeness to each user's interest (half-life {HALF_LIFE} days, "
    f"point-in-time); right is what the user bought in the {WINDOW.days} days that followed. New: first seen in the "
    f"{WINDOW.days} days before.",
    _set,
)
