"""Is a user's favourite category, colour, style or brand the nearest to the user's interest vector?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial

from encoders.evaluation.estimates import share
from pipelines.evaluation.interest_vectors import Interests, Products, interests, product_vectors
from pipelines.evaluation.measure import Absent, Evidence, Figure, Measure, Measured, figures
from pipelines.evaluation.plots import bars
from pipelines.evaluation.prototypes import Prototypes, nearest_without_itself
from pipelines.tables.definitions import HALF_LIVES_DAYS
from pipelines.tables.features import USER_RECENT_PRODUCTS, USER_TEXT_INTEREST, USER_VISUAL_INTEREST
from pipelines.tables.schema import Table

_HOW = (
    "A user's interest vector, the mean of all products taken off, is compared with the mean vector of each {axes}; "
    "the nearest is right when it is the user's latent favourite at the end of the period, which no event names. "
    "Below: how often the encoder tells single products apart in the same way (each left out of its own prototype), "
    "and how often counting the true {axes} of the user's last products finds the favourite. "
    "Users who did not allow personalisation have no interest to look at. "
    "Chance: always guessing the commonest favourite."
)


def _take(evidence: Evidence, table: Table, column: str, axes: Sequence[str]) -> Measured | Absent:
    products = product_vectors(evidence, column)
    if not products.truths:
        return Absent(f"no product has a vector in product_vectors.{column}")
    by_half_life = {days: interests(evidence, table, f"mean_{days}d") for days in HALF_LIVES_DAYS}
    known = {days: users for days, users in by_half_life.items() if users.users}
    if not known:
        return Absent(f"no user of the truth has a vector in {table.name}")
    found = [figure for axis in axes for figure in _axis(evidence, known, products, axis)]
    return Measured(tuple(found), bars(found))


def _axis(evidence: Evidence, by_half_life: dict[int, Interests], products: Products, axis: str) -> tuple[Figure, ...]:
    favourites = {
        user: row["favourite"]
        for user, row in evidence.truth.at("tastes", "user_id", evidence.as_of, axis=axis).items()
    }
    labels = products.labels(axis)
    prototypes = Prototypes.of(products.vectors, labels)
    alone = nearest_without_itself(products.vectors, labels)
    common = _commonest([favourites[user] for user in by_half_life[max(by_half_life)].users])
    rows = [
        (axis, f"user's favourite, {days} d half-life", share(_hits(prototypes, users, favourites)), common)
        for days, users in by_half_life.items()
    ]
    told = [name == label for name, label in zip(alone, labels, strict=True)]
    return figures(
        *rows,
        (axis, "single product", share(told), _commonest(labels)),
        (axis, "counting the last products", share(_counted(evidence, favourites, axis)), common),
    )


def _hits(prototypes: Prototypes, users: Interests, favourites: dict[str, str]) -> list[bool]:
    nearest = prototypes.nearest(users.vectors)
    return [name == favourites[user] for name, user in zip(nearest, users.users, strict=True)]


def _counted(evidence: Evidence, favourites: dict[str, str], axis: str) -> list[bool]:
    """Whether the commonest true value among a user's last products is the favourite."""
    truths = evidence.truth.at("products", "product_id", evidence.as_of)
    ids = {evidence.user_key(user): user for user in favourites}
    rows = evidence.published.latest(USER_RECENT_PRODUCTS, ["last_product_ids"], purpose="personalisation")
    hits = []
    for row in rows.to_pylist():
        seen = Counter(truths[product][axis] for product in row["last_product_ids"] or () if product in truths)
        if row["user_id"] in ids and seen:
            hits.append(seen.most_common(1)[0][0] == favourites[ids[row["user_id"]]])
    return hits


def _commonest(labels: Sequence[str]) -> float:
    return Counter(labels).most_common(1)[0][1] / len(labels) if labels else 0.0


VISUAL_INTERESTS = Measure(
    "visual_interests",
    "Taste in what users look at",
    _HOW.format(axes="category, colour and style"),
    partial(_take, table=USER_VISUAL_INTEREST, column="image_vector", axes=("category", "colour", "style")),
)
TEXT_INTERESTS = Measure(
    "text_interests",
    "Taste in what products are called",
    _HOW.format(axes="category and brand"),
    partial(_take, table=USER_TEXT_INTEREST, column="text_vector", axes=("category", "brand")),
)
