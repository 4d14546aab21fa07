"""What happens, or becomes known, after a cut changes nothing that is seen at it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.consumers.acts import Acts
from pipelines.consumers.catalogue import Catalogue, Versions
from pipelines.consumers.occasions import Histories, Occasion
from pipelines.consumers.pulled import entity_rows
from pipelines.consumers.ranking_features import RankingFeatures, UserSide
from pipelines.delta import TableStore
from pipelines.settings import Settings
from pipelines.tables.features import PRODUCT_VECTORS, USER_VISUAL_INTEREST
from pipelines.tables.sources import EVENTS, PRODUCTS
from tests.consumers.taste_shop import DAY, START, TasteShop
from tests.evaluation.planted import PERSONAL

CUT = START + 40 * DAY
LATER = CUT + timedelta(microseconds=1)


@pytest.fixture
def own_shop(tmp_path: Path, store_of: Callable[[Settings], TableStore]) -> TasteShop:
    return TasteShop(tmp_path, store_of)


def seen(shop: TasteShop, folder: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Features of some users, their histories and the products offered, all at the cut."""
    bench = shop.bench(folder)
    versions = Versions.of(bench.published).at(CUT)
    users = tuple(shop.users[1:9])
    pulled = bench.puller.pull("users", entity_rows("user_id", users, [CUT] * len(users)), "recommendation")
    products = list(versions["product_id"])
    offered = bench.puller.pull(
        "products", entity_rows("product_id", products, [CUT] * len(products)), "product_ranking"
    )
    catalogue = Catalogue.of(versions, offered, CUT)
    histories = Histories.at(bench.acts, CUT, catalogue, bench.allowed)
    weights = histories.of(users, histories.weights)
    behaviour = dict.fromkeys(("item_knn", "own_weight", "own_purchases", "own_last_purchase"), weights)
    return RankingFeatures(catalogue).of(UserSide.of(pulled, CUT, catalogue), behaviour), weights, products


def test_the_future_changes_nothing(own_shop: TasteShop, tmp_path: Path) -> None:
    features, weights, products = seen(own_shop, tmp_path / "before")
    assert np.nanmax(weights) > 0
    user = own_shop.users[1]
    own_shop.publish(
        EVENTS,
        [
            own_shop.event(user, "purchase", "p00", CUT),
            own_shop.event(user, "purchase", "p01", CUT - DAY, known=LATER),
        ],
    )
    version = {"category": "all", "brand": "one"}
    own_shop.publish(
        PRODUCTS,
        [
            version | {"product_id": "p98", "valid_from": LATER, "available_at": LATER},
            version | {"product_id": "p99", "valid_from": CUT - DAY, "available_at": LATER},
        ],
    )
    other = [-1.0, 0.0, 0.0, 0.0]
    for at, created in ((LATER, LATER), (CUT - DAY, LATER)):
        times = {"event_timestamp": at, "created_at": created}
        own_shop.history(USER_VISUAL_INTEREST, [times | {"user_id": user, "mean_7d": other}], **PERSONAL)
        own_shop.history(PRODUCT_VECTORS, [times | {"product_id": "p00", "image_vector": other}])
    again = seen(own_shop, tmp_path / "after")
    np.testing.assert_array_equal(again[0], features)
    np.testing.assert_array_equal(again[1], weights)
    assert again[2] == products


def acts(*rows: tuple[str, str, str | None, timedelta, timedelta], links: list[dict] | None = None) -> Acts:
    events = pd.DataFrame(
        [
            {
                "subject_id": who,
                "event_type": kind,
                "product_id": what,
                "at": CUT + at,
                "known_at": CUT + known,
                "spent": 3.0 if kind == "purchase" else 0.0,
            }
            for who, kind, what, at, known in rows
        ]
    )
    table = pd.DataFrame(links or [], columns=["user_id", "subject_id", "linked_at", "until"])
    return Acts(events.sort_values("at"), table, frozenset({"ann", "bob"}))


def test_a_device_counts_while_it_is_linked_at_the_cut() -> None:
    link = {"user_id": "ann", "subject_id": "device:1", "linked_at": CUT - DAY, "until": CUT + 99 * DAY}
    gone = {"user_id": "bob", "subject_id": "device:1", "linked_at": CUT - 9 * DAY, "until": CUT}
    known = acts(
        ("device:1", "view", "p1", -5 * DAY, -5 * DAY),
        ("bob", "view", "p2", -5 * DAY, -5 * DAY),
        ("bob", "ad_impression", "p3", -4 * DAY, -4 * DAY),
        links=[link, gone, link],
    )
    found = known.before(CUT)
    assert list(zip(found["user_id"], found["product_id"], strict=True)) == [("bob", "p2"), ("ann", "p1")]
    assert list(known.before(CUT - 2 * DAY)["user_id"]) == ["bob", "bob"]


def test_labels_are_what_follows_and_nobody_without_a_past_has_any() -> None:
    known = acts(
        ("ann", "search", None, -DAY, -DAY),
        ("ann", "purchase", "p1", 0 * DAY, 0 * DAY),
        ("ann", "purchase", "p2", 7 * DAY, 7 * DAY),
        ("ann", "view", "p3", DAY, DAY),
        ("bob", "purchase", "p1", DAY, DAY),
    )
    occasion = Occasion.at(known, CUT, 7 * DAY, frozenset({"ann", "bob"}))
    assert occasion.users == ("ann",)
    assert occasion.past.tolist() == [1]
    assert occasion.bought["product_id"].tolist() == ["p1"]
    assert Occasion.at(known, CUT, 7 * DAY, frozenset({"bob"})).users == ()
