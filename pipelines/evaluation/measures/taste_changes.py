"""Do interests follow a change of taste?"""

from __future__ import annotations

import numpy as np

from encoders.evaluation.estimates import share
from pipelines.evaluation.interest_vectors import interests, product_vectors
from pipelines.evaluation.measure import Absent, Evidence, Figure, Measure, Measured, figures
from pipelines.evaluation.plots import bars
from pipelines.evaluation.prototypes import Prototypes
from pipelines.tables.definitions import HALF_LIVES_DAYS
from pipelines.tables.features import USER_VISUAL_INTEREST


def _take(evidence: Evidence) -> Measured | Absent:
    changes = _changes(evidence)
    if not changes:
        return Absent("no user's favourite category changed within the period")
    products = product_vectors(evidence, "image_vector")
    if not products.truths:
        return Absent("no product has a vector in product_vectors.image_vector")
    prototypes = Prototypes.of(products.vectors, products.labels("category"))
    place = {name: number for number, name in enumerate(prototypes.names)}
    found: list[Figure] = []
    for days in HALF_LIVES_DAYS:
        users = interests(evidence, USER_VISUAL_INTEREST, f"mean_{days}d")
        chosen = [
            (row, *changes[user])
            for row, user in enumerate(users.users)
            if user in changes and all(name in place for name in changes[user])
        ]
        if chosen:
            likeness = prototypes.likeness(users.vectors)
            closer = [likeness[row, place[new]] > likeness[row, place[old]] for row, old, new in chosen]
            found += figures((f"{days} d half-life", "nearer to the new favourite", share(np.array(closer)), 0.5))
    if not found:
        return Absent("no user whose favourite category changed has an interest vector")
    return Measured(tuple(found), bars(found))


def _changes(evidence: Evidence) -> dict[str, tuple[str, str]]:
    """First and present favourite category of the users in whom they differ."""
    now = evidence.truth.at("tastes", "user_id", evidence.as_of, axis="category")
    first: dict[str, str] = {}
    for row in sorted(evidence.truth.rows("tastes", axis="category"), key=lambda row: row["valid_from"]):
        first.setdefault(row["user_id"], row["favourite"])
    return {user: (first[user], row["favourite"]) for user, row in now.items() if first[user] != row["favourite"]}


TASTE_CHANGES = Measure(
    "taste_changes",
    "Changes of taste",
    "Of the users whose favourite category changed within the period, overnight or over weeks: whether the visual "
    "interest at the period's end is nearer to the new favourite than to the old one. A shorter half-life follows "
    "sooner.",
    _take,
)
