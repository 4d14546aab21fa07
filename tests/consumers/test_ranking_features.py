"""What the ranker sees of a user who has done little is told apart as well as of one who has done much."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipelines.consumers.catalogue import Catalogue
from pipelines.consumers.likeness import PAIRS
from pipelines.consumers.pulled import Numbers
from pipelines.consumers.ranking_features import RankingFeatures, UserSide
from pipelines.tables.definitions import LAST_PRODUCTS

KNN = np.array([[4.0, 1.0, 0.0], [0.4, 0.1, 0.0], [0.0, 0.0, 0.0]], dtype=np.float32)


@pytest.fixture(scope="module")
def features() -> dict[str, np.ndarray]:
    """Of three users, who have done much, a tenth of it and nothing: (users, products) by name."""
    names = ("price", "purchases_30d", "cart_adds_30d", "views_30d")
    catalogue = Catalogue(
        pd.Index(["p0", "p1", "p2"]),
        Numbers(names, np.ones((3, len(names)), dtype=np.float32)),
        {"image_vector": None, "video_vector": None, "text_vector": None},
        np.array([0, 0, 1]),
        np.array([0, 1, 1]),
        np.zeros(3, dtype=np.float32),
    )
    nothing = np.full((3, LAST_PRODUCTS), -1)
    users = UserSide(
        np.zeros((3, 10), dtype=np.float32), nothing, nothing, nothing, {pair.name: None for pair in PAIRS}
    )
    weights = 10 * KNN
    behaviour = {"item_knn": KNN, "own_weight": weights, "own_purchases": weights, "own_last_purchase": weights}
    making = RankingFeatures(catalogue)
    found = making.of(users, behaviour)
    assert found.shape == (3, 3, len(making.names))
    return {name: found[:, :, place] for place, name in enumerate(making.names)}


def test_nearness_is_told_as_a_share_of_the_users_nearest(features: dict[str, np.ndarray]) -> None:
    share = features["item_knn_share"]
    assert share[0] == pytest.approx([1.0, 0.25, 0.0])
    assert share[1] == pytest.approx(share[0])
    assert share[2].tolist() == [0, 0, 0]
    assert features["item_knn"] == pytest.approx(KNN)


def test_how_much_is_known_of_a_user_is_the_same_for_all_products(features: dict[str, np.ndarray]) -> None:
    total = features["own_total"]
    assert (total == total[:, :1]).all()
    assert total[0, 0] > total[1, 0] > total[2, 0] == 0
