"""Taste that was planted in vectors is found again, and only then."""

from datetime import timedelta
from typing import Any

import pytest

from pipelines.evaluation.measures.interests import VISUAL_INTERESTS
from pipelines.evaluation.measures.taste_changes import TASTE_CHANGES
from pipelines.tables.features import PRODUCT_VECTORS, USER_RECENT_PRODUCTS, USER_VISUAL_INTEREST
from tests.evaluation.planted import END, PERSONAL, START, Planted

VECTORS = {
    "p1": [1.0, 0.0, 0.0, 0.2],
    "p2": [1.0, 0.0, 0.0, -0.2],
    "p3": [0.0, 1.0, 0.0, 0.2],
    "p4": [0.0, 1.0, 0.0, -0.2],
}
KINDS = {"p1": "shoes", "p2": "shoes", "p3": "bags", "p4": "bags"}
SHADES = {"p1": "red", "p2": "blue", "p3": "red", "p4": "blue"}


def _tastes(user: str, category: str, colour: str, since: Any = START) -> list[dict[str, Any]]:
    favourites = {"category": category, "colour": colour, "style": "plain"}
    return [
        {"user_id": user, "valid_from": since, "axis": axis, "favourite": name} for axis, name in favourites.items()
    ]


@pytest.fixture
def shop(planted: Planted) -> Planted:
    planted.true("users", {"user_id": "u1", "human": 0}, {"user_id": "u2", "human": 1})
    planted.true("tastes", *_tastes("u1", "shoes", "red"), *_tastes("u2", "bags", "red"))
    products = [
        {"product_id": name, "valid_from": START, "category": KINDS[name], "colour": SHADES[name], "style": "plain"}
        for name in VECTORS
    ]
    planted.true("products", *products)
    planted.history(PRODUCT_VECTORS, [{"product_id": name, "image_vector": v} for name, v in VECTORS.items()])
    planted.history(
        USER_RECENT_PRODUCTS,
        [
            {"user_id": "u1", "last_product_ids": ["p1", "p2"]},
            {"user_id": "u2", "last_product_ids": ["p1", "p1", "p3"]},
        ],
        **PERSONAL,
    )
    return planted


def _interests(planted: Planted, **means: list[float] | None) -> None:
    rows = [{"user_id": user, "mean_7d": None, "mean_30d": mean} for user, mean in means.items()]
    planted.history(USER_VISUAL_INTEREST, rows, **PERSONAL)


def test_the_favourite_is_the_nearest_prototype(shop: Planted) -> None:
    _interests(shop, u1=[0.7, 0.3, 0.0, 0.1], u2=[0.6, 0.4, 0.0, -0.1])
    found = shop.values(VISUAL_INTERESTS)
    # u2 likes bags, and looked at shoes.
    assert found["category", "user's favourite, 30 d half-life"] == 0.5
    # u1's colour is right, u2's is not.
    assert found["colour", "user's favourite, 30 d half-life"] == 0.5
    assert ("category", "user's favourite, 7 d half-life") not in found
    assert found["category", "single product"] == 1.0
    assert found["category", "counting the last products"] == 0.5


def test_strangers_and_empty_interests_count_for_nothing(shop: Planted) -> None:
    _interests(shop, u1=[0.7, 0.3, 0.0, 0.1], u2=None, stranger=[0.0, 1.0, 0.0, 0.0])
    assert shop.values(VISUAL_INTERESTS)["category", "user's favourite, 30 d half-life"] == 1.0


def test_what_is_published_later_is_not_seen(shop: Planted) -> None:
    later = {"event_timestamp": END + timedelta(days=1)}
    rows: list[dict[str, Any]] = [
        {"user_id": "u1", "mean_7d": None, "mean_30d": [0.9, 0.1, 0.0, 0.1]},
        {"user_id": "u1", "mean_7d": None, "mean_30d": [0.1, 0.9, 0.0, 0.1]} | later,
    ]
    shop.history(USER_VISUAL_INTEREST, rows, **PERSONAL)
    assert shop.values(VISUAL_INTERESTS)["category", "user's favourite, 30 d half-life"] == 1.0


def test_without_vectors_or_users_the_reason_is_said(shop: Planted) -> None:
    _interests(shop, stranger=[0.0, 1.0, 0.0, 0.0])
    assert "no user of the truth" in shop.reason(VISUAL_INTERESTS)
    assert "no user's favourite category changed" in shop.reason(TASTE_CHANGES)


def test_an_interest_follows_a_change_when_it_is_nearer_to_the_new(shop: Planted) -> None:
    changed = [_tastes("u1", "shoes", "red"), _tastes("u1", "bags", "red", END - timedelta(days=9))]
    moved = [_tastes("u2", "shoes", "red"), _tastes("u2", "bags", "red", END - timedelta(days=9))]
    shop.true("tastes", *(row for rows in (*changed, *moved) for row in rows))
    _interests(shop, u1=[0.3, 0.7, 0.0, 0.1], u2=[0.9, 0.1, 0.0, 0.1])
    assert shop.values(TASTE_CHANGES) == {("30 d half-life", "nearer to the new favourite"): 0.5}
